//! What the kernel makes of the time stamp counter, which is all the clock there is on either side.

use std::fs;

/// Where the kernel says so.
const SYSFS: &str = "/sys/devices/system/clocksource/clocksource0";
/// The kernel's name of the counter.
const TSC: &str = "tsc";

/// What the kernel makes of the time stamp counter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClockSource {
    /// What the kernel tells the time by.
    pub current: String,
    /// By what it could. The counter is taken off this list once it is found to be unstable.
    pub available: Vec<String>,
    /// Whether the counter runs at one rate, whatever the processor's frequency, and on in all its sleeps; `None` if
    /// nobody says.
    pub invariant: Option<bool>,
    /// Whether an emulator plays the processor: its figures are no processor's, whatever its clock.
    pub emulated: bool,
}

/// Why stamps of the time stamp counter are no durations.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsteady {
    /// Its rate changes.
    #[error(
        "the time stamp counter of this processor is not invariant (constant_tsc and nonstop_tsc in /proc/cpuinfo): ticks are no time; use another host, or have the one that runs this virtual machine pass the flags on (QEMU: -cpu host,+invtsc,migratable=no)"
    )]
    NotInvariant,
    /// The kernel has found it out.
    #[error(
        "the kernel tells the time by {current} and does not trust the time stamp counter (`dmesg | grep -i tsc` says why): stamps of two processors cannot be compared; use another host"
    )]
    Unstable {
        /// What it tells the time by.
        current: String,
    },
}

impl ClockSource {
    /// Of this machine.
    pub(super) fn here() -> Self {
        let line = |name: &str| fs::read_to_string(format!("{SYSFS}/{name}")).unwrap_or_default();
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self::of(&line("current_clocksource"), &line("available_clocksource"), &processors)
    }

    fn of(current: &str, available: &str, processors: &str) -> Self {
        let flags = processors.lines().find(|line| line.starts_with("flags"));
        let has = |flags: &str, flag: &str| flags.split_whitespace().any(|word| word == flag);
        Self {
            current: current.trim().to_owned(),
            available: available.split_whitespace().map(str::to_owned).collect(),
            invariant: flags.map(|flags| has(flags, "constant_tsc") && has(flags, "nonstop_tsc")),
            emulated: is_emulated(),
        }
    }

    /// Whether ticks of the counter are durations, on every processor alike.
    ///
    /// What the kernel tells the time by is not what counts: a virtual machine's may prefer the clock of its hypervisor
    /// and trust the counter all the same. Where nothing is said, nothing is refused.
    ///
    /// # Errors
    /// [`Unsteady`] if they are known not to be.
    pub fn steady(&self) -> Result<(), Unsteady> {
        if self.emulated {
            return Ok(());
        }
        if self.invariant == Some(false) {
            return Err(Unsteady::NotInvariant);
        }
        if !self.available.is_empty() && !self.available.iter().any(|source| source == TSC) {
            return Err(Unsteady::Unstable { current: self.current.clone() });
        }
        Ok(())
    }
}

/// Whether QEMU's own emulator says that it plays the processor.
fn is_emulated() -> bool {
    const HYPERVISOR: u32 = 1 << 31;
    if core::arch::x86_64::__cpuid(1).ecx & HYPERVISOR == 0 {
        return false;
    }
    let found = core::arch::x86_64::__cpuid(0x4000_0000);
    [found.ebx, found.ecx, found.edx].iter().flat_map(|word| word.to_le_bytes()).eq(*b"TCGTCGTCGTCG")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVARIANT: &str = "processor\t: 0\nflags\t\t: fpu tsc constant_tsc nonstop_tsc\n";

    fn steady(current: &str, available: &str, processors: &str) -> Result<(), Unsteady> {
        ClockSource { emulated: false, ..ClockSource::of(current, available, processors) }.steady()
    }

    #[test]
    fn a_counter_that_the_kernel_trusts_is_steady_whatever_tells_the_time() {
        assert_eq!(steady("tsc\n", "tsc hpet acpi_pm \n", INVARIANT), Ok(()));
        assert_eq!(steady("kvm-clock\n", "kvm-clock tsc acpi_pm \n", INVARIANT), Ok(()));
        assert_eq!(steady("", "", ""), Ok(()), "nothing is said");
    }

    #[test]
    fn a_counter_that_was_found_out_is_refused() {
        let found = steady("hpet\n", "hpet acpi_pm \n", INVARIANT);
        assert_eq!(found, Err(Unsteady::Unstable { current: "hpet".into() }));
    }

    #[test]
    fn a_counter_whose_rate_changes_is_refused_but_not_an_emulators() {
        for flags in ["flags : tsc", "flags : tsc constant_tsc", "flags : tsc nonstop_tsc"] {
            assert_eq!(steady("tsc\n", "tsc\n", flags), Err(Unsteady::NotInvariant));
        }
        let emulated = ClockSource { emulated: true, invariant: Some(false), ..ClockSource::default() };
        assert_eq!(emulated.steady(), Ok(()));
    }
}
