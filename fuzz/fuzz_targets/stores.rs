//! Any writes that KVM queues.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::stores(data));
