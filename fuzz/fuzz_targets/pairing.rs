//! Any stamps, of guest and host.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::pairing(data));
