//! Any register traffic, any memory, any kicks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::balloon(data));
