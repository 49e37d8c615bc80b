//! The choices of a trial of a Linux guest as they are written; trials with the same choices are a cell.

use std::path::{Path, PathBuf};
use std::time::Duration;

use abi::addr::Order;
use host::axes::{Discard, Freed, WayError};
use host::linux::{LinuxSpec, Report};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::task::{Pages, Task};
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::axes::way::Way;

const MIB: u64 = 1 << 20;
/// What a kernel and its process need beside the task.
const ROOM: u64 = 96 * MIB;
/// The most memory a guest has: below where its devices are.
const MOST: u64 = 2048 * MIB;

/// The choices. Sizes are bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub struct Choices {
    /// What the agent does.
    pub task: Named<Task>,
    /// In which pages.
    pub pages: Named<Pages>,
    /// How the guest reports.
    pub report: Named<Report>,
    /// How its reports travel and what is done with them; where nothing is reported the way is never gone.
    #[serde(flatten)]
    pub way: Way,
    /// Memory that the task takes at the most.
    pub footprint: u64,
    /// Memory in use all the time: its contents are checked.
    pub kept: u64,
    /// How often it does it; 1 of a task that is done once.
    pub rounds: u64,
    /// Memory of the guest.
    pub memory: u64,
}

impl Choices {
    /// Where nothing is reported nothing is discarded, and what is done once is done once.
    #[must_use]
    pub fn new(task: Task, pages: Pages, report: Report, discard: Discard) -> Self {
        let discard = if report == Report::Off { Discard::None } else { discard };
        let named = (Named(task), Named(pages), Named(report), report.way(discard).into());
        let (task, pages, report, way) = named;
        Self { task, pages, report, way, footprint: 0, kept: 0, rounds: 1, memory: 0 }
    }

    /// The rung whose transport is used; none if nothing is reported.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        if self.report.0 == Report::Off { None } else { self.way.rung() }
    }

    /// The cell in a word of a log.
    #[must_use]
    pub fn tag(&self) -> String {
        let Self { task, pages, report, way, footprint, kept, rounds, memory } = self;
        let discard = way.discard;
        format!("{task}.{pages}.{report}.{discard}.f{footprint}.k{kept}.r{rounds}.m{memory}")
    }

    /// Whether all that is reported is given back at once.
    #[must_use]
    pub fn gives_back(&self) -> bool {
        self.report.0 != Report::Off && host::axes::Way::from(self.way).frees(Order::PAGE) == Freed::All
    }
}

/// What a guest boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boots {
    /// A bzImage.
    pub kernel: PathBuf,
    /// The archive with the agent and the modules it loads.
    pub initramfs: PathBuf,
}

/// A trial of a Linux guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinuxTrial {
    /// Its choices.
    pub choices: Choices,
    /// How long the guest may take, from its first instruction to its last.
    pub patience: Duration,
    /// Seed of what is random in its task.
    pub seed: u64,
}

/// A trial that cannot be run. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinuxTrialError {
    /// Its way is none.
    #[error(transparent)]
    Way(#[from] WayError),
    /// What is put off is never discarded here.
    #[error("discard deferred waits until the host wants memory, and here it never does: use another")]
    Deferred,
    /// A size is no whole number of MiB, or nothing.
    #[error("{what} is {bytes} bytes: use whole MiB, at least one")]
    Grain {
        /// Which.
        what: &'static str,
        /// How much it is.
        bytes: u64,
    },
    /// It does nothing.
    #[error("rounds is 0: the task does nothing; use at least 1")]
    Rounds,
    /// It takes more than the guest has.
    #[error(
        "a guest of {} MiB has no room for a footprint of {} MiB, {} MiB that are kept and its kernel ({} MiB): use a larger --memory",
        memory / MIB, footprint / MIB, kept / MIB, ROOM / MIB
    )]
    NoRoom {
        /// What it has.
        memory: u64,
        /// What the task takes.
        footprint: u64,
        /// What is in use all the time.
        kept: u64,
    },
    /// It has more than there may be.
    #[error("a guest of {} MiB is larger than any: {} MiB are the most", memory / MIB, MOST / MIB)]
    TooLarge {
        /// What it has.
        memory: u64,
    },
}

