//! How a run is repeated.

use std::borrow::Cow;

use abi::axes::Axis;

use super::summary::Shown;
use crate::site::emulated::LabCpu;
use crate::site::environment::Environment;

/// Commands that repeat a run.
pub struct Again {
    /// What was typed.
    pub typed: String,
    /// The same trials in the same order, from `plan.toml` in the run's directory.
    pub planned: String,
}

/// Of a run.
#[must_use]
pub fn again(shown: &Shown, environment: &Environment) -> Again {
    let typed = environment.command.iter().skip(1).map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let command = shown.experiment.command();
    let command = environment.lab.as_ref().map_or(command.to_owned(), |lab| {
        let cpu = LabCpu::ALL.iter().find(|cpu| cpu.flavour() == environment.kvm.flavour.0);
        let cpu = cpu.map_or_else(String::new, |cpu| format!(" --cpu {}", cpu.name()));
        format!("lab {command}{cpu} --clock {} --kernel {}", lab.clock, quoted(&lab.kernel_package))
    });
    Again { typed: format!("pagehint {typed}"), planned: format!("pagehint {command} --plan plan.toml") }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', "'\\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::named::Named;
    use crate::site::emulated::{Described, LabClock};
    use crate::testing::timed::counted;

    #[test]
    fn a_run_of_the_lab_is_run_again_in_the_lab() {
        let archive = counted(1000);
        let shown = Shown::of(&archive).unwrap();
        let mut environment = archive.environment;
        environment.command = ["pagehint", "lab", "--out", "it's"].map(str::to_owned).to_vec();
        assert_eq!(again(&shown, &environment).planned, "pagehint compare --plan plan.toml");
        environment.lab = Some(Described {
            clock: Named(LabClock::Instructions),
            emulator: String::new(),
            processor: String::new(),
            kernel_parameters: String::new(),
            kernel_package: "linux-image-6.1.0-1".to_owned(),
            kernel_version: String::new(),
            took_s: 0.0,
        });
        let Again { typed, planned } = again(&shown, &environment);
        let command = "pagehint lab compare --cpu intel --clock instructions --kernel linux-image-6.1.0-1 --plan plan.toml";
        assert_eq!((typed.as_str(), planned.as_str()), ("pagehint lab --out 'it'\\''s'", command));
    }
}
