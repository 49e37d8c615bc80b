//! Whether this machine is itself a confidential guest. There its memory is not the kernel's alone: what is discarded
//! has to be accepted again (TDX) or validated again (SEV-SNP) before it can be used, and that is what a figure would
//! be of.

use std::fs;
use std::path::Path;

/// Kinds of confidential guests in which discarding is another thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Confidential {
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
}

impl Confidential {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tdx => "TDX",
            Self::SevSnp => "SEV-SNP",
        }
    }

    /// What this machine is a guest of, if any.
    pub(crate) fn here() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), |path| Path::new(path).exists())
    }

    /// By the flags of the processor and what the kernel offers such a guest. A host that could start SEV-SNP guests has
    /// the flag too, and is none: it has no hypervisor.
    fn of(cpuinfo: &str, exists: impl Fn(&str) -> bool) -> Option<Self> {
        let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
        let has = |flag| flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|found| found == flag));
        if has("tdx_guest") || exists("/dev/tdx_guest") {
            Some(Self::Tdx)
        } else if has("hypervisor") && (has("sev_snp") || exists("/dev/sev-guest")) {
            Some(Self::SevSnp)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(flags: &str, there: &str) -> Option<Confidential> {
        let cpuinfo = format!("processor\t: 0\nflags\t\t: fpu vme {flags} nx\nbugs\t\t: tdx_guest\n");
        Confidential::of(&cpuinfo, |path| path == there)
    }

    #[test]
    fn a_confidential_guest_is_known_by_its_processor_or_its_device() {
        assert_eq!(of("hypervisor tdx_guest", ""), Some(Confidential::Tdx));
        assert_eq!(of("hypervisor", "/dev/tdx_guest"), Some(Confidential::Tdx));
        assert_eq!(of("hypervisor sev sev_es sev_snp", ""), Some(Confidential::SevSnp));
        assert_eq!(of("hypervisor", "/dev/sev-guest"), Some(Confidential::SevSnp));
    }

    #[test]
    fn hosts_and_ordinary_guests_are_none() {
        assert_eq!(of("sev sev_es sev_snp", ""), None, "a host that could start such guests");
        assert_eq!(of("hypervisor", ""), None);
        assert_eq!(of("tdx_guest_like", ""), None);
        assert_eq!(Confidential::of("", |_| false), None);
    }
}
