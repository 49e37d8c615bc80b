//! The same as `balloon` where packed queues are offered.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::packed(data));
