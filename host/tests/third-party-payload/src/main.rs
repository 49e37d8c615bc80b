//! A guest that reports pages through `virtio-drivers`: its MMIO transport and its queue bring our balloon up
//! and use it, so that the device is not merely what our own driver happens to expect.
//!
//! The host leads. Each time the guest says [`Control::Next`] it has done what was asked before:
//!
//! 1. The balloon is up and every page of the arena holds its own address. The host writes a list of ranges to
//!    the step page: their number, then address and length of each; 0 ranges end the program.
//! 2. The list was reported as one chain and was acknowledged, and nothing was touched since. The notes' answer
//!    is the used length.
//! 3. Every page of the arena was looked at. The notes' answer is how many held something else than they
//!    should: zeroes if they were wholly inside a range of the list, their address otherwise. Back to 1.

#![no_std]
#![no_main]

use core::fmt::Write;
use core::hint::spin_loop;
use core::panic::PanicInfo;

use abi::addr::{ByteRange, Gpa, PAGE_SIZE, Pfn};
use abi::boot::{self, BootInfo};
use abi::control::Control;
use abi::layout::{ARENA_START, BOOT, STEP, VIRTIO_MMIO};
use abi::notes;
use abi::wire::virtio::balloon::REPORTING_QUEUE;
use abi::wire::virtio::mmio;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::{MmioTransport, MmioVersion};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

mod memory;
// Only what the linker misses: nothing of our driver is in this image.
#[cfg(not(target_os = "none"))]
#[path = "../../../../guest-payload/src/bare/runtime.rs"]
mod runtime;

use memory::{StaticPages, buffer, load, out, pass_over_interrupts, registers, store, store_byte};

/// Entries of the reporting queue.
const QUEUE_SIZE: usize = 32;

bitflags::bitflags! {
    /// The features this driver understands.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Feature: u64 {
        const PAGE_REPORTING = abi::wire::virtio::feature::PAGE_REPORTING;
        const VERSION_1 = abi::wire::virtio::feature::VERSION_1;
        const INDIRECT_DESC = abi::wire::virtio::feature::INDIRECT_DESC;
        const EVENT_IDX = abi::wire::virtio::feature::EVENT_IDX;
    }
}

/// Where the host starts the processor.
// SAFETY: no other symbol of the image is called `_start`; the linker script names it as the entry.
#[expect(unsafe_code, reason = "the linker finds the entry by name")]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text._start")]
extern "C" fn _start() -> ! {
    let words = core::array::from_fn::<u64, { boot::WORDS }, _>(|i| load(BOOT.offset(i as u64 * 8)));
    let info = BootInfo::from_words(&words).unwrap_or_else(|error| panic!("{error}"));
    let arena = Arena { pages: info.arena_pages };
    arena.stamp();

    pass_over_interrupts();
    let mut balloon = Balloon::start();
    control(Control::Ready);
    loop {
        control(Control::Next);
        let mut list = [ByteRange::default(); QUEUE_SIZE];
        let list = read_list(&mut list);
        if list.is_empty() {
            break;
        }
        store(notes::ANSWER, balloon.report(list).into());
        control(Control::Next);
        store(notes::ANSWER, arena.wrong(list));
        arena.stamp();
    }
    control(Control::Done);
    hang()
}

/// The ranges in the step page.
fn read_list(space: &mut [ByteRange; QUEUE_SIZE]) -> &[ByteRange] {
    let word = |index: usize| load(STEP.offset(index as u64 * 8));
    let count = usize::try_from(word(0)).unwrap_or(usize::MAX).min(QUEUE_SIZE);
    for (index, range) in space.iter_mut().enumerate().take(count) {
        *range = ByteRange { gpa: Gpa(word(1 + 2 * index)), len: word(2 + 2 * index) };
    }
    &space[..count]
}

/// The device and its reporting queue.
struct Balloon {
    transport: MmioTransport<'static>,
    queue: VirtQueue<StaticPages, QUEUE_SIZE>,
}

impl Balloon {
    fn start() -> Self {
        let mut transport = registers(VIRTIO_MMIO, mmio::SIZE);
        assert_eq!(transport.device_type(), DeviceType::MemoryBalloon);
        assert_eq!(transport.version(), MmioVersion::Modern);
        // Of what it understands it accepts what is offered.
        let accepted = transport.begin_init(Feature::all());
        assert!(accepted.contains(Feature::PAGE_REPORTING | Feature::VERSION_1));
        assert!(transport.get_status().contains(DeviceStatus::FEATURES_OK));
        let queue = VirtQueue::new(
            &mut transport,
            REPORTING_QUEUE,
            accepted.contains(Feature::INDIRECT_DESC),
            accepted.contains(Feature::EVENT_IDX),
        );
        let mut queue = queue.unwrap_or_else(|error| panic!("no reporting queue: {error}"));
        // Where a driver goes by event indices it is told of everything.
        queue.set_dev_notify(false);
        transport.finish_init();
        assert!(transport.get_status().contains(DeviceStatus::DRIVER_OK));
        assert_eq!(transport.read_config_space::<u32>(0), Ok(0), "num_pages");
        Self { transport, queue }
    }

    /// Reports the ranges in one chain and waits for the acknowledgement; the used length.
    fn report(&mut self, list: &[ByteRange]) -> u32 {
        let mut buffers: [&mut [u8]; QUEUE_SIZE] =
            core::array::from_fn(|index| list.get(index).copied().map(buffer).unwrap_or_default());
        self.queue
            .add_notify_wait_pop(&[], &mut buffers[..list.len()], &mut self.transport)
            .unwrap_or_else(|error| panic!("the report failed: {error}"))
    }
}

/// The pages that are reported, each of which holds its own address.
struct Arena {
    pages: u64,
}

impl Arena {
    fn frames(&self) -> impl Iterator<Item = Pfn> {
        (ARENA_START.0..ARENA_START.0 + self.pages).map(Pfn)
    }

    fn stamp(&self) {
        for frame in self.frames() {
            store(frame.gpa(), frame.gpa().0);
        }
    }

    /// Pages that do not hold what they should after `list` was reported.
    fn wrong(&self, list: &[ByteRange]) -> u64 {
        let is_wrong = |frame: &Pfn| {
            let reported = list.iter().any(|range| is_inside(*frame, *range));
            load(frame.gpa()) != if reported { 0 } else { frame.gpa().0 }
        };
        self.frames().filter(is_wrong).count() as u64
    }
}

/// Whether every byte of the page is in the range.
const fn is_inside(frame: Pfn, range: ByteRange) -> bool {
    let start = frame.gpa().0;
    range.gpa.0 <= start && start + PAGE_SIZE <= range.gpa.0 + range.len
}

fn control(control: Control) {
    out(abi::control::CONTROL_PORT, control.value());
}

/// The program is over and the host knows.
fn hang() -> ! {
    loop {
        spin_loop();
    }
}

/// Leaves the message in the notes and tells the host.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut text = Text { length: 0 };
    // A message that does not fit is cut short, which is all that can fail.
    let _ = write!(text, "{info}");
    store(notes::PANIC_LENGTH, text.length);
    control(Control::Panicked);
    hang()
}

/// The space for the panic message, as a writer.
struct Text {
    length: u64,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            if self.length == notes::PANIC_SPACE {
                return Err(core::fmt::Error);
            }
            store_byte(notes::PANIC_TEXT.offset(self.length), byte);
            self.length += 1;
        }
        Ok(())
    }
}
