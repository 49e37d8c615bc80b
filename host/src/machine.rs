//! A virtual machine with one vCPU, and its exit loop.

use std::sync::Arc;

use abi::addr::Gpa;
use abi::axes::{Bell, GuestRing, Program};
use abi::boot::BootInfo;
use abi::calls::{Answer, CALL_PORT, CONTROL_PORT, Control, HYPERCALL_NUMBER, KICK_PORT, batch};
use abi::layout::{BATCH, BOOT, CALL_MMIO, VIRTIO_MMIO};
use abi::virtio::balloon::REPORTING_QUEUE;
use abi::virtio::mmio;
use kvm_ioctls::{Kvm, SyncReg, VcpuExit, VcpuFd, VmFd};
use vmm_sys_util::eventfd::EventFd;

use crate::boot;
use crate::clock::{HostTsc, TscOffset};
use crate::error::{BuildError, ExitError};
use crate::image;
use crate::kvm::KvmError;
use crate::ram::GuestRam;
use crate::stats::Statistics;
use crate::transport::Request;
use crate::trial::Exits;
use crate::watchdog::{Kicked, Pulse};
use crate::{vcpu, wiring};

/// What to build.
#[derive(Debug)]
pub(crate) struct Blueprint<'a> {
    pub(crate) kvm: &'a Kvm,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) image: &'a [u8],
    pub(crate) boot: BootInfo,
    /// Whether the doorbell is an ioeventfd.
    pub(crate) ioeventfd: bool,
}

/// Whether the machine goes on after the guest has said something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    Resume,
    Leave,
}

/// Everything an exit can reach.
pub(crate) trait Board {
    /// Why the board could not do what the guest wanted.
    type Error: From<ExitError>;

    /// The doorbell rang; `at` is when `KVM_RUN` returned.
    fn call(&mut self, request: &Request, at: HostTsc) -> Result<Answer, Self::Error>;
    /// The guest says where it stands.
    fn control(&mut self, control: Control, exits: &Exits) -> Result<Flow, Self::Error>;
    /// The guest reads the virtio registers.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// The guest writes the virtio registers.
    fn write(&mut self, offset: u64, data: &[u8]);
}

/// A machine ready to run.
#[derive(Debug)]
pub(crate) struct Machine {
    // The vCPU and its machine go before the memory they use.
    vcpu: VcpuFd,
    _vm: VmFd,
    ram: Arc<GuestRam>,
    /// Signalled by the guest's kicks, if the doorbell is an ioeventfd.
    pub(crate) kick: EventFd,
    /// Raises the balloon's interrupt.
    pub(crate) interrupt: EventFd,
    pub(crate) pulse: Arc<Pulse>,
    exits: Exits,
    /// Whether the registers of a call come with its exit, and its answer is read.
    synced: bool,
    ring: GuestRing,
}

impl Machine {
    /// Builds a machine; the guest is at its first instruction.
    pub(crate) fn new(blueprint: &Blueprint<'_>) -> Result<Self, BuildError> {
        let Blueprint { kvm, ram, image, boot, ioeventfd } = blueprint;
        let vm = kvm.create_vm().map_err(KvmError::ioctl("no virtual machine can be made"))?;
        wiring::memory(&vm, ram)?;
        if matches!(boot.bell, Bell::Vmcall | Bell::Vmmcall) {
            wiring::hypercalls(&vm)?;
        }
        let interrupt = wiring::interrupt(&vm)?;
        let kick = wiring::kick(&vm, ioeventfd.then_some(boot.bell))?;

        let entry = image::load(ram, image)?;
        boot::write_tables(ram)?;
        ram.write_words(BOOT, &boot.to_words())?;
        let mut vcpu = vm.create_vcpu(0).map_err(KvmError::ioctl("no vCPU can be made"))?;
        boot::set_registers(kvm, &vcpu, boot.guest_ring, entry)?;
        // Only calls that name something have registers worth fetching and an answer worth leaving.
        let named = boot.carrier.uses_registers() || boot.program == Program::Obey;
        let synced = named && matches!(boot.bell, Bell::CallPort | Bell::CallStore);
        if synced {
            vcpu.set_sync_valid_reg(SyncReg::Register);
        }
        Ok(Self {
            vcpu,
            _vm: vm,
            ram: Arc::clone(ram),
            kick,
            interrupt,
            pulse: Arc::default(),
            exits: Exits::default(),
            synced,
            ring: boot.guest_ring,
        })
    }

