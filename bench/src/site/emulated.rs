//! The lab, as a run that took place in it tells of it.

use abi::axes::Axis;
use host::kvm::Flavour;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;

/// What time is in the lab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabClock {
    /// The instructions executed so far: figures repeat exactly.
    Instructions,
    /// The clock on the wall: quicker, and figures of an emulator.
    Wall,
}

impl Axis for LabClock {
    const AXIS: &'static str = "clock";
    const ALL: &'static [Self] = &[Self::Instructions, Self::Wall];

    fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Wall => "wall",
        }
    }
}

/// Whose processor the lab has. Each vendor's is emulated by another program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabCpu {
    /// AMD's, with nested SVM: QEMU.
    Amd,
    /// Intel's, with VMX: Bochs.
    Intel,
}

impl Axis for LabCpu {
    const AXIS: &'static str = "cpu";
    const ALL: &'static [Self] = &[Self::Amd, Self::Intel];

    fn name(self) -> &'static str {
        match self {
            Self::Amd => "amd",
            Self::Intel => "intel",
        }
    }
}

/// A mitigation of a processor's flaw that the lab's kernel is told to leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwitchedOff {
    /// The kernel parameter that does so.
    pub parameter: &'static str,
    /// Why, in a sentence that follows the parameter and a colon.
    pub why: &'static str,
}

/// L1 Terminal Fault (Linux Documentation/admin-guide/hw-vuln/l1tf.rst).
const L1TF: SwitchedOff = SwitchedOff {
    parameter: "l1tf=off",
    why: "this model has that flaw and no microcode against it, so that KVM would read 64 KiB to empty the L1 cache before every entry that follows an exit to user space, 4183 instructions which processors with microcode are spared",
};

impl LabCpu {
    /// The kernel parameter by which a lab's machine knows what it is. Linux leaves alone what is meant for a module
    /// that is not there.
    pub const PARAMETER: &'static str = "pagehint.lab=";

    /// What emulates it.
    #[must_use]
    pub const fn emulator(self) -> &'static str {
        match self {
            Self::Amd => "QEMU TCG",
            Self::Intel => "Bochs",
        }
    }

    /// Which of the emulator's processors it is, by the emulator's name for it.
    #[must_use]
    pub const fn model(self) -> &'static str {
        match self {
            Self::Amd => "max",
            Self::Intel => "broadwell_ult",
        }
    }

    /// Mitigations the kernel would choose and is told not to.
    #[must_use]
    pub const fn switched_off(self) -> &'static [SwitchedOff] {
        match self {
            Self::Amd => &[],
            Self::Intel => &[L1TF],
        }
    }

    /// The KVM that runs on it.
    #[must_use]
    pub const fn flavour(self) -> Flavour {
        match self {
            Self::Amd => Flavour::Svm,
            Self::Intel => Flavour::Vmx,
        }
    }

    /// Whether its time can be the clock on the wall: the counter that Bochs gives a guest counts instructions,
    /// whatever its clock is.
    #[must_use]
    pub const fn has(self, clock: LabClock) -> bool {
        matches!((self, clock), (Self::Amd, _) | (Self::Intel, LabClock::Instructions))
    }

    /// The lab's processor, as its kernel was told on this command line; `None` elsewhere.
    #[must_use]
    pub fn of_command_line(line: &str) -> Option<Self> {
        line.split_whitespace().find_map(|word| Self::from_name(word.strip_prefix(Self::PARAMETER)?))
    }
}

/// What `environment.json` says of the lab a run took place in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// What time is in it.
    pub clock: Named<LabClock>,
    /// What the emulator says it is.
    pub emulator: String,
    /// The processor it was asked for, in its own words; empty in files of before there was a choice.
    #[serde(default)]
    pub processor: String,
    /// What the kernel was told; empty in files of before there was a choice.
    #[serde(default)]
    pub kernel_parameters: String,
    /// The package its kernel and modules came in.
    pub kernel_package: String,
    /// That package's version.
    pub kernel_version: String,
    /// What it took, boot included, in seconds by the clock on the wall of the machine that emulated it.
    pub took_s: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_of_the_lab_knows_what_it_is() {
        for cpu in LabCpu::ALL {
            let line = format!("quiet {}{} panic=-1\n", LabCpu::PARAMETER, cpu.name());
            assert_eq!(LabCpu::of_command_line(&line), Some(*cpu));
        }
        for line in ["", "quiet", "pagehint.lab=", "pagehint.lab=mips", "x.pagehint.lab=amd"] {
            assert_eq!(LabCpu::of_command_line(line), None, "{line}");
        }
    }
}
