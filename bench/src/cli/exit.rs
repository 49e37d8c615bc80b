//! Exit codes: part of the interface, for scripts.

use std::process::ExitCode;

use host::kvm::KvmError;
use host::linux::LinuxError;
use host::trial::TrialError;

use crate::exchange::diff::DiffError;
use crate::exchange::export::ExportError;
use crate::experiment::ladder::gate::GrowthError;
use crate::lab::error::LabError;
use crate::model::examined::ExaminedError;
use crate::model::profile::ProfileError;
use crate::plan::PlanError;

/// For `--help`.
pub(super) const HELP: &str = "Exit codes: 0 fine, 1 error (a failed trial or check included), 2 usage (a plan \
that cannot be run included), 3 a path has grown or a cell got worse, 4 the run cannot carry its question (asked by --until or --require), 77 no usable KVM, or no lab. Stopped by SIGINT, SIGTERM or SIGHUP, it \
shows what had ended and dies by the signal, which shells report as 130, 143 and 129.";

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// Everything went well.
    Fine,
    /// Something did not.
    Error,
    /// What was asked for makes no sense.
    Usage,
    /// A path has grown.
    Grown,
    /// The run does not know what it was asked to know.
    Wanting,
    /// There is no usable KVM, or no lab.
    Unavailable,
    /// As a program ended that was run in the lab.
    Program(u8),
}

impl Code {
    /// As a shell has it of a program that a signal ended.
    pub(super) fn by(signal: i32) -> Self {
        Self::Program(u8::try_from(128 + signal).unwrap_or(u8::MAX))
    }

    const fn number(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Grown => 3,
            Self::Wanting => 4,
            Self::Unavailable => 77,
            Self::Program(code) => code,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// What was asked for makes no sense, in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The code of an error.
#[must_use]
pub fn of(error: &anyhow::Error) -> Code {
    let no_kvm = |error: &TrialError| matches!(error, TrialError::Kvm(_));
    let no_lab = |error: &LabError| matches!(error, LabError::Missing { .. });
    let no_cell =
        |error: &ExportError| matches!(error, ExportError::NoSuchCell { .. } | ExportError::OneCell { .. });
    if error.is::<PlanError>()
        || error.is::<GrowthError>()
        || error.is::<DiffError>()
        || error.is::<ProfileError>()
        || error.is::<ExaminedError>()
        || error.is::<Usage>()
        || error.downcast_ref::<ExportError>().is_some_and(no_cell)
    {
        Code::Usage
    } else if error.is::<KvmError>()
        || error.downcast_ref::<LinuxError>().is_some_and(LinuxError::is_unavailable)
        || error.downcast_ref::<TrialError>().is_some_and(no_kvm)
        || error.downcast_ref::<LabError>().is_some_and(no_lab)
    {
        Code::Unavailable
    } else {
        Code::Error
    }
}

/// What else can be done about an error that the error itself does not know of.
#[must_use]
pub fn way_out(error: &anyhow::Error) -> Option<&'static str> {
    // The lab's own errors say so themselves, and a Linux guest's that it needs it.
    (of(error) == Code::Unavailable && !error.is::<LabError>() && !error.is::<LinuxError>())
        .then_some("without KVM there is the lab, which emulates the hardware too: pagehint lab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_the_help_says() {
        let named = [
            (Code::Fine, "fine"),
            (Code::Error, "error"),
            (Code::Usage, "usage"),
            (Code::Grown, "a path has grown"),
            (Code::Wanting, "the run cannot carry its question"),
            (Code::Unavailable, "no usable KVM"),
        ];
        for (code, name) in named {
            let said = format!("{} {name}", code.number());
            assert!(HELP.contains(&said), "{said}");
        }
    }

    #[test]
    fn errors_have_their_codes() {
        assert_eq!(of(&KvmError::Missing.into()), Code::Unavailable);
        assert_eq!(of(&TrialError::from(KvmError::Missing).into()), Code::Unavailable);
        assert!(way_out(&KvmError::Missing.into()).is_some_and(|way_out| way_out.contains("pagehint lab")));
        let no_lab = LabError::Missing { what: "x".into(), remedy: "y".into() };
        assert!(way_out(&no_lab.into()).is_none());
        assert_eq!(of(&LabError::Stopped.into()), Code::Error);
        assert_eq!(of(&TrialError::Stopped.into()), Code::Error);
        assert_eq!(of(&Usage("x".into()).into()), Code::Usage);
        assert_eq!(of(&PlanError::NoSuchExperiment { name: "x".into() }.into()), Code::Usage);
        // Of whom nobody hears: `Audience`. Any other pipe that breaks is an error like another.
        assert_eq!(of(&std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()), Code::Error);
    }
}
