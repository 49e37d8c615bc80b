//! Any words, to whatever makes values of words.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::abi(data));
