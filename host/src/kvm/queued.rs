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
    use super::*;

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