impl LinuxTrial {
    /// Whether its choices mean something and go together.
    ///
    /// # Errors
    /// [`LinuxTrialError`].
    pub fn validate(&self) -> Result<(), LinuxTrialError> {
        let Choices { way, footprint, kept, rounds, memory, .. } = self.choices;
        if way.discard.0 == Discard::Deferred {
            return Err(LinuxTrialError::Deferred);
        }
        host::axes::Way::from(way).validate()?;
        for (what, bytes) in [("footprint", footprint), ("kept", kept), ("memory", memory)] {
            if bytes == 0 || bytes % MIB != 0 {
                return Err(LinuxTrialError::Grain { what, bytes });
            }
        }
        if rounds == 0 {
            return Err(LinuxTrialError::Rounds);
        }
        if memory > MOST {
            return Err(LinuxTrialError::TooLarge { memory });
        }
        if footprint.saturating_add(kept).saturating_add(ROOM) > memory {
            return Err(LinuxTrialError::NoRoom { memory, footprint, kept });
        }
        Ok(())
    }

    /// What to run.
    #[must_use]
    pub fn spec(&self, boots: &Boots) -> LinuxSpec {
        let Choices { task, pages, report, way, footprint, kept, rounds, memory } = self.choices;
        // A probe in the driver, and a look at each report, cost something: only where nothing is timed.
        let looks = !task.0.is_timed();
        let words = [
            ("task", task.to_string()),
            ("huge", u8::from(pages.0 == Pages::Huge).to_string()),
            ("mib", (footprint / MIB).to_string()),
            ("kept", (kept / MIB).to_string()),
            ("rounds", rounds.to_string()),
            ("seed", self.seed.to_string()),
            ("counted", u8::from(looks).to_string()),
        ];
        let (kernel, initramfs): (&Path, &Path) = (&boots.kernel, &boots.initramfs);
        LinuxSpec {
            kernel: kernel.to_owned(),
            initramfs: initramfs.to_owned(),
            report: report.0,
            discard: way.discard.0,
            memory_mib: memory / MIB,
            looks,
            task: words.map(|(name, value)| format!("{name}={value}")).to_vec(),
            deadline: self.patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial() -> LinuxTrial {
        let choices = Choices {
            footprint: 64 * MIB,
            kept: 16 * MIB,
            memory: 192 * MIB,
            ..Choices::new(Task::Memhog, Pages::Small, Report::Virtio, Discard::DontNeed)
        };
        LinuxTrial { choices, patience: Duration::from_secs(300), seed: 1 }
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_what_to_change() {
        trial().validate().unwrap();
        let refused = |change: &dyn Fn(&mut Choices)| {
            let mut trial = trial();
            change(&mut trial.choices);
            trial.validate().unwrap_err().to_string()
        };
        assert!(refused(&|choices| choices.footprint += 32 * MIB).contains("use a larger --memory"));
        assert!(refused(&|choices| choices.memory = 4096 * MIB).contains("2048 MiB are the most"));
        assert!(refused(&|choices| choices.kept = 0).contains("kept is 0 bytes"));
        assert!(refused(&|choices| choices.footprint += 1).contains("whole MiB"));
        assert!(refused(&|choices| choices.rounds = 0).contains("at least 1"));
        assert!(refused(&|choices| choices.way.discard = Named(Discard::Deferred)).contains("deferred"));
        assert!(refused(&|choices| choices.footprint = u64::MAX - (MIB - 1)).contains("no room"));
    }

    #[test]
    fn where_nothing_is_reported_nothing_is_discarded() {
        let off = Choices::new(Task::PageFault, Pages::Huge, Report::Off, Discard::DontNeed);
        assert_eq!((off.way.discard.0, off.rung(), off.gives_back()), (Discard::None, None, false));
        let rung = |report| Choices::new(Task::Memhog, Pages::Small, report, Discard::DontNeed).rung();
        // KVM spins for it as the host has it.
        assert_eq!(rung(Report::Virtio), Some(Rung::VirtioPolled));
        assert_eq!(rung(Report::HypercallEach), Some(Rung::HypercallEach));
        assert_eq!(rung(Report::HypercallBatch), Some(Rung::HypercallBatch));
    }
}
