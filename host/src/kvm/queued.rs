//! What a guest wrote that KVM queued: the ring of `KVM_REGISTER_COALESCED_MMIO`, a page that it shares.
//!
//! There is one ring for a machine, whichever processor it is mapped from (Linux `virt/kvm/coalesced_mmio.c`). KVM puts
//! writes into it while it runs a processor; nobody is told, and an exit says nothing about it.

#![expect(unsafe_code, reason = "mmap, and loads from a page that the kernel stores to")]

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use abi::addr::PAGE_SIZE;
use abi::calls::STORE_PORT;
use abi::layout::STORE_MMIO;
use abi::wire::store;
use kvm_bindings::{KVM_COALESCED_MMIO_PAGE_OFFSET, kvm_coalesced_mmio};
use kvm_ioctls::VcpuFd;

const BYTES: usize = 4096;
const _: () = assert!(BYTES as u64 == PAGE_SIZE);
const ENTRIES: usize = (BYTES - 2 * size_of::<u32>()) / size_of::<kvm_coalesced_mmio>();
// One stays free, or a full ring would be an empty one.
const _: () = assert!(ENTRIES - 1 == store::QUEUE_LENGTH);
const OFFSET: libc::off_t = KVM_COALESCED_MMIO_PAGE_OFFSET as libc::off_t * BYTES as libc::off_t;

/// `struct kvm_coalesced_mmio_ring`.
#[repr(C)]
struct Ring {
    /// The oldest entry. Ours.
    first: AtomicU32,
    /// Where the next one goes. KVM's.
    last: AtomicU32,
    entries: [UnsafeCell<kvm_coalesced_mmio>; ENTRIES],
}

const _: () = assert!(size_of::<Ring>() <= BYTES);

/// The reading end of the ring. Nothing of an entry is checked but what [`Write::word`] says.
#[derive(Debug)]
pub(crate) struct Queued {
    ring: NonNull<Ring>,
}

// SAFETY: the mapping belongs to no thread, and is only read through `&mut self`.
unsafe impl Send for Queued {}

/// A write that was queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Write {
    /// Whether it was to a port.
    pub(crate) is_port: bool,
    /// The port or the address.
    pub(crate) at: u64,
    /// How many bytes.
    pub(crate) bytes: u32,
    /// They, and whatever.
    pub(crate) data: [u8; 8],
}

impl Write {
    /// The word that was stored, if it was one where words are stored: KVM queues writes of fewer bytes too.
    pub(crate) fn word(&self) -> Option<u32> {
        let at = if self.is_port { u64::from(STORE_PORT) } else { STORE_MMIO.0 };
        let [word, _] = self.data.as_chunks().0 else { return None };
        (self.at == at && self.bytes == store::BYTES).then_some(u32::from_le_bytes(*word))
    }
}

