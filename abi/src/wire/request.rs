//! The request page: one request of [`BYTES`] bytes, answered where it lies.
//!
//! After a proposal of 2024, pvmemcontrol (the device is in Cloud Hypervisor, `devices/src/pvmemcontrol.rs`; the driver was
//! posted to linux-kernel and not merged). Each processor has a request of its own. It says once where that lies, by
//! two stores to [`crate::layout::REQUEST_PAGE`]; from then on a doorbell with no more than a word is enough.
//!
//! | offset | request, by the guest | response, by the host |
//! |---|---|---|
//! | 0 | function le64 | error le32 (`errno`, 0 for none), code le32 |
//! | 8 | address le64 | value le64: bytes acted on |
//! | 16 | length le64, in bytes | as it was |
//! | 24 | argument le64 | as it was |
//!
//! A request that nobody answers reads as the error with its function's number: no function that is asked for is 0.

/// Size of a request, and of its response.
pub const BYTES: u64 = 32;
/// Words of 64 bits in it.
pub const WORDS: usize = 4;

/// Function: the guest has no use for what is in the range. What the host does then is its own affair.
pub const DONTNEED: u64 = 1;

/// Error: the range is none (`EINVAL`).
pub const INVALID: u32 = 22;
/// Error: the range is not memory (`EFAULT`).
pub const FAULT: u32 = 14;
/// Error: there is no such function (`EOPNOTSUPP`).
pub const UNSUPPORTED: u32 = 95;

/// The first word of a response: the error, and a code that is 0 here.
#[must_use]
pub const fn response(error: u32) -> u64 {
    error as u64
}

/// The error of a response.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
pub const fn error(response: u64) -> u32 {
    response as u32
}
