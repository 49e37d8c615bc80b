//! Memory that is registered with userfaultfd: whoever touches a page that is missing waits until our thread has answered for it,
//! and whoever discards one until the thread has heard of it (Linux `Documentation/admin-guide/mm/userfaultfd.rst`).
//!
//! A missing page is answered for with zeroes (`UFFDIO_ZEROPAGE`): the page of zeroes that all share, so that the first write
//! takes an ordinary fault more. Of discards the kernel tells by `UFFD_EVENT_REMOVE`; until that is read the discard does not
//! return, and answers are refused (`EAGAIN`).

#![expect(unsafe_code, reason = "userfaultfd, three of its ioctls, and reading what it says")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use abi::addr::PAGE_SIZE;
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::ioctl_iowr_nr;

use super::host_range::HostRange;

/// Of `linux/userfaultfd.h`.
const UFFD: u32 = 0xaa;
const API: u64 = 0xaa;
const FEATURE_EVENT_REMOVE: u64 = 1 << 3;
const REGISTER_MISSING: u64 = 1;
const EVENT_PAGEFAULT: u8 = 0x12;
const EVENT_REMOVE: u8 = 0x15;

ioctl_iowr_nr!(UFFDIO_API, UFFD, 0x3f, ApiWords);
ioctl_iowr_nr!(UFFDIO_REGISTER, UFFD, 0x00, RangeWords);
ioctl_iowr_nr!(UFFDIO_ZEROPAGE, UFFD, 0x04, RangeWords);

/// `struct uffdio_api`: api, features, ioctls.
type ApiWords = [u64; 3];
/// `struct uffdio_register` and `struct uffdio_zeropage`: start, length, mode, what the kernel answers.
type RangeWords = [u64; 4];

/// `struct uffd_msg`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    /// Of a fault its flags and its address, of a removal its start and end.
    words: [u64; 3],
}

const _: () = assert!(size_of::<Message>() == 32);

/// Memory cannot be registered.
#[derive(Debug)]
pub(super) struct UserfaultError {
    /// What was tried.
    pub(super) call: &'static str,
    /// What the kernel said.
    pub(super) source: io::Error,
}

/// What was answered and heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Userfaults {
    /// Missing pages that were answered for.
    pub zeroed: u64,
    /// Discards that were heard of.
    pub removed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    zeroed: AtomicU64,
    removed: AtomicU64,
}

