//! Any lists of frames in the inflate and deflate queues.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::frames(data));
