//! The one place that calls `madvise`.
//!
//! | advice | on private anonymous memory |
//! |---|---|
//! | [`Advice::DontNeed`] | unmaps the pages at once; they read as zeroes afterwards. Part of a huge page is not freed with that |
//! | [`Advice::HugePage`] | lets faults be served by transparent huge pages |
//! | [`Advice::NoHugePage`] | keeps them to 4 KiB pages |
//!
//! `madvise` itself rounds a length *up* to whole pages (`mm/madvise.c`, `madvise_behavior_valid` and below):
//! it never sees any but whole pages here.

#![expect(unsafe_code, reason = "madvise")]

use std::io;

use abi::addr::PageRange;

use super::ram::{GuestRam, HostRange};

/// What the kernel is advised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// `MADV_DONTNEED`.
    DontNeed,
    /// `MADV_HUGEPAGE`.
    HugePage,
    /// `MADV_NOHUGEPAGE`.
    NoHugePage,
}

impl Advice {
    /// The kernel's name of it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DontNeed => "MADV_DONTNEED",
            Self::HugePage => "MADV_HUGEPAGE",
            Self::NoHugePage => "MADV_NOHUGEPAGE",
        }
    }

    const fn number(self) -> libc::c_int {
        match self {
            Self::DontNeed => libc::MADV_DONTNEED,
            Self::HugePage => libc::MADV_HUGEPAGE,
            Self::NoHugePage => libc::MADV_NOHUGEPAGE,
        }
    }
}

/// Advises the kernel about pages of guest memory.
///
/// # Errors
/// What `madvise` says; [`io::ErrorKind::InvalidInput`] if the range is not wholly guest memory.
pub(crate) fn advise(ram: &GuestRam, range: PageRange, advice: Advice) -> io::Result<()> {
    let Some(HostRange { address, bytes }) = ram.host_range(range) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let start = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY:
    // - the range is page-aligned and wholly inside the mapping of guest memory (`host_range`);
    // - no Rust reference points there, so that contents may change under our feet;
    // - the mapping lives as long as `ram`.
    if unsafe { libc::madvise(start, bytes, advice.number()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
