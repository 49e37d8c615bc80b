//! A machine for a kernel that is not ours: it brings its own drivers, and finds what a PC has.
//!
//! Beside memory and the interrupt controllers there are two devices, a serial line and a virtio balloon, and the control
//! port, on which the only process of the guest says where it stands. Any other port reads as ones, as where nothing is
//! plugged in.

use std::sync::Arc;
use std::time::Instant;

use abi::addr::Gpa;
use abi::axes::Bell;
use abi::calls::HYPERCALL_NUMBER;
use abi::control::{CONTROL_PORT, Control};
use abi::layout::{GDT, PAGE_TABLES, VIRTIO_MMIO};
use abi::wire::virtio::mmio;
use kvm_bindings::{
    CpuId, KVM_CAP_TSC_DEADLINE_TIMER, KVM_MAX_CPUID_ENTRIES, kvm_pit_config, kvm_regs, kvm_segment,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vmm_sys_util::eventfd::EventFd;

use super::board::{Board, Flow, Request};
use super::boot::{self, BootError};
use super::error::{BuildError, ExitError};
use super::exits::Counts;
use super::open::KvmError;
use super::processor::Failure;
use super::watch::{Running, Watch as _};
use super::watchdog::Pulse;
use super::{ioctl, wiring};
use crate::axes::Match;
use crate::memory::GuestRam;

/// Interrupt line of the serial port, where PCs have it.
pub(crate) const SERIAL_LINE: u32 = 4;
/// Interrupt line of the balloon.
pub(crate) const BALLOON_LINE: u32 = 5;
/// The serial port's registers (8250), where PCs have the first.
pub(crate) const SERIAL_PORT: u16 = 0x3f8;
/// How many ports they are.
pub(crate) const SERIAL_PORTS: u16 = 8;

/// Selectors of the 64-bit boot protocol (Linux Documentation/arch/x86/boot.rst, `__BOOT_CS` and `__BOOT_DS`).
const CODE: u16 = 0x10;
const DATA: u16 = 0x18;
/// The stack of the first instructions: the kernel has its own at once.
const STACK: u64 = 0x8ff0;
/// Reserved bit; interrupts are off.
const RFLAGS: u64 = 0x2;
const CR0_PROTECTED_PAGED: u64 = 0x8000_0033;
const CR4_PAE: u64 = 0x20;
const EFER_LONG_MODE: u64 = 0x500;
/// Local vector table: external interrupts by line 0, NMI by line 1 (SDM volume 3, 11.5.1).
const APIC_LINT0: usize = 0x350;
const APIC_LINT1: usize = 0x360;
const APIC_EXTERNAL: u8 = 7;
const APIC_NMI: u8 = 4;

/// Where a kernel begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its first instruction, in 64-bit mode with memory mapped as it is.
    pub(crate) at: Gpa,
    /// Its boot parameters, which it finds in `rsi`.
    pub(crate) parameters: Gpa,
}

/// What of a stock machine a guest's ports reach, beside the board.
pub(crate) trait Ports: Board {
    /// The guest writes the serial line.
    fn put(&mut self, offset: u8, value: u8) -> Result<(), Self::Error>;
    /// The guest reads the serial line.
    fn get(&mut self, offset: u8) -> u8;
}

/// A machine with one processor, ready to run.
#[derive(Debug)]
pub(crate) struct StockMachine {
    // The processor and its machine go before the memory they use.
    vcpu: VcpuFd,
    _vm: VmFd,
    _ram: Arc<GuestRam>,
    counts: Counts,
    /// Signalled by kicks of the reporting queue, if they are heard so.
    pub(crate) kick: EventFd,
    /// Raises the balloon's interrupt.
    pub(crate) interrupt: EventFd,
    /// Raises the serial line's.
    pub(crate) serial: EventFd,
    pub(crate) pulse: Arc<Pulse>,
    until: Instant,
}

