//! Any call, over the batch page or the registers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::calls(data));
