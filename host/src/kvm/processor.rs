//! A virtual processor and its exit loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use abi::addr::Gpa;
use abi::axes::{Bell, GuestRing, Program};
use abi::boot::BootInfo;
use abi::calls::{Answer, CALL_PORT, HYPERCALL_NUMBER, KICK_PORT, Operation, STORE_PORT, hyperv};
use abi::control::{CONTROL_PORT, Control, IDLE_MOST, IDLE_PORT};
use abi::layout::{self, CALL_MMIO, REQUEST_PAGE, STORE_MMIO, VIRTIO_MMIO};
use abi::wire::page;
use abi::wire::virtio::mmio;
use kvm_bindings::KVM_EXIT_XEN;
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};

use super::board::{Board, Flow, Request};
use super::clock::{HostTsc, TscOffset};
use super::error::ExitError;
use super::exits::Counts;
use super::queued::Queued;
use super::stats::Statistics;
use super::watch::Watch;
use super::watchdog::Pulse;
use super::{foreign, image, ioctl};
use crate::memory::GuestRam;

/// The longest a guest may give its processor away at a time: how late it may notice that it is to stop.
const LONGEST_IDLE: Duration = Duration::from_micros(IDLE_MOST);

/// One virtual processor.
#[derive(Debug)]
pub(crate) struct Processor {
    // Goes before the memory it uses.
    vcpu: VcpuFd,
    ram: Arc<GuestRam>,
    pulse: Arc<Pulse>,
    counts: Arc<Counts>,
    /// Whether a call by this doorbell has registers to fetch.
    can_sync: bool,
    /// Whether the registers of a call come with its exit, and its answer is read.
    synced: bool,
    /// Where the answer is left then.
    answer_at: Gpa,
    ring: GuestRing,
}

impl Processor {
    /// Processor `number` of a machine that boots with `boot`.
    pub(crate) fn new(
        vcpu: VcpuFd,
        number: u32,
        ram: &Arc<GuestRam>,
        boot: &BootInfo,
        pulse: &Arc<Pulse>,
    ) -> Self {
        // Only calls that name something have registers worth fetching and an answer worth leaving.
        let named = boot.carrier.uses_registers() || boot.program == Program::Obey;
        let can_sync = matches!(boot.bell, Bell::CallPort | Bell::CallStore);
        let mut processor = Self {
            vcpu,
            ram: Arc::clone(ram),
            pulse: Arc::clone(pulse),
            counts: Arc::default(),
            can_sync,
            synced: false,
            answer_at: layout::vcpu::batch(number).offset(page::ANSWER),
            ring: boot.guest_ring,
        };
        processor.fetch_registers(named);
        processor
    }

    /// Has the registers of its calls fetched and their answers left in memory, or not. Says whether they are: a
    /// hypercall brings its registers and takes its answer in any case, and a kick has none.
    pub(crate) fn fetch_registers(&mut self, wanted: bool) -> bool {
        self.synced = wanted && self.can_sync;
        if self.synced {
            self.vcpu.set_sync_valid_reg(SyncReg::Register);
        } else {
            self.vcpu.clear_sync_valid_reg(SyncReg::Register);
        }
        self.synced
    }

    /// KVM's statistics of it, if KVM keeps any.
    pub(crate) fn statistics(&self) -> Option<Statistics> {
        Statistics::open(&self.vcpu)
    }

    /// Its exits, to be looked at from anywhere.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// The offset between its clock and ours, if KVM states it.
    pub(crate) fn tsc_offset(&self) -> Option<TscOffset> {
        ioctl::tsc_offset(&self.vcpu)
    }

    /// What KVM queues of its writes, if it is told to queue any.
    pub(crate) fn queued(&self) -> io::Result<Queued> {
        Queued::of(&self.vcpu)
    }

    /// Frequency of its clock in kHz, if KVM states it.
    pub(crate) fn tsc_khz(&self) -> Option<u32> {
        self.vcpu.get_tsc_khz().ok()
    }