impl StockMachine {
    /// Builds a machine whose processor is at the first instruction of the kernel; `until` is when it is to be over.
    pub(crate) fn new(
        kvm: &Kvm,
        ram: &Arc<GuestRam>,
        entry: Entry,
        ioeventfd: Option<Match>,
        hypercalls: bool,
        until: Instant,
    ) -> Result<Self, BuildError> {
        let vm = kvm.create_vm().map_err(KvmError::ioctl("KVM_CREATE_VM"))?;
        wiring::memory(&vm, ram)?;
        vm.create_pit2(kvm_pit_config::default()).map_err(KvmError::ioctl("KVM_CREATE_PIT2"))?;
        if hypercalls {
            wiring::hypercalls(&vm)?;
        }
        let interrupt = wiring::line(&vm, BALLOON_LINE)?;
        let serial = wiring::line(&vm, SERIAL_LINE)?;
        let kick = wiring::kick(&vm, Bell::NotifyRegister, ioeventfd)?;
        boot::write_tables(ram)?;
        ram.write_words(GDT, &[0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff])?;
        let vcpu = vm.create_vcpu(0).map_err(KvmError::ioctl("KVM_CREATE_VCPU"))?;
        set_registers(kvm, &vcpu, entry)?;
        Ok(Self {
            vcpu,
            _vm: vm,
            _ram: Arc::clone(ram),
            counts: Counts::default(),
            kick,
            interrupt,
            serial,
            pulse: Arc::default(),
            until,
        })
    }

    /// Runs the guest until the board wants to leave.
    ///
    /// # Errors
    /// What the board says, and [`ExitError`] of a guest that died or took too long.
    pub(crate) fn run<B: Ports>(&mut self, board: &mut B) -> Result<(), B::Error> {
        loop {
            let exit = self.vcpu.run();
            let at = Running::now();
            match exit {
                Ok(VcpuExit::MmioWrite(gpa, data)) => {
                    self.counts.mmio.up();
                    match gpa.wrapping_sub(VIRTIO_MMIO.0) {
                        mmio::QUEUE_NOTIFY if board.is_kick(word(data)) => {
                            board.call::<Running>(&Request::KICK, at)?;
                        }
                        offset if offset < mmio::SIZE => board.write(offset, data)?,
                        _ => {}
                    }
                }
                Ok(VcpuExit::MmioRead(gpa, data)) => {
                    self.counts.mmio.up();
                    match gpa.wrapping_sub(VIRTIO_MMIO.0) {
                        offset if offset < mmio::SIZE => board.read(offset, data),
                        _ => data.fill(0xff),
                    }
                }
                Ok(VcpuExit::Hypercall(call)) if call.nr == HYPERCALL_NUMBER => {
                    self.counts.hypercall.up();
                    let [gpa, pages, word, ..] = call.args;
                    // The word has 32 bits; whatever is above is no operation we know.
                    let word = u32::try_from(word).unwrap_or(u32::MAX);
                    *call.ret = board.call::<Running>(&Request { word, gpa, pages }, at)?.value();
                }
                Ok(VcpuExit::IoOut(CONTROL_PORT, data)) => {
                    let value = word(data);
                    self.counts.control.up();
                    let Some(control) = Control::from_value(value) else {
                        return Err(ExitError::Control { value, rip: self.rip() }.into());
                    };
                    if board.control(control, &self.counts.exits())? == Flow::Leave {
                        return Ok(());
                    }
                }
                Ok(VcpuExit::IoOut(port, data)) => {
                    self.counts.port.up();
                    if let (Some(offset), [value]) = (serial(port), data) {
                        board.put(offset, *value)?;
                    }
                }
                Ok(VcpuExit::IoIn(port, data)) => {
                    self.counts.port.up();
                    match (serial(port), &mut *data) {
                        (Some(offset), [value]) => *value = board.get(offset),
                        _ => data.fill(0xff),
                    }
                }
                other => {
                    let failure = Failure::of(other);
                    self.failed(failure)?;
                }
            }
            // A guest that goes on talking shows no progress by that.
            if Instant::now() >= self.until {
                return Err(ExitError::Deadline { rip: self.rip() }.into());
            }
        }
    }

    /// Frequency of the time stamp counter in kHz, as KVM states it; 0 if it does not.
    pub(crate) fn tsc_khz(&self) -> u32 {
        self.vcpu.get_tsc_khz().unwrap_or(0)
    }

