//! Every way to take pages from guest memory.
//!
//! | discard | what the kernel does | where |
//! |---|---|---|
//! | [`Discard::DontNeed`] | unmaps the pages at once. What is private is free with that, but for part of a huge page; what is of a shared file stays in the file | `mm/madvise.c` |
//! | [`Discard::Vectored`] | the same of many ranges in one call; of a process's own memory since Linux 6.13 | `mm/madvise.c` |
//! | [`Discard::Free`] | marks the pages: they are taken when memory is short, unless they are written to before | `mm/madvise.c` |
//! | [`Discard::Remove`], [`Discard::PunchHole`] | takes the pages out of the file, and unmaps them | `mm/shmem.c`, `fs/hugetlbfs/inode.c` |
//! | [`Discard::Deferred`] | nothing, until memory is wanted: then as [`Discard::DontNeed`], of what the guest has not taken back | [`crate::reclaim`] |
//! | [`Discard::PageOut`] | writes the pages to swap | `mm/madvise.c` |
//! | [`Discard::Remap`] | unmaps the range with its mapping; then memory is made there anew, as the backing says | `mm/mmap.c` |

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use abi::addr::{Order, PageRange, Pfn};
use abi::wire::virtio::balloon::QUEUE_MAX;
use rustix::fs::FallocateFlags;
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::advise::{Advice, advise, advise_all};
use super::backing::{BackingError, locked, settle, status};
use super::host_range::HostRange;
use super::ram::GuestRam;
use crate::axes::{Backing, Discard};

/// Takes pages from guest memory in one of the ways there are.
#[derive(Debug)]
pub(crate) struct Discarder {
    ram: Arc<GuestRam>,
    how: Discard,
    /// This process, where many ranges are taken in one call.
    process: Option<OwnedFd>,
    /// Room for the ranges of one call; never allocates again.
    vector: Vec<HostRange>,
}

impl Discarder {
    /// Takes them so. What cannot be had here is found when it is tried: [`try_discard`].
    pub(crate) fn new(ram: Arc<GuestRam>, how: Discard) -> Self {
        let vectored = how == Discard::Vectored;
        Self {
            ram,
            how,
            process: if vectored { pidfd_open(getpid(), PidfdFlags::empty()).ok() } else { None },
            vector: Vec::with_capacity(if vectored { usize::from(QUEUE_MAX) } else { 0 }),
        }
    }

    /// Takes the pages of a range.
    ///
    /// # Errors
    /// What the kernel says; [`io::ErrorKind::InvalidInput`] if the range is not wholly guest memory.
    pub(crate) fn discard(&mut self, range: PageRange) -> io::Result<()> {
        let ram = &self.ram;
        match self.how {
            // What is put off is discarded so in the end.
            Discard::DontNeed | Discard::Deferred => advise(ram, range, Advice::DontNeed),
            Discard::None => Ok(()),
            Discard::Free => advise(ram, range, Advice::Free),
            Discard::Remove => advise(ram, range, Advice::Remove),
            Discard::PageOut => advise(ram, range, Advice::PageOut),
            Discard::PunchHole => punch_hole(ram, range),
            Discard::Remap => {
                ram.remap(range)?;
                settle(ram, range)
            }
            Discard::Vectored => self.discard_all([range].into_iter()),
        }
    }

    /// Takes the pages of many ranges in one call.
    ///
    /// # Errors
    /// As [`Self::discard`]; [`io::ErrorKind::WriteZero`] if the kernel stopped before the last.
    pub(crate) fn discard_all(&mut self, ranges: impl Iterator<Item = PageRange>) -> io::Result<()> {
        self.vector.clear();
        for range in ranges {
            self.vector.push(self.ram.host_range(range).ok_or(io::ErrorKind::InvalidInput)?);
        }
        let process = self.process.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        advise_all(&self.ram, process, &self.vector, Advice::DontNeed)
    }
}

/// Discards guest memory before there is any: what fails now would fail at every report.
pub(crate) fn try_discard(ram: &Arc<GuestRam>, discard: Discard) -> Result<(), BackingError> {
    // One call takes 2 GiB at the most (Linux `MAX_RW_COUNT`), and memory may be more.
    let whole = if discard == Discard::Vectored { PageRange::block(Pfn(0), Order::MAX) } else { ram.whole() };
    let tried = match discard {
        // What is mapped anew is of no file any more: other memory of the kind is tried instead.
        Discard::Remap => Arc::new(GuestRam::backed(Order::MAX.bytes(), ram.backing())?),
        _ => Arc::clone(ram),
    };
    let whole = if discard == Discard::Remap { tried.whole() } else { whole };
    Discarder::new(tried, discard).discard(whole).map_err(|source| {
        let known = match discard {
            Discard::Vectored => {
                Some("before Linux 6.13 the kernel refuses it: use --discard dontneed".to_owned())
            }
            // That memory is locked is no news where it was asked for.
            _ if ram.backing() == Backing::Locked => None,
            _ => locked(&status()),
        };
        let known = known.map_or_else(String::new, |known| format!("; {known}"));
        BackingError::NoDiscard { discard, source, known }
    })
}

