//! Calls by the conventions of other hypervisors, which kvm-ioctls does not wrap: how KVM is told to leave them to us, and
//! what they are in `struct kvm_run` (Linux `Documentation/virt/kvm/api.rst`, `KVM_EXIT_XEN` and `KVM_EXIT_HYPERV`).

#![expect(unsafe_code, reason = "KVM_XEN_HVM_CONFIG, unions of kvm_run")]

use abi::calls::{Answer, hyperv, xen};
use kvm_bindings::{
    CpuId, KVM_EXIT_HYPERV, KVM_EXIT_HYPERV_HCALL, KVM_EXIT_XEN, KVM_EXIT_XEN_HCALL, KVM_MAX_CPUID_ENTRIES,
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, KVMIO, kvm_cpuid_entry2, kvm_xen_hvm_config,
};
use kvm_ioctls::{Cap, Kvm, VcpuFd, VmFd};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

use super::board::Request;
use super::error::BuildError;

ioctl_iow_nr!(KVM_XEN_HVM_CONFIG, KVMIO, 0x7a, kvm_xen_hvm_config);

/// Any register but 0 will do, and without one KVM does nothing: where Xen has its page of code when nobody else is there.
const XEN_MSR: u32 = 0x4000_0000;

/// The hypervisor's range of CPUID (Intel SDM 2, CPUID; AMD APM 3, E.3).
const HYPERVISOR: std::ops::RangeInclusive<u32> = 0x4000_0000..=0x4fff_ffff;
/// `Hv#1`, by which KVM knows that a machine is to have Hyper-V.
const HYPERV_INTERFACE: u32 = u32::from_le_bytes(*b"Hv#1");
/// Of `HYPERV_CPUID_FEATURES`, `eax` and `ebx`: the registers of the page of code; extended calls.
const MAY_ENABLE_CALLS: u32 = 1 << 5;
const MAY_CALL_EXTENDED: u32 = 1 << 20;

/// Has KVM leave Xen's calls to us. All others become Xen's then.
pub(super) fn intercept_xen(vm: &VmFd) -> Result<(), BuildError> {
    let config = kvm_xen_hvm_config {
        flags: KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
        msr: XEN_MSR,
        ..kvm_xen_hvm_config::default()
    };
    // SAFETY: the request reads a structure of this type, which outlives it, and which names no memory: there is no page
    // of code in it.
    match unsafe { ioctl_with_ref(vm, KVM_XEN_HVM_CONFIG(), &config) } {
        0 => Ok(()),
        _ => Err(BuildError::NoXen { source: kvm_ioctls::Error::last() }),
    }
}

/// Makes a processor one of a Hyper-V machine, before it runs: KVM knows it by its CPUID.
pub(super) fn be_hyperv(kvm: &Kvm, vcpu: &VcpuFd) -> Result<(), BuildError> {
    if !kvm.check_extension(Cap::Hyperv) {
        return Err(BuildError::NoHyperv);
    }
    let refused = |source| BuildError::HypervCpuid { source };
    let supported = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(refused)?;
    let others = supported.as_slice().iter().filter(|leaf| !HYPERVISOR.contains(&leaf.function));
    let leaves: Vec<_> = others.copied().chain(hyperv_leaves()).collect();
    let cpuid = CpuId::from_entries(&leaves).map_err(|_| refused(kvm_ioctls::Error::new(libc::E2BIG)))?;
    vcpu.set_cpuid2(&cpuid).map_err(refused)
}

/// Vendor, interface, identity and features (TLFS 6.0b, 2.4).
fn hyperv_leaves() -> [kvm_cpuid_entry2; 4] {
    let leaf = |function, [eax, ebx, ecx, edx]: [u32; 4]| kvm_cpuid_entry2 {
        function,
        eax,
        ebx,
        ecx,
        edx,
        ..kvm_cpuid_entry2::default()
    };
    let [vendor, of, name] = [b"Micr", b"osof", b"t Hv"].map(|part| u32::from_le_bytes(*part));
    [
        leaf(0x4000_0000, [0x4000_0003, vendor, of, name]),
        leaf(0x4000_0001, [HYPERV_INTERFACE, 0, 0, 0]),
        leaf(0x4000_0002, [0; 4]),
        leaf(0x4000_0003, [MAY_ENABLE_CALLS, MAY_CALL_EXTENDED, 0, 0]),
    ]
}

