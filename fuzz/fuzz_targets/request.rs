//! Any requests in a request page, anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::request(data));