/// Takes pages out of the file that guest memory is: it lies there as in guest physical memory.
fn punch_hole(ram: &GuestRam, range: PageRange) -> io::Result<()> {
    let Some(file) = ram.shared_file().filter(|_| ram.contains(range)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, mode, range.gpa().0, range.bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::axes::{Afterwards, Axis};

    use crate::axes::{Carrier, Completion, Doorbell, Freed, Way};
    use crate::memory::Residency;
    use crate::testing::refuse::refused;

    /// Every way that means something, with memory of it if this host has any.
    fn ways() -> impl Iterator<Item = (Way, Arc<GuestRam>)> {
        let way = Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return);
        let ways = Discard::ALL.iter().flat_map(move |discard| {
            Backing::ALL.iter().map(move |backing| Way { discard: *discard, backing: *backing, ..way })
        });
        ways.filter(|way| way.validate().is_ok() && way.discard != Discard::None).filter_map(|way| {
            let ram = match GuestRam::backed(8 << 20, way.backing) {
                Ok(ram) => Arc::new(ram),
                Err(error) => {
                    println!("{}: {error}", way.backing.name());
                    return None;
                }
            };
            match try_discard(&ram, way.discard) {
                Ok(()) => Some((way, ram)),
                Err(error) => {
                    println!("{}: {error}", way.discard.name());
                    None
                }
            }
        })
    }

    /// Of memory that is all there, one page and one huge page are discarded.
    #[test]
    fn every_discard_frees_what_it_is_said_to_and_nothing_beside() {
        for (way, ram) in ways() {
            for order in [Order::PAGE, Order::HUGE] {
                let block = PageRange::block(Pfn(512), order);
                let pages: Vec<_> = ram.whole().frames().collect();
                pages.iter().for_each(|page| ram.write(page.gpa(), page.0 + 1).unwrap());
                let mut residency = Residency::of(&ram, ram.whole()).unwrap();
                let before = residency.count().unwrap();
                assert_eq!(before, ram.whole().pages(), "{way:?}");
                Discarder::new(ram.clone(), way.discard).discard(block).unwrap();
                let freed = before - residency.count().unwrap();
                match way.frees(order) {
                    Freed::Nothing => assert_eq!(freed, 0, "{way:?} {order:?}"),
                    Freed::AsItLikes => assert!(freed <= block.pages(), "{way:?} {order:?}"),
                    Freed::All => assert_eq!(freed, block.pages(), "{way:?} {order:?}"),
                }
                for page in pages {
                    let found = ram.read(page.gpa()).unwrap();
                    let inside = block.frames().any(|inside| inside == page);
                    let is_kept = found == page.0 + 1;
                    let right = match way.afterwards() {
                        Afterwards::Zeroed if inside => found == 0,
                        Afterwards::Either if inside => found == 0 || is_kept,
                        _ => is_kept,
                    };
                    assert!(right, "{way:?} {order:?}: page {page:?} holds {found}");
                }
            }
        }
    }

    /// A call that is left out cannot be refused.
    #[test]
    fn every_discard_is_the_call_that_it_is_called() {
        for (way, ram) in ways() {
            let call = match way.discard {
                Discard::None => continue,
                Discard::DontNeed
                | Discard::Deferred
                | Discard::Free
                | Discard::Remove
                | Discard::PageOut => libc::SYS_madvise,
                Discard::PunchHole => libc::SYS_fallocate,
                Discard::Remap => libc::SYS_mmap,
                Discard::Vectored => libc::SYS_process_madvise,
            };
            let mut discarder = Discarder::new(ram, way.discard);
            let block = PageRange::block(Pfn(0), Order::PAGE);
            let error = refused(call, libc::EPERM, || discarder.discard(block)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{way:?}");
        }
    }

    #[test]
    fn nothing_outside_memory_is_touched() {
        for (way, ram) in ways() {
            let beyond = PageRange::block(ram.whole().end(), Order::PAGE);
            let error = Discarder::new(ram, way.discard).discard(beyond).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{way:?}");
        }
    }

    #[test]
    fn what_cannot_be_discarded_is_said_with_what_the_kernel_said() {
        let ram = Arc::new(GuestRam::new(4 << 20).unwrap());
        let try_discard = || try_discard(&ram, Discard::DontNeed);
        try_discard().unwrap();
        let error = refused(libc::SYS_madvise, libc::EPERM, try_discard).unwrap_err().to_string();
        assert_eq!(
            error,
            "guest memory cannot be discarded: madvise(MADV_DONTNEED) failed: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn an_older_kernel_is_known_by_what_it_refuses() {
        let ram = Arc::new(GuestRam::new(4 << 20).unwrap());
        let vectored = || try_discard(&ram, Discard::Vectored);
        let error = refused(libc::SYS_process_madvise, libc::EINVAL, vectored).unwrap_err().to_string();
        assert_eq!(
            error,
            "guest memory cannot be discarded: process_madvise(MADV_DONTNEED) failed: Invalid argument (os error 22); \
             before Linux 6.13 the kernel refuses it: use --discard dontneed"
        );
    }
}
