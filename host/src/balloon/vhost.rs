//! The reporting queue of a balloon whose host's kernel serves it: the module vhost-pagehint (`host/kernel/vhost_pagehint.c`)
//! is given guest memory, the ring and both eventfds once the driver is ready, and taken away when the driver resets the
//! device. Nobody in user space looks into the ring in between.

#![expect(unsafe_code, reason = "ioctls of vhost's that name guest memory")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use abi::addr::Gpa;
use abi::wire::split_ring::DESC_SIZE;
use abi::wire::virtio::feature;
use virtio_queue::{Queue, QueueT};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::ioctl::{ioctl, ioctl_with_mut_ref, ioctl_with_ref};
use vmm_sys_util::{ioctl_io_nr, ioctl_ior_nr, ioctl_iow_nr};

use crate::kvm::VHOST_DEVICE;
use crate::memory::GuestRam;

/// Of `linux/vhost_types.h` and `linux/vhost.h`; what is [`Memory`] here the number knows by its first word alone.
const VHOST: u32 = 0xaf;
ioctl_iow_nr!(SET_FEATURES, VHOST, 0x00, u64);
ioctl_io_nr!(SET_OWNER, VHOST, 0x01);
ioctl_iow_nr!(SET_MEM_TABLE, VHOST, 0x03, u64);
ioctl_iow_nr!(SET_VRING_NUM, VHOST, 0x10, State);
ioctl_iow_nr!(SET_VRING_ADDR, VHOST, 0x11, Addresses);
ioctl_iow_nr!(SET_VRING_BASE, VHOST, 0x12, State);
ioctl_iow_nr!(SET_VRING_KICK, VHOST, 0x20, Descriptor);
ioctl_iow_nr!(SET_VRING_CALL, VHOST, 0x21, Descriptor);
ioctl_iow_nr!(SET_VRING_ERR, VHOST, 0x22, Descriptor);
// The module's own.
ioctl_iow_nr!(PAGEHINT_RUN, VHOST, 0xa0, i32);
ioctl_ior_nr!(PAGEHINT_BROKEN, VHOST, 0xa1, i32);

/// Features of the ring that the module has to know.
const OF_THE_RING: u64 = feature::VERSION_1 | feature::INDIRECT_DESC | feature::EVENT_IDX;
/// Bytes of the available ring and of the used ring: of both with their event index, and of an entry.
const AVAIL: [u64; 2] = [6, 2];
const USED: [u64; 2] = [6, 8];

/// `struct vhost_memory` with one region: how many there are, where the guest has it, its bytes, where we have it, flags.
type Memory = [u64; 5];

/// `struct vhost_vring_state`, of the only queue.
#[repr(C)]
struct State {
    queue: u32,
    value: u32,
}

/// `struct vhost_vring_file`.
#[repr(C)]
struct Descriptor {
    queue: u32,
    fd: i32,
}

/// `struct vhost_vring_addr`.
#[repr(C)]
struct Addresses {
    queue: u32,
    flags: u32,
    desc: u64,
    used: u64,
    avail: u64,
    log: u64,
}

/// The module cannot be had, or does not take what it is given.
#[derive(Debug, thiserror::Error)]
pub enum VhostError {
    /// Its device cannot be opened.
    #[error(
        "{VHOST_DEVICE} cannot be opened: {0}; see that it is yours to read and write, or use --servicer device"
    )]
    Open(io::Error),
    /// It refuses something.
    #[error("{VHOST_DEVICE} refuses {what}: {source}; use --servicer device")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The module as it is opened for one machine.
#[derive(Debug)]
pub(crate) struct Vhost {
    // Closed before guest memory can go: until then the module zaps what lies where that is.
    device: File,
    ram: Arc<GuestRam>,
    /// Why it was not started, once that is so.
    pub(super) failed: Option<String>,
}

impl Vhost {
    /// Opens it and gives it guest memory, what kicks it, and what it calls the guest by. It serves nothing yet.
    ///
    /// # Errors
    /// [`VhostError`].
    pub(crate) fn open(ram: &Arc<GuestRam>, kick: &EventFd, call: &EventFd) -> Result<Self, VhostError> {
        let device =
            OpenOptions::new().read(true).write(true).open(VHOST_DEVICE).map_err(VhostError::Open)?;
        let vhost = Self { device, ram: Arc::clone(ram), failed: None };
        // SAFETY: it has no argument.
        done(unsafe { ioctl(&vhost.device, SET_OWNER()) }).map_err(refused("VHOST_SET_OWNER"))?;
        vhost.give_memory().map_err(refused("VHOST_SET_MEM_TABLE"))?;
        vhost.give(SET_VRING_KICK(), kick).map_err(refused("VHOST_SET_VRING_KICK"))?;
        vhost.give(SET_VRING_CALL(), call).map_err(refused("VHOST_SET_VRING_CALL"))?;
        // A guest that sleeps is to wake for that too, as it would for a device that needs a reset (virtio 2.1.2).
        vhost.give(SET_VRING_ERR(), call).map_err(refused("VHOST_SET_VRING_ERR"))?;
        Ok(vhost)
    }

