//! A thread for each processor. The first error stops them all.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::deadline::watched;
use super::error::TrialError;
use crate::kvm::{Board, ExitError, Machine, Pinned, Placement, Processor, Pulse, Running};

/// Runs the first processor on this thread and the others each on its own, until every board has left.
///
/// A guest that makes no progress within its deadline is stopped; giving a processor away is no progress. Says why
/// threads were not on their processors, if they were not.
pub(crate) fn run<A, B>(
    machine: &mut Machine,
    first: &mut A,
    others: Vec<B>,
    deadline: &Deadline<'_>,
) -> Result<Vec<String>, TrialError>
where
    A: Board<Error = TrialError>,
    B: Board<Error = TrialError> + Send,
{
    let pulse = Arc::clone(&machine.pulse);
    let team = Team { pulse: &pulse, deadline, worst: Mutex::new(None), astray: Mutex::default() };
    let (processor, processors) = machine.split();
    std::thread::scope(|scope| {
        for ((vcpu, processor), mut board) in (1..).zip(processors).zip(others) {
            let team = &team;
            let thread = std::thread::Builder::new().name(format!("vcpu {vcpu}"));
            if let Err(error) = thread.spawn_scoped(scope, move || team.play(vcpu, processor, &mut board)) {
                team.failed(vcpu, TrialError::Thread(error));
            }
        }
        team.play(0, processor, first);
    });
    match team.worst.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(team.astray.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// How long the guest may take over nothing, and where its threads run.
pub(crate) struct Deadline<'a> {
    pub(crate) patience: Duration,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) placement: &'a Placement,
}

struct Team<'a> {
    pulse: &'a Pulse,
    deadline: &'a Deadline<'a>,
    /// What is to be reported, if anything failed.
    worst: Mutex<Option<TrialError>>,
    /// Why threads were not on their processors.
    astray: Mutex<Vec<String>>,
}

impl Team<'_> {
    fn play<B: Board<Error = TrialError>>(&self, vcpu: u32, processor: &mut Processor, board: &mut B) {
        let Deadline { patience, stop, placement } = *self.deadline;
        // The first processor's thread is pinned already, to the same place.
        let pinned = Pinned::to(placement.vcpu(vcpu as usize));
        let run = || processor.run::<Running, _>(board);
        let ended = watched(self.pulse, patience, stop, placement.watchdog(), run);
        self.astray.lock().unwrap_or_else(PoisonError::into_inner).extend(pinned.pin().astray());
        if let Err(error) = ended {
            self.failed(vcpu, error);
        }
    }

    fn failed(&self, vcpu: u32, error: TrialError) {
        let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        if worst.as_ref().is_none_or(|worst| weight(&error) > weight(worst)) {
            *worst = Some(named(vcpu, error));
        }
        drop(worst);
        self.pulse.processor_failed();
    }
}

/// Who only waited, or was only stopped, has nothing to say if anybody else has; of the rest the first is heard.
const fn weight(error: &TrialError) -> u32 {
    match error {
        TrialError::Exit(ExitError::Sibling) => 0,
        TrialError::Exit(ExitError::Waiting) => 1,
        TrialError::Processor { source, .. } => weight(source),
        _ => 2,
    }
}

/// Says which processor it was, unless it was the first, or somebody from outside.
fn named(vcpu: u32, error: TrialError) -> TrialError {
    match error {
        error @ (TrialError::Stopped | TrialError::Exit(ExitError::Waiting | ExitError::Device)) => error,
        error if vcpu == 0 => error,
        error => TrialError::Processor { vcpu, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(errors: Vec<(u32, TrialError)>) -> String {
        let (pulse, stop, placement) = (Pulse::default(), AtomicBool::default(), Placement::default());
        let deadline = Deadline { patience: Duration::ZERO, stop: &stop, placement: &placement };
        let team =
            Team { pulse: &pulse, deadline: &deadline, worst: Mutex::new(None), astray: Mutex::default() };
        for (vcpu, error) in errors {
            team.failed(vcpu, error);
        }
        assert_eq!(pulse.kicked(), Some(crate::kvm::Kicked::Sibling));
        team.worst.into_inner().unwrap().unwrap().to_string()
    }

    fn waiting() -> TrialError {
        TrialError::Exit(ExitError::Waiting)
    }

    fn hanging() -> TrialError {
        TrialError::Exit(ExitError::Deadline { rip: 0x1234 })
    }

    #[test]
    fn the_processor_that_hangs_is_heard_and_not_those_that_wait_for_it() {
        let sibling = || TrialError::Exit(ExitError::Sibling);
        let found = heard(vec![(0, waiting()), (1, sibling()), (2, hanging()), (3, waiting())]);
        assert!(found.starts_with("virtual processor 2: ") && found.contains("0x1234"), "{found}");
    }

    #[test]
    fn the_first_of_equals_is_heard() {
        let panicked = |message: &str| TrialError::Panicked { message: message.into() };
        assert_eq!(
            heard(vec![(1, panicked("a")), (0, panicked("b"))]),
            "virtual processor 1: the payload panicked: a"
        );
        assert_eq!(heard(vec![(0, panicked("b")), (1, panicked("a"))]), "the payload panicked: b");
    }

    #[test]
    fn processors_that_all_wait_are_said_to() {
        let found = heard(vec![(1, waiting()), (0, waiting())]);
        assert!(found.contains("wait for one another"), "{found}");
    }
}