    /// Runs the guest until the board wants to leave. This is the exit loop: every exit is one of these arms,
    /// and none of them allocates, formats or logs before an error is certain.
    ///
    /// Never inlined, so that what is timed is the same code whoever runs it.
    #[inline(never)]
    pub(crate) fn run<W: Watch, B: Board>(&mut self, board: &mut B) -> Result<(), B::Error> {
        loop {
            let exit = self.vcpu.run();
            let at = W::now();
            match exit {
                Ok(VcpuExit::IoOut(CALL_PORT, data)) => {
                    let word = word(data);
                    self.counts.port.up();
                    self.call::<W, B>(board, word, at)?;
                }
                Ok(VcpuExit::IoOut(KICK_PORT, _)) => {
                    self.counts.port.up();
                    board.call::<W>(&Request::KICK, at)?;
                }
                Ok(VcpuExit::IoOut(STORE_PORT, data)) => {
                    let value = word(data);
                    self.counts.port.up();
                    board.call::<W>(&Request::store(value), at)?;
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
                Ok(VcpuExit::IoOut(IDLE_PORT, data)) => {
                    let microseconds = word(data);
                    self.counts.idle.up();
                    self.idle(microseconds)?;
                    // No sign of progress: whoever waits for a processor that hangs waits like this.
                    continue;
                }
                Ok(VcpuExit::Hypercall(call)) if call.nr == HYPERCALL_NUMBER => {
                    self.counts.hypercall.up();
                    let [gpa, pages, word, ..] = call.args;
                    // The word has 32 bits; whatever is above is no operation we know.
                    let word = u32::try_from(word).unwrap_or(u32::MAX);
                    *call.ret = board.call::<W>(&Request { word, gpa, pages }, at)?.value();
                }
                Ok(VcpuExit::MmioWrite(gpa, data)) => {
                    self.counts.mmio.up();
                    match device(gpa) {
                        Some(Device::Virtio(mmio::QUEUE_NOTIFY)) if board.is_kick(word(data)) => {
                            board.call::<W>(&Request::KICK, at)?;
                        }
                        Some(Device::Virtio(offset)) => board.write(offset, data)?,
                        Some(Device::Call) => {
                            let word = word(data);
                            self.call::<W, B>(board, word, at)?;
                        }
                        Some(Device::Store) => {
                            board.call::<W>(&Request::store(word(data)), at)?;
                        }
                        Some(Device::Place(half)) => {
                            let word = word(data);
                            place::<W, B>(board, word, half, at)?;
                        }
                        None => return Err(self.nothing_at(gpa).into()),
                    }
                }
                Ok(VcpuExit::MmioRead(gpa, data)) => {
                    self.counts.mmio.up();
                    match device(gpa) {
                        Some(Device::Virtio(offset)) => board.read(offset, data),
                        Some(Device::Call | Device::Store | Device::Place(_)) => data.fill(0),
                        None => return Err(self.nothing_at(gpa).into()),
                    }
                }
                Ok(VcpuExit::Hyperv | VcpuExit::Unsupported(KVM_EXIT_XEN)) => {
                    self.counts.hypercall.up();
                    self.foreign::<W, B>(board, at)?;
                }
                other => {
                    let failure = Failure::of(other);
                    self.failed(failure)?;
                    // An interruption is no progress.
                    continue;
                }
            }
            self.pulse.beat();
        }
    }

    /// The least a monitor can do: enters the guest again whatever it wanted, until it says something on the
    /// control port. What [`Processor::run`] is compared with.
    pub(crate) fn run_bare(&mut self) -> Result<(), ExitError> {
        loop {
            match self.vcpu.run() {
                Ok(VcpuExit::IoOut(CONTROL_PORT, _)) => return Ok(()),
                Ok(VcpuExit::IoOut(..) | VcpuExit::MmioWrite(..) | VcpuExit::Hypercall(_)) => {}
                Ok(VcpuExit::Hyperv | VcpuExit::Unsupported(KVM_EXIT_XEN)) => {}
                other => {
                    let failure = Failure::of(other);
                    self.failed(failure)?;
                }
            }
        }
    }

    /// A call by port or store. One that names something has its registers fetched and its answer left in
    /// memory; a kick or an empty call has neither.
    fn call<W: Watch, B: Board>(&mut self, board: &mut B, word: u32, at: HostTsc) -> Result<(), B::Error> {
        if !self.synced {
            board.call::<W>(&Request { word, ..Request::default() }, at)?;
            return Ok(());
        }
        let registers = &self.vcpu.sync_regs_mut().regs;
        let request = Request { word, gpa: registers.rbx, pages: registers.rcx };
        let answer = board.call::<W>(&request, at)?;
        Ok(self.leave(self.answer_at, answer.value())?)
    }

    /// A call by another hypervisor's convention. Never inlined: the loop is the other doorbells' too.
    #[inline(never)]
    fn foreign<W: Watch, B: Board>(&mut self, board: &mut B, at: HostTsc) -> Result<(), B::Error> {
        let Some((call, request)) = foreign::Call::of(&mut self.vcpu) else {
            let reason = "of Xen or Hyper-V, and no call".to_owned();
            return Err(ExitError::Unexpected { reason, rip: self.rip() }.into());
        };
        let mut answer = board.call::<W>(&request, at)?;
        if let Some(output) = call.capabilities_to()
            && self.leave(Gpa(output), hyperv::COLD_DISCARD).is_err()
        {
            answer = Answer::BadPage;
        }
        call.answer(&mut self.vcpu, answer);
        Ok(())
    }

    /// Leaves an answer where the guest looks for it. One function for all loops and all kinds of calls: a second place
    /// that stores to guest memory changes what is inlined into the fetch of a ring.
    #[inline(never)]
    fn leave(&self, at: Gpa, answer: u64) -> Result<(), ExitError> {
        Ok(self.ram.write(at, answer)?)
    }

    /// The guest gives its processor away: 0 lets another thread run, else for so many microseconds at the most.
    /// A kick that comes meanwhile is seen afterwards.
    fn idle(&self, microseconds: u32) -> Result<(), ExitError> {
        match microseconds {
            0 => std::thread::yield_now(),
            _ => std::thread::sleep(Duration::from_micros(microseconds.into()).min(LONGEST_IDLE)),
        }
        self.pulse.unless_kicked(ExitError::Waiting)
    }

    fn nothing_at(&self, gpa: u64) -> ExitError {
        ExitError::Address { gpa: Gpa(gpa), rip: self.rip() }
    }

    /// Decides what an exit that is no service to the guest means; `Ok` if it was only a signal.
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
pub(super) enum Failure {
    Interrupted,
    /// Not ours to repeat: no processor of ours waits for another to start it, for which KVM says the same.
    NoThread(kvm_ioctls::Error),
    Shutdown,
    Internal,
    Port {
        port: u16,
        bytes: usize,
    },
    Other(String),
    Run(kvm_ioctls::Error),
}

impl Failure {
    pub(super) fn of(exit: Result<VcpuExit<'_>, kvm_ioctls::Error>) -> Self {
        match exit {
            Ok(VcpuExit::Shutdown) => Self::Shutdown,
            Ok(VcpuExit::InternalError) => Self::Internal,
            Ok(VcpuExit::IoOut(port, data)) => Self::Port { port, bytes: data.len() },
            Ok(VcpuExit::IoIn(port, data)) => Self::Port { port, bytes: data.len() },
            Ok(VcpuExit::Intr) => Self::Interrupted,
            Ok(other) => Self::Other(format!("{other:?}")),
            Err(error) if error.errno() == libc::EINTR => Self::Interrupted,
            Err(error) if error.errno() == libc::EAGAIN => Self::NoThread(error),
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
    /// Where ranges are written.
    Store,
    /// Where a processor says its request page is: the lower or the upper half of the address.
    Place(u64),
}

fn device(gpa: u64) -> Option<Device> {
    match gpa.wrapping_sub(VIRTIO_MMIO.0) {
        offset if offset < mmio::SIZE => Some(Device::Virtio(offset)),
        _ if gpa == CALL_MMIO.0 => Some(Device::Call),
        _ if gpa == STORE_MMIO.0 => Some(Device::Store),
        _ if gpa == REQUEST_PAGE.0 => Some(Device::Place(0)),
        _ if gpa == REQUEST_PAGE.offset(4).0 => Some(Device::Place(1)),
        _ => None,
    }
}

/// A processor says half of where its request page is. Out of the loop, which has enough calls in it.
#[cold]
fn place<W: Watch, B: Board>(board: &mut B, word: u32, half: u64, at: HostTsc) -> Result<(), B::Error> {
    let request = Request { word: Operation::Place.word(), gpa: word.into(), pages: half };
    board.call::<W>(&request, at).map(drop)
}

/// A 32-bit value as an exit carries it; any other width is no word of ours.
fn word(data: &[u8]) -> u32 {
    data.try_into().map_or(u32::MAX, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_signal_is_an_interruption() {
        let of = |errno| Failure::of(Err(kvm_ioctls::Error::new(errno)));
        assert!(matches!(of(libc::EINTR), Failure::Interrupted));
        assert!(matches!(of(libc::EAGAIN), Failure::NoThread(_)));
        assert!(matches!(of(libc::ENOMEM), Failure::Run(_)));
    }
}
