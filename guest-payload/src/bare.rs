//! What only a processor can do: the entry, the doorbells, the gates, volatile memory.

#![expect(unsafe_code, reason = "the entry point and the panic report are machine code and raw memory")]

use core::fmt::Write;
use core::panic::PanicInfo;

use abi::axes::{Bell, GuestRing};
use abi::boot::{BootInfo, WORDS};
use abi::control::Control;
use abi::layout;
use abi::notes;
use guest_payload::metal::Metal;
use guest_payload::program;

mod bells;
mod gates;
mod machine;
#[cfg(not(target_os = "none"))]
mod runtime;

use bells::{
    CallPort, CallStore, HypervCall, KickPort, NotifyQueue, NotifyRegister, Ringer, StoreMmio, StorePort,
    Vmcall, VmcallToKernel, VmcallToModule, Vmmcall, VmmcallToKernel, VmmcallToModule, XenVmcall, XenVmmcall,
};
use machine::Machine;

/// Where the host starts the processor, with a stack and in 64-bit mode.
///
/// # Safety
/// Called by the host, once on each virtual processor with its number, with the boot words in place and memory laid
/// out as [`abi::layout`] says.
// SAFETY: no other symbol of the image is called `_start`; the linker script names it as the entry.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text._start")]
unsafe extern "C" fn _start(vcpu: u32) -> ! {
    let info =
        BootInfo::from_words(&machine::boot_words::<WORDS>()).unwrap_or_else(|error| panic!("{error}"));
    if vcpu == 0 {
        gates::install();
    }
    match info.bell {
        Bell::Vmcall => start::<Vmcall>(vcpu, &info),
        Bell::Vmmcall => start::<Vmmcall>(vcpu, &info),
        Bell::CallPort => start::<CallPort>(vcpu, &info),
        Bell::CallStore => start::<CallStore>(vcpu, &info),
        Bell::KickPort => start::<KickPort>(vcpu, &info),
        Bell::NotifyRegister => start::<NotifyRegister>(vcpu, &info),
        Bell::NotifyQueue => start::<NotifyQueue>(vcpu, &info),
        Bell::VmcallToKernel => start::<VmcallToKernel>(vcpu, &info),
        Bell::VmmcallToKernel => start::<VmmcallToKernel>(vcpu, &info),
        Bell::StorePort => start::<StorePort>(vcpu, &info),
        Bell::StoreMmio => start::<StoreMmio>(vcpu, &info),
        Bell::XenVmcall => start::<XenVmcall>(vcpu, &info),
        Bell::XenVmmcall => start::<XenVmmcall>(vcpu, &info),
        Bell::HypervCall => start::<HypervCall>(vcpu, &info),
        Bell::VmcallToModule => start::<VmcallToModule>(vcpu, &info),
        Bell::VmmcallToModule => start::<VmmcallToModule>(vcpu, &info),
    }
}

fn start<R: Ringer>(vcpu: u32, info: &BootInfo) -> ! {
    R::enable();
    let mut machine = Machine::<R>::new(vcpu, info.fenced, info.guest_ring == GuestRing::Zero);
    if let Err(error) = program::run(&mut machine, info) {
        panic!("the balloon did not come up: {error:?}");
    }
    hang()
}

/// The program is over and the host knows: it does not resume us.
fn hang() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Leaves the message in the notes and tells the host.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut machine = Machine::<CallPort>::new(0, false, false);
    let mut text = Text { length: 0 };
    // A message that does not fit is cut short, which is all that can fail.
    let _ = write!(text, "{}", info.message());
    if let Some(at) = info.location() {
        let _ = write!(text, " ({}:{})", at.file(), at.line());
    }
    machine.store(notes::PANIC_LENGTH, text.length);
    machine.control(Control::Panicked);
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
            machine::store_byte(notes::PANIC_TEXT.offset(self.length), byte);
            self.length += 1;
        }
        Ok(())
    }
}

// The notes and the stack do not overlap: a panic may overwrite the one without losing the other.
const _: () = assert!(notes::PANIC_TEXT.0 + notes::PANIC_SPACE <= layout::NOTES.0 + 4096);