/// A call, and what its answer has to be made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// Xen's, with its number.
    Xen { number: u64 },
    /// Hyper-V's, with its control word and where its output goes.
    Hyperv { control: u64, output: u64 },
}

impl Call {
    /// The last exit as a call, with what it asks for; `None` if it was none.
    pub(super) fn of(vcpu: &mut VcpuFd) -> Option<(Self, Request)> {
        let run = vcpu.get_kvm_run();
        match run.exit_reason {
            KVM_EXIT_XEN => {
                // SAFETY: KVM fills this member of the union for this reason; any bits are valid integers.
                let exit = unsafe { run.__bindgen_anon_1.xen };
                // SAFETY: the union has one member.
                let call = unsafe { exit.u.hcall };
                (exit.type_ == KVM_EXIT_XEN_HCALL).then(|| Self::of_xen(call.input, call.params))
            }
            KVM_EXIT_HYPERV => {
                // SAFETY: KVM fills this member of the union for this reason; any bits are valid integers.
                let exit = unsafe { run.__bindgen_anon_1.hyperv };
                // SAFETY: all members are integers, of which any bits are valid, and this is the largest.
                let call = unsafe { exit.u.hcall };
                (exit.type_ == KVM_EXIT_HYPERV_HCALL).then(|| Self::of_hyperv(call.input, call.params))
            }
            _ => None,
        }
    }

    /// What a guest asks for by Xen's registers.
    pub(crate) fn of_xen(number: u64, [word, gpa, pages, ..]: [u64; 6]) -> (Self, Request) {
        // The word has 32 bits; whatever is above is no operation we know.
        let word = u32::try_from(word).ok().filter(|_| number == xen::NUMBER).unwrap_or(u32::MAX);
        (Self::Xen { number }, Request { word, gpa, pages })
    }

    /// What a guest asks for by Hyper-V's.
    pub(crate) const fn of_hyperv(control: u64, [gpa, output]: [u64; 2]) -> (Self, Request) {
        (Self::Hyperv { control, output }, Request { word: hyperv::word(control), gpa, pages: 1 })
    }

    /// Where a guest wants to read what we can do, if that is what it asks.
    pub(crate) const fn capabilities_to(self) -> Option<u64> {
        match self {
            Self::Hyperv { control, output } if control == hyperv::QUERY_CAPABILITIES as u64 => Some(output),
            _ => None,
        }
    }

    /// Leaves the answer where KVM takes it from when the processor goes on.
    pub(super) fn answer(self, vcpu: &mut VcpuFd, answer: Answer) {
        let exit = &mut vcpu.get_kvm_run().__bindgen_anon_1;
        match self {
            Self::Xen { number } => {
                let known = number == xen::NUMBER;
                exit.xen.u.hcall.result = if known { answer.value() } else { xen::NO_SUCH_CALL };
            }
            Self::Hyperv { control, .. } => exit.hyperv.u.hcall.result = hyperv::result(answer, control),
        }
    }
}

#[cfg(test)]
mod tests {
    use abi::calls::Operation;

    use super::*;

    #[test]
    fn a_call_is_taken_by_its_own_number_and_words_only() {
        let [word, gpa, pages] = [Operation::Range.word().into(), 0x5000, 3];
        let of = |number, word| Call::of_xen(number, [word, gpa, pages, 7, 8, 9]).1;
        assert_eq!(of(xen::NUMBER, word), Request { word: Operation::Range.word(), gpa, pages });
        assert_eq!(of(12, word).word, u32::MAX);
        assert_eq!(of(xen::NUMBER, word | 1 << 32).word, u32::MAX);
    }

    #[test]
    fn only_the_query_writes_what_we_can_do() {
        let query = hyperv::control(Operation::Nothing.word());
        assert_eq!(Call::of_hyperv(query, [0, 0x9000]).0.capabilities_to(), Some(0x9000));
        let hint = hyperv::control(Operation::HeatHint { count: 1 }.word());
        assert_eq!(Call::of_hyperv(hint, [0x8000, 0x9000]).0.capabilities_to(), None);
        assert_eq!(Call::of_hyperv(query | 1 << 32, [0, 0x9000]).0.capabilities_to(), None);
    }
}
