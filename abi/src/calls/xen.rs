//! A call by Xen's convention, which KVM leaves to user space whatever its number is, from any ring
//! (`KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL`; Linux `arch/x86/kvm/xen.c`, `kvm_xen_hypercall`).
//!
//! | register | what |
//! |---|---|
//! | `rax` | [`NUMBER`]; the answer |
//! | `rdi`, `rsi`, `rdx` | word, gpa and pages, as in every call ([`super`]) |
//! | `r10`, `r8`, `r9` | nothing |

/// The last of the numbers that Xen keeps for an architecture, of which x86 has no such call
/// (`__HYPERVISOR_arch_7`, Xen `xen/include/public/xen.h`).
pub const NUMBER: u64 = 55;

/// What Xen answers to a number it does not know (`-ENOSYS`).
pub const NO_SUCH_CALL: u64 = 38_u64.wrapping_neg();
