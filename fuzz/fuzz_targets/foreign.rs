//! Any call of Xen's or Hyper-V's, and any page of hints.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host::testing::fuzzing::foreign(data));