    /// KVM's statistics of the vCPU, if it keeps any.
    pub(crate) fn statistics(&self) -> Option<Statistics> {
        Statistics::open(&self.vcpu)
    }

    /// The offset between the guest's clock and ours, if KVM states it.
    pub(crate) fn tsc_offset(&self) -> Option<TscOffset> {
        vcpu::tsc_offset(&self.vcpu)
    }

    /// Frequency of the guest's clock in kHz, if KVM states it.
    pub(crate) fn tsc_khz(&self) -> Option<u32> {
        self.vcpu.get_tsc_khz().ok()
    }

    /// Runs the guest until the board wants to leave. This is the exit loop: every exit is one of these arms,
    /// and none of them allocates, formats or logs before an error is certain.
    pub(crate) fn run<B: Board>(&mut self, board: &mut B) -> Result<(), B::Error> {
        loop {
            let exit = self.vcpu.run();
            let at = HostTsc::now();
            self.pulse.beat();
            match exit {
                Ok(VcpuExit::IoOut(CALL_PORT, data)) => {
                    let word = word(data);
                    self.exits.port += 1;
                    self.call(board, word, at)?;
                }
                Ok(VcpuExit::IoOut(KICK_PORT, _)) => {
                    self.exits.port += 1;
                    board.call(&Request::KICK, at)?;
                }
                Ok(VcpuExit::IoOut(CONTROL_PORT, data)) => {
                    let value = word(data);
                    self.exits.control += 1;
                    let Some(control) = Control::from_value(value) else {
                        return Err(ExitError::Control { value, rip: self.rip() }.into());
                    };
                    if board.control(control, &self.exits)? == Flow::Leave {
                        return Ok(());
                    }
                }
                Ok(VcpuExit::Hypercall(call)) if call.nr == HYPERCALL_NUMBER => {
                    self.exits.hypercall += 1;
                    let [gpa, pages, word, ..] = call.args;
                    // The word has 32 bits; whatever is above is no operation we know.
                    let word = u32::try_from(word).unwrap_or(u32::MAX);
                    *call.ret = board.call(&Request { word, gpa, pages }, at)?.value();
                }
                Ok(VcpuExit::MmioWrite(gpa, data)) => {
                    self.exits.mmio += 1;
                    match device(gpa) {
                        Some(Device::Virtio(mmio::QUEUE_NOTIFY))
                            if word(data) == u32::from(REPORTING_QUEUE) =>
                        {
                            board.call(&Request::KICK, at)?;
                        }
                        Some(Device::Virtio(offset)) => board.write(offset, data),
                        Some(Device::Call) => {
                            let word = word(data);
                            self.call(board, word, at)?;
                        }
                        None => return Err(self.nothing_at(gpa).into()),
                    }
                }
                Ok(VcpuExit::MmioRead(gpa, data)) => {
                    self.exits.mmio += 1;
                    match device(gpa) {
                        Some(Device::Virtio(offset)) => board.read(offset, data),
                        Some(Device::Call) => data.fill(0),
                        None => return Err(self.nothing_at(gpa).into()),
                    }
                }
                other => {
                    let failure = Failure::of(other);
                    self.failed(failure)?;
                }
            }
        }
    }

    /// The least a monitor can do: enters the guest again whatever it wanted, until it says something on the
    /// control port. What [`Machine::run`] is compared with.
    pub(crate) fn run_bare(&mut self) -> Result<(), ExitError> {
        loop {
            match self.vcpu.run() {
                Ok(VcpuExit::IoOut(CONTROL_PORT, _)) => return Ok(()),
                Ok(VcpuExit::IoOut(..) | VcpuExit::MmioWrite(..) | VcpuExit::Hypercall(_)) => {}
                other => {
                    let failure = Failure::of(other);
                    self.failed(failure)?;
                }
            }
        }
    }