    /// What an exit means that is no service to the guest; `Ok` if it was only a signal.
    fn failed(&mut self, failure: Failure) -> Result<(), ExitError> {
        let rip = self.rip();
        match failure {
            Failure::Interrupted => {
                self.counts.interrupted.up();
                self.pulse.unless_kicked(ExitError::Deadline { rip })
            }
            Failure::NoThread(source) => {
                self.pulse.unless_kicked(ExitError::Deadline { rip })?;
                Err(ExitError::NoThread { source })
            }
            Failure::Shutdown => Err(ExitError::TripleFault { rip }),
            Failure::Internal => {
                let suberror = ioctl::internal_suberror(&mut self.vcpu);
                Err(ExitError::Internal { rip, suberror, hint: "" })
            }
            Failure::Port { port, bytes } => Err(ExitError::Port { port, bytes, rip }),
            Failure::Other(reason) => Err(ExitError::Unexpected { reason, rip }),
            Failure::Run(source) => Err(ExitError::Run { rip, source }),
        }
    }

    fn rip(&self) -> u64 {
        self.vcpu.get_regs().map_or(0, |registers| registers.rip)
    }
}

/// Which register of the serial line a port is, if it is one.
fn serial(port: u16) -> Option<u8> {
    let offset = port.wrapping_sub(SERIAL_PORT);
    (offset < SERIAL_PORTS).then_some(offset).and_then(|offset| u8::try_from(offset).ok())
}

/// Sets the registers of the processor: 64-bit mode, memory mapped as it is (the 64-bit boot protocol).
fn set_registers(kvm: &Kvm, vcpu: &VcpuFd, entry: Entry) -> Result<(), BootError> {
    let refused = |call| move |source| BootError::State { call, source };
    vcpu.set_cpuid2(&cpuid(kvm)?).map_err(refused("KVM_SET_CPUID2"))?;

    let mut special = vcpu.get_sregs().map_err(refused("KVM_GET_SREGS"))?;
    let data = kvm_segment { selector: DATA, ..boot::data(DATA) };
    special.cs = kvm_segment { selector: CODE, ..boot::code(CODE) };
    (special.ss, special.ds, special.es, special.fs, special.gs) = (data, data, data, data, data);
    special.gdt = boot::table(GDT, 4 * 8);
    special.cr0 = CR0_PROTECTED_PAGED;
    special.cr3 = PAGE_TABLES.0;
    special.cr4 = CR4_PAE;
    special.efer = EFER_LONG_MODE;
    vcpu.set_sregs(&special).map_err(refused("KVM_SET_SREGS"))?;

    let mut apic = vcpu.get_lapic().map_err(refused("KVM_GET_LAPIC"))?;
    for (register, mode) in [(APIC_LINT0, APIC_EXTERNAL), (APIC_LINT1, APIC_NMI)] {
        // The delivery mode is in bits 8 to 10: the second byte.
        apic.regs[register + 1] = mode.cast_signed();
        apic.regs[register + 2] = 0;
    }
    vcpu.set_lapic(&apic).map_err(refused("KVM_SET_LAPIC"))?;

    let registers = kvm_regs {
        rip: entry.at.0,
        rsi: entry.parameters.0,
        rsp: STACK,
        rflags: RFLAGS,
        ..kvm_regs::default()
    };
    vcpu.set_regs(&registers).map_err(refused("KVM_SET_REGS"))
}

/// What the processor says it is: the host's as KVM offers it, number 0, of a machine that is not real.
fn cpuid(kvm: &Kvm) -> Result<CpuId, BootError> {
    const HYPERVISOR: u32 = 1 << 31;
    const TSC_DEADLINE: u32 = 1 << 24;
    let refused = |source| BootError::State { call: "KVM_GET_SUPPORTED_CPUID", source };
    let mut cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(refused)?;
    let deadline = kvm.check_extension_raw(KVM_CAP_TSC_DEADLINE_TIMER.into()) > 0;
    for leaf in cpuid.as_mut_slice() {
        match leaf.function {
            1 => {
                // Initial APIC id, and how many processors share a package.
                leaf.ebx = leaf.ebx & 0xffff | 1 << 16;
                leaf.ecx |= HYPERVISOR | if deadline { TSC_DEADLINE } else { 0 };
            }
            // x2APIC id.
            0xb | 0x1f => leaf.edx = 0,
            _ => {}
        }
    }
    Ok(cpuid)
}

/// A 32-bit value as an exit carries it; any other width is no word of ours.
fn word(data: &[u8]) -> u32 {
    data.try_into().map_or(u32::MAX, u32::from_le_bytes)
}
