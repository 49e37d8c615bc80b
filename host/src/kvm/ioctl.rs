//! The few things of KVM that need `unsafe`: giving it memory, and what kvm-ioctls does not wrap.

#![expect(unsafe_code, reason = "KVM_SET_USER_MEMORY_REGION, KVM_GET_DEVICE_ATTR, a union of kvm_run")]

use kvm_bindings::{
    KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, KVMIO, kvm_device_attr, kvm_userspace_memory_region,
};
use kvm_ioctls::{VcpuFd, VmFd};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

use super::clock::TscOffset;
use crate::memory::GuestRam;

ioctl_iow_nr!(KVM_GET_DEVICE_ATTR, KVMIO, 0xe2, kvm_device_attr);

/// Makes guest memory the machine's only memory slot.
pub(crate) fn give_memory(vm: &VmFd, ram: &GuestRam) -> Result<(), kvm_ioctls::Error> {
    let whole = ram.whole();
    // All of memory is in memory.
    let host = ram.host_range(whole).ok_or_else(|| kvm_ioctls::Error::new(libc::EFAULT))?;
    let slot = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: whole.gpa().0,
        memory_size: whole.bytes(),
        userspace_addr: host.address as u64,
    };
    // SAFETY: the range is mapped and stays so: `Machine` holds the memory until after the machine is gone. No
    // Rust reference points into it.
    unsafe { vm.set_user_memory_region(slot) }
}

/// Guest minus host time stamp counter, as KVM states it (Linux 5.16).
pub(crate) fn tsc_offset(vcpu: &VcpuFd) -> Option<TscOffset> {
    let mut offset = 0_i64;
    let attribute = kvm_device_attr {
        group: KVM_VCPU_TSC_CTRL,
        attr: u64::from(KVM_VCPU_TSC_OFFSET),
        addr: (&raw mut offset) as u64,
        flags: 0,
    };
    // SAFETY: the attribute points to eight writable bytes, which is what this one takes.
    let result = unsafe { ioctl_with_ref(vcpu, KVM_GET_DEVICE_ATTR(), &attribute) };
    (result == 0).then_some(TscOffset(offset))
}

/// KVM's reason after `KVM_EXIT_INTERNAL_ERROR`.
pub(crate) fn internal_suberror(vcpu: &mut VcpuFd) -> u32 {
    // SAFETY: the last exit was an internal error, so that this is the member of the union KVM has filled; any
    // bits are a valid u32.
    unsafe { vcpu.get_kvm_run().__bindgen_anon_1.internal.suberror }
}