    /// A call by port or store. One that names something has its registers fetched and its answer left in
    /// memory; a kick or an empty call has neither.
    fn call<B: Board>(&mut self, board: &mut B, word: u32, at: HostTsc) -> Result<(), B::Error> {
        if !self.synced {
            board.call(&Request { word, ..Request::default() }, at)?;
            return Ok(());
        }
        let registers = &self.vcpu.sync_regs_mut().regs;
        let request = Request { word, gpa: registers.rbx, pages: registers.rcx };
        let answer = board.call(&request, at)?;
        Ok(self.ram.write(BATCH.offset(batch::ANSWER), answer.value()).map_err(ExitError::from)?)
    }

    fn nothing_at(&self, gpa: u64) -> ExitError {
        ExitError::Address { gpa: Gpa(gpa), rip: self.rip() }
    }

    /// Decides what an exit that is no service to the guest means; `Ok` if it was only a signal.
    fn failed(&mut self, failure: Failure) -> Result<(), ExitError> {
        let rip = self.rip();
        match failure {
            Failure::Interrupted => {
                self.exits.interrupted += 1;
                match self.pulse.kicked() {
                    None => Ok(()),
                    Some(Kicked::NoProgress) => Err(ExitError::Deadline { rip }),
                    Some(Kicked::Stopped) => Err(ExitError::Stopped),
                    Some(Kicked::Device) => Err(ExitError::Device),
                }
            }
            Failure::Shutdown => Err(ExitError::TripleFault { rip }),
            Failure::Internal => {
                let suberror = vcpu::internal_suberror(&mut self.vcpu);
                Err(ExitError::Internal { rip, suberror, hint: self.internal_hint() })
            }
            Failure::Port { port, bytes } => Err(ExitError::Port { port, bytes, rip }),
            Failure::Other(reason) => Err(ExitError::Unexpected { reason, rip }),
            Failure::Run(source) => Err(ExitError::Run { rip, source }),
        }
    }

    /// A payload built for the host's target uses instructions that KVM's emulator does not know.
    fn internal_hint(&self) -> &'static str {
        if self.ring == GuestRing::Zero && image::PAYLOAD_TARGET != "x86_64-unknown-none" {
            "; this KVM may emulate ring 0: use --guest-ring 3, or `rustup target add x86_64-unknown-none` and rebuild"
        } else {
            ""
        }
    }

    fn rip(&self) -> u64 {
        self.vcpu.get_regs().map_or(0, |registers| registers.rip)
    }
}

/// An exit that is no service to the guest, with everything needed of it.
enum Failure {
    Interrupted,
    Shutdown,
    Internal,
    Port { port: u16, bytes: usize },
    Other(String),
    Run(kvm_ioctls::Error),
}

impl Failure {
    fn of(exit: Result<VcpuExit<'_>, kvm_ioctls::Error>) -> Self {
        match exit {
            Ok(VcpuExit::Shutdown) => Self::Shutdown,
            Ok(VcpuExit::InternalError) => Self::Internal,
            Ok(VcpuExit::IoOut(port, data)) => Self::Port { port, bytes: data.len() },
            Ok(VcpuExit::IoIn(port, data)) => Self::Port { port, bytes: data.len() },
            Ok(VcpuExit::Intr) => Self::Interrupted,
            Ok(other) => Self::Other(format!("{other:?}")),
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => Self::Interrupted,
            Err(error) => Self::Run(error),
        }
    }
}

/// What is at an address that is not memory.
enum Device {
    /// The virtio registers, at this offset.
    Virtio(u64),
    /// The call register.
    Call,
}

fn device(gpa: u64) -> Option<Device> {
    match gpa.wrapping_sub(VIRTIO_MMIO.0) {
        offset if offset < mmio::SIZE => Some(Device::Virtio(offset)),
        _ if gpa == CALL_MMIO.0 => Some(Device::Call),
        _ => None,
    }
}

/// A 32-bit value as an exit carries it; any other width is no word of ours.
fn word(data: &[u8]) -> u32 {
    data.try_into().map_or(u32::MAX, u32::from_le_bytes)
}
