//! Any page with a status an entry, and any call of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::status(data));
