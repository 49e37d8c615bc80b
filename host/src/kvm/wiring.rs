//! What is wired to a virtual machine before it runs: memory, hypercalls, the interrupt, the kick.

use std::io;
use std::sync::Arc;

use abi::axes::Bell;
use abi::calls::{HYPERCALL_NUMBER, KICK_PORT, STORE_PORT};
use abi::layout::{INTERRUPT_VECTOR, STORE_MMIO, VIRTIO_MMIO};
use abi::wire::store;
use abi::wire::virtio::balloon::{DEFLATE_QUEUE, INFLATE_QUEUE, REPORTING_QUEUE};
use abi::wire::virtio::mmio;
use kvm_bindings::{
    KVM_CAP_COALESCED_MMIO, KVM_CAP_COALESCED_PIO, KVM_CAP_EXIT_HYPERCALL, KVM_CAP_HALT_POLL,
    KVM_IRQ_ROUTING_MSI, KvmIrqRouting, kvm_enable_cap, kvm_irq_routing_entry, kvm_irq_routing_msi,
};
use kvm_ioctls::{IoEventAddress, Kvm, NoDatamatch, VmFd};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::error::BuildError;
use super::ioctl;
use super::open::KvmError;
use crate::axes::Match;
use crate::memory::GuestRam;

/// Interrupt line of the balloon, routed as a message to the vCPU's local APIC.
const GSI: u32 = 5;
/// Where interrupt messages go: local APIC 0 (SDM volume 3, 11.11).
const MSI_ADDRESS: u32 = 0xfee0_0000;
/// Three unused pages for KVM on Intel processors that need them for real mode; below 4 GiB, no memory there.
const KVM_TSS: usize = 0xfffb_d000;

/// Makes the interrupt controllers and gives the machine its memory.
pub(crate) fn memory(vm: &VmFd, ram: &GuestRam) -> Result<(), KvmError> {
    vm.set_tss_address(KVM_TSS).map_err(KvmError::ioctl("KVM_SET_TSS_ADDR"))?;
    vm.create_irq_chip().map_err(KvmError::ioctl("KVM_CREATE_IRQCHIP"))?;
    ioctl::give_memory(vm, ram).map_err(KvmError::ioctl("KVM_SET_USER_MEMORY_REGION"))
}

/// Has KVM leave the one hypercall it can to us.
pub(crate) fn hypercalls(vm: &VmFd) -> Result<(), BuildError> {
    let enable = kvm_enable_cap {
        cap: KVM_CAP_EXIT_HYPERCALL,
        args: [1 << HYPERCALL_NUMBER, 0, 0, 0],
        ..Default::default()
    };
    vm.enable_cap(&enable).map_err(refused("KVM_CAP_EXIT_HYPERCALL", "--doorbell port"))
}

/// Has KVM put a processor that halts to sleep at once.
pub(crate) fn never_poll(vm: &VmFd) -> Result<(), BuildError> {
    let enable = kvm_enable_cap { cap: KVM_CAP_HALT_POLL, ..Default::default() };
    vm.enable_cap(&enable).map_err(refused("KVM_CAP_HALT_POLL", "--halt-poll host"))
}

fn refused(capability: &'static str, instead: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> BuildError {
    move |source| BuildError::Capability { capability, source, instead }
}

/// Routes the balloon's line as a message with its vector, as MSI-X does: no status register to read, no exit. It goes to
/// the first processors, as many as may wait for it; all of them have it then, and whoever is waited for looks.
pub(crate) fn interrupt(vm: &VmFd, processors: u32) -> Result<EventFd, KvmError> {
    let mut entry = kvm_irq_routing_entry { gsi: GSI, type_: KVM_IRQ_ROUTING_MSI, ..Default::default() };
    entry.u.msi = kvm_irq_routing_msi {
        address_lo: message_address(processors),
        // A vector has eight bits.
        data: u32::try_from(INTERRUPT_VECTOR).unwrap_or(0),
        ..Default::default()
    };
    let routing = KvmIrqRouting::from_entries(&[entry]).map_err(|error| KvmError::Unusable {
        what: "no interrupt route",
        source: io::Error::other(format!("{error:?}")),
    })?;
    vm.set_gsi_routing(&routing).map_err(KvmError::ioctl("KVM_SET_GSI_ROUTING"))?;
    let interrupt = eventfd()?;
    vm.register_irqfd(&interrupt, GSI).map_err(KvmError::ioctl("KVM_IRQFD"))?;
    Ok(interrupt)
}

