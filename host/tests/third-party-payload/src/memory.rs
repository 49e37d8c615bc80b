//! Identity-mapped memory: what the driver asks of its platform, and what the program does beside it.

#![expect(unsafe_code, reason = "guest memory is raw memory, and a port write is an instruction")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::addr::{ByteRange, Gpa};
use abi::layout::{IDT, INTERRUPT_VECTOR, KERNEL_CODE};
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Pages for the queue: one for table and available ring, one for the used ring.
const PAGES: usize = 4;

#[repr(C, align(4096))]
struct Pool(UnsafeCell<[[u8; PAGE_SIZE]; PAGES]>);

// SAFETY: the pages are handed out once each, and there is one processor.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([[0; PAGE_SIZE]; PAGES]));
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The platform: every page is at its own address, and the device reads guest memory itself.
pub(crate) struct StaticPages;

// SAFETY: `dma_alloc` hands out zeroed, aligned pages, each once; nothing needs to be shared or unshared.
unsafe impl Hal for StaticPages {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // Relaxed: there is one processor.
        let first = TAKEN.fetch_add(pages, Ordering::Relaxed);
        assert!(first + pages <= PAGES, "the queue takes more pages than there are");
        // SAFETY: the first page is one of the pool's, as was just checked.
        let start = unsafe { POOL.0.get().cast::<[u8; PAGE_SIZE]>().add(first) };
        (start.expose_provenance() as u64, NonNull::new(start.cast()).unwrap_or_else(|| unreachable!()))
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        // Pages are never handed out again.
        0
    }

    unsafe fn mmio_phys_to_virt(at: PhysAddr, _: usize) -> NonNull<u8> {
        pointer(Gpa(at))
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().expose_provenance() as u64
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

/// Where the driver has its indirect tables: one after the other until all are given back, then from the beginning.
struct Tables {
    space: Pool,
    taken: AtomicUsize,
    live: AtomicUsize,
}

#[global_allocator]
static TABLES: Tables = Tables {
    space: Pool(UnsafeCell::new([[0; PAGE_SIZE]; PAGES])),
    taken: AtomicUsize::new(0),
    live: AtomicUsize::new(0),
};

// SAFETY: what is handed out is in the space, aligned, and overlaps nothing that is still out. There is one processor, so
// that every access may be Relaxed.
unsafe impl GlobalAlloc for Tables {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let first = self.taken.load(Ordering::Relaxed).next_multiple_of(layout.align());
        let end = first + layout.size();
        if end > PAGES * PAGE_SIZE {
            return core::ptr::null_mut();
        }
        self.taken.store(end, Ordering::Relaxed);
        self.live.fetch_add(1, Ordering::Relaxed);
        // SAFETY: it is in the space, as was just checked.
        unsafe { self.space.0.get().cast::<u8>().add(first) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
        if self.live.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.taken.store(0, Ordering::Relaxed);
        }
    }
}

/// A guest physical address as a pointer.
pub(crate) fn pointer<T>(at: Gpa) -> NonNull<T> {
    let address = usize::try_from(at.0).unwrap_or(0);
    NonNull::new(core::ptr::with_exposed_provenance_mut(address))
        .unwrap_or_else(|| panic!("{at}: no address"))
}

/// The registers of the device at `base`.
pub(crate) fn registers(base: Gpa, bytes: u64) -> MmioTransport<'static> {
    // SAFETY: the host has a register block of this size there, mapped for the life of the guest.
    let transport = unsafe { MmioTransport::new(pointer(base), usize::try_from(bytes).unwrap_or(0)) };
    transport.unwrap_or_else(|error| panic!("no device: {error}"))
}

/// A range of the arena as a buffer for the device.
pub(crate) fn buffer(range: ByteRange) -> &'static mut [u8] {
    // SAFETY: the host names ranges of the arena that do not overlap; it is memory that the compiler owns no
    // part of, and nobody looks at it until the device has used it.
    unsafe { core::slice::from_raw_parts_mut(pointer(range.gpa).as_ptr(), range.len as usize) }
}

/// Loads a word.
pub(crate) fn load(at: Gpa) -> u64 {
    // SAFETY: mapped and aligned: every address in `abi` is, and so is every page.
    unsafe { pointer::<u64>(at).read_volatile() }
}

/// Stores a word.
pub(crate) fn store(at: Gpa, value: u64) {
    // SAFETY: as for `load`; the compiler owns none of these addresses.
    unsafe { pointer::<u64>(at).write_volatile(value) }
}

/// Stores a byte.
pub(crate) fn store_byte(at: Gpa, value: u8) {
    // SAFETY: as for `store`.
    unsafe { pointer::<u8>(at).write_volatile(value) }
}

/// Passes over the device's interrupts: a driver that goes by event indices is sent some whether it waits for them or not.
/// None is acknowledged to the local APIC, so that the first is the last.
pub(crate) fn pass_over_interrupts() {
    let handler = (pass_over as *const ()).expose_provenance() as u64;
    // An interrupt gate (Intel SDM volume 3, 6.14.1): present, usable from ring 3, on the first stack of the task state.
    let low = handler & 0xffff | u64::from(KERNEL_CODE) << 16 | 0xee01 << 32 | (handler >> 16 & 0xffff) << 48;
    store(IDT.offset(INTERRUPT_VECTOR * 16), low);
    store(IDT.offset(INTERRUPT_VECTOR * 16 + 8), handler >> 32);
}

/// Nothing, and back.
#[unsafe(naked)]
extern "C" fn pass_over() {
    naked_asm!("iretq")
}

/// Writes to a port.
pub(crate) fn out(port: u16, value: u32) {
    // SAFETY: the host allows every port; memory it may write meanwhile is only accessed volatile.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack)) }
}