    fn give_memory(&self) -> io::Result<()> {
        let whole = self.ram.whole();
        let host = self.ram.host_range(whole).ok_or(io::ErrorKind::InvalidInput)?;
        let memory: Memory = [1, whole.gpa().0, whole.bytes(), host.address as u64, 0];
        // SAFETY: the kernel reads a head of two words of 32 bits and one region. What it names is mapped and stays so for
        // as long as the device is open: both are fields of this. No Rust reference points into it.
        done(unsafe { ioctl_with_ref(&self.device, SET_MEM_TABLE(), &memory) })
    }

    fn give(&self, request: libc::c_ulong, eventfd: &EventFd) -> io::Result<()> {
        let descriptor = Descriptor { queue: 0, fd: eventfd.as_raw_fd() };
        // SAFETY: the kernel reads a number and a descriptor, of which it keeps the file.
        done(unsafe { ioctl_with_ref(&self.device, request, &descriptor) })
    }

    fn set(&self, request: libc::c_ulong, value: u32) -> io::Result<()> {
        // SAFETY: the kernel reads two numbers.
        done(unsafe { ioctl_with_ref(&self.device, request, &State { queue: 0, value }) })
    }

    fn run(&self, wanted: bool) -> io::Result<()> {
        // SAFETY: the kernel reads a number.
        done(unsafe { ioctl_with_ref(&self.device, PAGEHINT_RUN(), &i32::from(wanted)) })
    }

    /// Has it serve a queue from its first entry on.
    pub(super) fn start(&self, number: u16, queue: &Queue, features: u64) -> Result<(), String> {
        let refused = |what: &'static str| move |error| format!("{what}: {error}");
        let size = queue.size();
        let [desc, avail, used] = [
            (queue.desc_table(), u64::from(size) * DESC_SIZE),
            (queue.avail_ring(), AVAIL[0] + u64::from(size) * AVAIL[1]),
            (queue.used_ring(), USED[0] + u64::from(size) * USED[1]),
        ]
        .map(|(at, bytes)| self.host_address(Gpa(at), bytes));
        let (Some(desc), Some(avail), Some(used)) = (desc, avail, used) else {
            return Err(format!("queue {number} does not lie wholly in memory"));
        };
        let addresses = Addresses { queue: 0, flags: 0, desc, used, avail, log: 0 };
        // SAFETY: the kernel reads eight bytes.
        done(unsafe { ioctl_with_ref(&self.device, SET_FEATURES(), &(features & OF_THE_RING)) })
            .map_err(refused("VHOST_SET_FEATURES"))?;
        self.set(SET_VRING_NUM(), size.into()).map_err(refused("VHOST_SET_VRING_NUM"))?;
        self.set(SET_VRING_BASE(), 0).map_err(refused("VHOST_SET_VRING_BASE"))?;
        // SAFETY: the kernel reads what is in it. The addresses are of guest memory: of what is mapped, see `give_memory`.
        done(unsafe { ioctl_with_ref(&self.device, SET_VRING_ADDR(), &addresses) })
            .map_err(refused("VHOST_SET_VRING_ADDR"))?;
        self.run(true).map_err(refused("to serve the reporting queue"))
    }

    /// Where so many bytes of guest memory are, if that is what they are: a ring elsewhere would have the kernel write into
    /// what is not the guest's.
    fn host_address(&self, at: Gpa, bytes: u64) -> Option<u64> {
        let whole = self.ram.whole();
        let holds = self.ram.holds(at, usize::try_from(bytes).ok()?);
        let start = self.ram.host_range(whole)?.address as u64;
        holds.then(|| start + (at.0 - whole.gpa().0))
    }

    /// Has it serve no more. Nothing is zapped once this returns.
    pub(super) fn stop(&mut self) {
        if let Err(error) = self.run(false) {
            // It is owned and open, so that this cannot be; a guest that goes on must not be served all the same.
            self.failed = Some(format!("it cannot be stopped: {error}"));
        }
    }

    /// Why it serves no more, if that is so.
    pub(super) fn broken(&self) -> Option<io::Error> {
        let mut error = 0_i32;
        // SAFETY: the kernel writes a number.
        let asked = done(unsafe { ioctl_with_mut_ref(&self.device, PAGEHINT_BROKEN(), &mut error) });
        match (asked, error) {
            (Err(refused), _) => Some(refused),
            (Ok(()), 0) => None,
            (Ok(()), error) => Some(io::Error::from_raw_os_error(error)),
        }
    }
}

fn refused(what: &'static str) -> impl FnOnce(io::Error) -> VhostError {
    move |source| VhostError::Refused { what, source }
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