impl Queued {
    /// Of the machine of this processor.
    pub(crate) fn of(vcpu: &VcpuFd) -> io::Result<Self> {
        // SAFETY: a new mapping, wherever there is room, touches nothing that exists.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                vcpu.as_raw_fd(),
                OFFSET,
            )
        };
        let ring = NonNull::new(page).filter(|page| page.as_ptr() != libc::MAP_FAILED);
        Ok(Self { ring: ring.ok_or_else(io::Error::last_os_error)?.cast() })
    }

    /// Takes the oldest write there is.
    pub(crate) fn take(&mut self) -> Option<Write> {
        // SAFETY: mapped until we are dropped and aligned to a page; the kernel stores to it, and all that it may store to
        // meanwhile is atomic or in a cell.
        let ring = unsafe { self.ring.as_ref() };
        // Relaxed: nobody else stores it.
        let first = ring.first.load(Ordering::Relaxed);
        // Acquire: pairs with the barrier between an entry and this index in `coalesced_mmio_write`.
        if first == ring.last.load(Ordering::Acquire) {
            return None;
        }
        let at = usize::try_from(first).ok()?;
        let entry = ring.entries.get(at)?;
        // SAFETY: KVM does not store to an entry between the two indices, and any bits are a valid one.
        let entry = unsafe { entry.get().read_volatile() };
        let next = if at + 1 == ENTRIES { 0 } else { first + 1 };
        // Release: the entry was read before KVM may store to it again.
        ring.first.store(next, Ordering::Release);
        // SAFETY: both members of the union are the same 32 bits, of which any are valid.
        let is_port = unsafe { entry.__bindgen_anon_1.pio } != 0;
        Some(Write { is_port, at: entry.phys_addr, bytes: entry.len, data: entry.data })
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        // SAFETY: mapped by us, and nobody else knows the address.
        let unmapped = unsafe { libc::munmap(self.ring.as_ptr().cast(), BYTES) };
        debug_assert_eq!(unmapped, 0, "a mapping of one page");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const LENGTH: u32 = 170;
    const _: () = assert!(LENGTH as usize == ENTRIES);

    /// A ring that we fill as KVM does, in a page of our own.
    struct Kvm {
        queued: Queued,
        has_room: fn(first: u32, last: u32) -> bool,
    }

    /// `coalesced_mmio_has_room` before Linux 6.12: the difference is unsigned, and 2^32 no multiple of the length.
    fn before_6_12(first: u32, last: u32) -> bool {
        !first.wrapping_sub(last).wrapping_sub(1).is_multiple_of(LENGTH)
    }

    /// The same since.
    fn since_6_12(first: u32, last: u32) -> bool {
        (last + 1) % LENGTH != first
    }

    impl Kvm {
        fn that(has_room: fn(u32, u32) -> bool) -> Self {
            // SAFETY: a new mapping of zeros, wherever there is room, touches nothing that exists.
            let page = unsafe {
                let (access, flags) =
                    (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
                libc::mmap(ptr::null_mut(), BYTES, access, flags, -1, 0)
            };
            assert_ne!(page, libc::MAP_FAILED);
            Self { queued: Queued { ring: NonNull::new(page).unwrap().cast() }, has_room }
        }

        /// `coalesced_mmio_write`: whether it queued the word.
        fn write(&mut self, word: u32) -> bool {
            // SAFETY: mapped, aligned to a page, and nobody else's.
            let ring = unsafe { self.queued.ring.as_mut() };
            let (first, last) = (*ring.first.get_mut(), *ring.last.get_mut());
            if !(self.has_room)(first, last) {
                return false;
            }
            let entry = ring.entries[last as usize].get_mut();
            (entry.phys_addr, entry.len) = (STORE_MMIO.0, store::BYTES);
            entry.data[..4].copy_from_slice(&word.to_le_bytes());
            *ring.last.get_mut() = (last + 1) % LENGTH;
            true
        }

        /// Writes of a guest that rings after each `round`: how many found no room, and were taken for that. What is taken
        /// is what was written, in order.
        fn overflows(&mut self, rounds: u32) -> Vec<u32> {
            let mut words = 0..;
            let mut written = VecDeque::new();
            let take = |queued: &mut Queued, written: &mut VecDeque<u32>| {
                while let Some(write) = queued.take() {
                    assert_eq!(write.word(), written.pop_front());
                }
            };
            let mut round = || {
                let mut overflows = 0;
                for word in words.by_ref().take(store::QUEUE_LENGTH) {
                    if !self.write(word) {
                        overflows += 1;
                        take(&mut self.queued, &mut written);
                        continue;
                    }
                    written.push_back(word);
                }
                take(&mut self.queued, &mut written);
                assert!(written.is_empty(), "left in the queue: {written:?}");
                overflows
            };
            (0..rounds).map(|_| round()).collect()
        }
    }

    /// What no trial in the lab survived: its guest rings for as many writes as the queue has room for.
    #[test]
    fn an_older_kvm_takes_half_of_the_queue_for_all_of_it() {
        let older = Kvm::that(before_6_12).overflows(1000);
        assert_eq!(older[0], 1, "its oldest entry is the ring's first");
        assert!(older.iter().all(|overflows| *overflows <= 1), "half of it is room enough for the rest");
        assert!((200..500).contains(&older.iter().sum::<u32>()), "a round in three: {older:?}");
        assert_eq!(Kvm::that(since_6_12).overflows(1000), [0; 1000]);
    }

    #[test]
    fn only_a_word_where_words_are_stored_is_one() {
        let port = Write { is_port: true, at: 0x520, bytes: 4, data: [1, 2, 3, 4, 5, 6, 7, 8] };
        assert_eq!(port.word(), Some(0x0403_0201));
        let address = Write { is_port: false, at: STORE_MMIO.0, ..port };
        assert_eq!(address.word(), Some(0x0403_0201));
        for wrong in [
            Write { bytes: 1, ..port },
            Write { bytes: 2, ..port },
            Write { bytes: 8, ..address },
            Write { bytes: 0, ..address },
            Write { at: 0x522, ..port },
            Write { at: STORE_MMIO.0 + 1, ..address },
            Write { is_port: false, ..port },
            Write { is_port: true, ..address },
        ] {
            assert_eq!(wrong.word(), None, "{wrong:?}");
        }
    }
}