/// Where a message goes that so many processors are to have: one by its number, several by a bit each in the logical
/// destination, of which a message has eight bits (SDM volume 3, 11.11.1).
const fn message_address(processors: u32) -> u32 {
    const LOGICAL: u32 = 1 << 2;
    match processors {
        0 | 1 => MSI_ADDRESS,
        _ => MSI_ADDRESS | LOGICAL | ((1 << processors) - 1) << 12,
    }
}

/// An interrupt line of the controllers as KVM routes them by itself, raised by writing to an eventfd.
pub(crate) fn line(vm: &VmFd, line: u32) -> Result<EventFd, KvmError> {
    let interrupt = eventfd()?;
    vm.register_irqfd(&interrupt, line).map_err(KvmError::ioctl("KVM_IRQFD"))?;
    Ok(interrupt)
}

/// Turns kicks into signals of an eventfd: by the number of the queue that is written, as monitors do for a device of
/// several queues with one register; or by the address alone, as they do where each queue has its own.
pub(crate) fn kick(vm: &VmFd, bell: Bell, matches: Option<Match>) -> Result<EventFd, KvmError> {
    let kick = EventFd::new(0).map_err(|source| KvmError::Unusable { what: "no eventfd", source })?;
    let Some(matches) = matches else { return Ok(kick) };
    let notify = IoEventAddress::Mmio(VIRTIO_MMIO.0 + mmio::QUEUE_NOTIFY);
    let (address, queues): (_, &[u16]) = match bell {
        Bell::KickPort => (IoEventAddress::Pio(KICK_PORT.into()), &[REPORTING_QUEUE]),
        Bell::NotifyRegister => (notify, &[REPORTING_QUEUE]),
        Bell::NotifyQueue => (notify, &[INFLATE_QUEUE, DEFLATE_QUEUE]),
        _ => return Ok(kick),
    };
    match matches {
        Match::Address => vm.register_ioevent(&kick, &address, NoDatamatch),
        Match::Number => {
            queues.iter().try_for_each(|queue| vm.register_ioevent(&kick, &address, u32::from(*queue)))
        }
    }
    .map_err(KvmError::ioctl("KVM_IOEVENTFD"))?;
    Ok(kick)
}

/// Has KVM queue the words that the guest writes for its host, where this instruction writes them.
pub(crate) fn coalesce(kvm: &Kvm, vm: &VmFd, bell: Bell) -> Result<(), BuildError> {
    let (capability, name, at) = match bell {
        Bell::StorePort => {
            (KVM_CAP_COALESCED_PIO, "KVM_CAP_COALESCED_PIO", IoEventAddress::Pio(STORE_PORT.into()))
        }
        _ => (KVM_CAP_COALESCED_MMIO, "KVM_CAP_COALESCED_MMIO", IoEventAddress::Mmio(STORE_MMIO.0)),
    };
    // A KVM that queues no ports would take the port for an address, and say nothing.
    if kvm.check_extension_raw(capability.into()) <= 0 {
        return Err(BuildError::NoCoalescing { capability: name });
    }
    let registered = vm.register_coalesced_mmio(at, store::BYTES);
    Ok(registered.map_err(KvmError::ioctl("KVM_REGISTER_COALESCED_MMIO"))?)
}

/// The ioeventfd of the notify register, which hears of one queue.
#[derive(Debug)]
pub(crate) struct Listener {
    vm: Arc<VmFd>,
    kick: EventFd,
}

impl Listener {
    /// Of a machine whose kicks go there.
    pub(crate) fn new(vm: &Arc<VmFd>, kick: &EventFd) -> io::Result<Self> {
        Ok(Self { vm: Arc::clone(vm), kick: kick.try_clone()? })
    }

    /// Listens for another queue.
    pub(crate) fn listen(&self, before: u16, queue: u16) -> io::Result<()> {
        let address = IoEventAddress::Mmio(VIRTIO_MMIO.0 + mmio::QUEUE_NOTIFY);
        // KVM knows an ioeventfd by the file, which the duplicate is too.
        self.vm.register_ioevent(&self.kick, &address, u32::from(queue))?;
        Ok(self.vm.unregister_ioevent(&self.kick, &address, u32::from(before))?)
    }
}

fn eventfd() -> Result<EventFd, KvmError> {
    EventFd::new(EFD_NONBLOCK).map_err(|source| KvmError::Unusable { what: "no eventfd", source })
}