/// Whoever answers. Ends when dropped; the memory is registered no more then.
#[derive(Debug)]
pub(super) struct Answerer {
    counts: Arc<Counts>,
    quit: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Answerer {
    /// Registers a mapping, and answers for it from here on.
    pub(super) fn of(range: HostRange) -> Result<Self, UserfaultError> {
        let failed = |call| move |source| UserfaultError { call, source };
        let uffd = open().map_err(failed("userfaultfd"))?;
        let mut api: ApiWords = [API, FEATURE_EVENT_REMOVE, 0];
        // SAFETY: the kernel reads and writes the three words that it is given.
        done(unsafe { ioctl_with_mut_ref(&uffd, UFFDIO_API(), &mut api) }).map_err(failed("UFFDIO_API"))?;
        let mut words: RangeWords = [range.address as u64, range.bytes as u64, REGISTER_MISSING, 0];
        // SAFETY: as above, of four; registering changes nothing of what is in memory.
        done(unsafe { ioctl_with_mut_ref(&uffd, UFFDIO_REGISTER(), &mut words) })
            .map_err(failed("UFFDIO_REGISTER"))?;
        let quit = EventFd::new(0).map_err(failed("eventfd"))?;
        let told = quit.try_clone().map_err(failed("eventfd"))?;
        let counts = Arc::new(Counts::default());
        let thread = {
            let counts = Arc::clone(&counts);
            let answer = move || answer(&uffd, &told, &counts);
            std::thread::Builder::new().name("userfault".into()).spawn(answer).map_err(failed("a thread"))?
        };
        Ok(Self { counts, quit, thread: Some(thread) })
    }

    pub(super) fn counts(&self) -> Userfaults {
        // Relaxed: counts, on the strength of which nothing else is read.
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Userfaults { zeroed: of(&self.counts.zeroed), removed: of(&self.counts.removed) }
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        // A thread that cannot be woken is not waited for.
        if let (Some(thread), Ok(())) = (self.thread.take(), self.quit.write(1)) {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

fn open() -> io::Result<OwnedFd> {
    // SAFETY: the call takes flags and returns a new descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Answers until it is told to quit, or the descriptor fails. With that it is closed, and nobody waits for it any more.
fn answer(uffd: &OwnedFd, quit: &EventFd, counts: &Counts) {
    let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // Pages that could not be answered for while a discard was not heard of.
    let mut missing: Vec<u64> = Vec::new();
    loop {
        let mut fds = [poll(uffd.as_raw_fd()), poll(quit.as_raw_fd())];
        let timeout = if missing.is_empty() { -1 } else { 0 };
        // SAFETY: the kernel reads and writes the two elements that it is told of.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), 2, timeout) };
        if ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted || fds[1].revents != 0
        {
            return;
        }
        while let Some(message) = read(uffd) {
            match message.event {
                EVENT_PAGEFAULT => missing.push(message.words[1] & !(PAGE_SIZE - 1)),
                // Relaxed, here and below: see `counts`.
                EVENT_REMOVE => _ = counts.removed.fetch_add(1, Ordering::Relaxed),
                _ => {}
            }
        }
        missing.retain(|address| {
            // Counted beforehand: with the answer whoever waits goes on, and may ask for the count.
            counts.zeroed.fetch_add(1, Ordering::Relaxed);
            let Err(error) = zero(uffd, *address) else { return false };
            counts.zeroed.fetch_sub(1, Ordering::Relaxed);
            error.kind() == io::ErrorKind::WouldBlock
        });
    }
}

/// The next thing it has to say, if any.
fn read(uffd: &OwnedFd) -> Option<Message> {
    let mut message = Message::default();
    let bytes = size_of::<Message>();
    // SAFETY: the kernel writes no more than a message, of which any bytes are one.
    let read = unsafe { libc::read(uffd.as_raw_fd(), (&raw mut message).cast(), bytes) };
    (usize::try_from(read) == Ok(bytes)).then_some(message)
}

/// Answers for a page; for one that is there by now, by waking who waits for it.
fn zero(uffd: &OwnedFd, address: u64) -> io::Result<()> {
    let mut words: RangeWords = [address, PAGE_SIZE, 0, 0];
    // SAFETY: the kernel reads and writes the four words that it is given. It maps a page where there is none, inside the range
    // that is registered, into which no Rust reference points.
    match done(unsafe { ioctl_with_mut_ref(uffd, UFFDIO_ZEROPAGE(), &mut words) }) {
        // Somebody was quicker; who waits was woken by that.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        answered => answered,
    }
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use abi::addr::{Order, PageRange, Pfn};

    use super::*;
    use crate::axes::Backing;
    use crate::memory::{Advice, GuestRam, advise};
    use crate::testing::refuse::refused;

    #[test]
    fn what_is_missing_is_answered_for_and_what_is_discarded_is_heard_of() {
        let ram = match GuestRam::backed(4 << 20, Backing::Userfault) {
            Ok(ram) => ram,
            Err(error) => {
                assert!(error.to_string().contains("unprivileged_userfaultfd"), "{error}");
                return println!("{error}");
            }
        };
        let page = PageRange::block(Pfn(7), Order::PAGE);
        ram.write(page.gpa(), 1).unwrap();
        advise(&ram, page, Advice::DontNeed).unwrap();
        assert_eq!(ram.read(page.gpa()).unwrap(), 0);
        assert_eq!(ram.userfault(), Some(Userfaults { zeroed: 2, removed: 1 }));
    }

    #[test]
    fn who_may_not_register_is_told_what_to_type() {
        let backed = || GuestRam::backed(4 << 20, Backing::Userfault);
        let error = refused(libc::SYS_userfaultfd, libc::EPERM, backed).unwrap_err().to_string();
        assert!(
            error.contains("userfaultfd failed: Operation not permitted")
                && error.contains("as root: echo 1"),
            "{error}"
        );
    }
}
