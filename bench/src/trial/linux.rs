//! A trial of a Linux guest: what is chosen, and what it leaves in the run directory.

use std::path::Path;
use std::time::Duration;

use abi::axes::Axis;
use abi::control::Control;
use host::axes::Discard;
use host::kvm::Counter;
use host::linux::{LinuxOutcome, LinuxSpec, Mark, Report};
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;

/// What the agent does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Task {
    /// Takes memory, fills it, frees it, waits until it is reported, takes it again.
    Memhog,
    /// will-it-scale's page_fault1: maps 128 MiB, touches each page, unmaps, again and again.
    PageFault,
    /// Allocates and frees regions of mixed sizes, by the seed.
    Churn,
}

impl Axis for Task {
    const AXIS: &'static str = "task";
    const ALL: &'static [Self] = &[Self::Memhog, Self::PageFault, Self::Churn];

    fn name(self) -> &'static str {
        match self {
            Self::Memhog => "memhog",
            Self::PageFault => "page-fault",
            Self::Churn => "churn",
        }
    }
}

/// What a guest's pages are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pages {
    /// Of 4 KiB.
    Small,
    /// Of 2 MiB, by the kernel's own THP.
    Huge,
}

impl Axis for Pages {
    const AXIS: &'static str = "pages";
    const ALL: &'static [Self] = &[Self::Small, Self::Huge];

    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Huge => "huge",
        }
    }
}

/// The choices of a trial.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Choices {
    /// What the agent does.
    pub task: Named<Task>,
    /// In which pages.
    pub pages: Named<Pages>,
    /// How it is reported.
    pub report: Named<Report>,
    /// What the host does with it.
    pub discard: Named<Discard>,
    /// Memory that the task takes at most, in MiB.
    pub mib: u32,
    /// Memory in use all the time, in MiB: its contents are checked.
    pub kept_mib: u32,
    /// How often it does it; of a task that is done once it says nothing.
    pub rounds: u32,
    /// Memory of the guest in MiB.
    pub memory_mib: u32,
}

impl Choices {
    /// What to run.
    #[must_use]
    pub fn spec(&self, kernel: &Path, initramfs: &Path, seed: u64, deadline: Duration) -> LinuxSpec {
        // A probe in the driver costs each report something: only where nothing is timed.
        let counted = self.task.0 == Task::Memhog;
        let words = [
            ("task", self.task.to_string()),
            ("huge", u8::from(self.pages.0 == Pages::Huge).to_string()),
            ("mib", self.mib.to_string()),
            ("kept", self.kept_mib.to_string()),
            ("rounds", self.rounds.to_string()),
            ("seed", seed.to_string()),
            ("counted", u8::from(counted).to_string()),
        ];
        LinuxSpec {
            kernel: kernel.to_owned(),
            initramfs: initramfs.to_owned(),
            report: self.report.0,
            discard: self.discard.0,
            memory_mib: self.memory_mib.into(),
            looks: counted,
            task: words.map(|(name, value)| format!("{name}={value}")).to_vec(),
            deadline,
        }
    }
}

/// What the host saw between two marks of the agent's, or until the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Reports.
    pub reports: u64,
    /// Pages in them.
    pub told_pages: u64,
    /// Pages discarded.
    pub discarded_pages: u64,
    /// Calls that discard.
    pub madvise_calls: u64,
    /// Of them those that failed.
    pub madvise_failures: u64,
    /// Pages that the guest had no more at the end, by the kernel's account; negative if it had more.
    pub gone_pages: i64,
    /// Exits to user space, by what caused them.
    pub hypercall_exits: u64,
    /// Accesses to the device's registers.
    pub mmio_exits: u64,
    /// Accesses to ports: the serial line.
    pub port_exits: u64,
    /// Ticks that the host spent on taking reports.
    pub fetch_ticks: u64,
    /// On discarding.
    pub discard_ticks: u64,
    /// On answering.
    pub complete_ticks: u64,
}

impl Seen {
    fn between(begin: &Mark, end: &Mark) -> Self {
        let exits = end.exits.since(&begin.exits);
        let [fetch_ticks, discard_ticks, complete_ticks] =
            std::array::from_fn(|step| end.spent[step] - begin.spent[step]);
        Self {
            reports: end.reports - begin.reports,
            told_pages: end.told_pages - begin.told_pages,
            discarded_pages: end.discarded_pages - begin.discarded_pages,
            madvise_calls: end.madvise_calls - begin.madvise_calls,
            madvise_failures: end.madvise_failures - begin.madvise_failures,
            gone_pages: begin.resident_pages.cast_signed() - end.resident_pages.cast_signed(),
            hypercall_exits: exits.hypercall,
            mmio_exits: exits.mmio,
            port_exits: exits.port,
            fetch_ticks,
            discard_ticks,
            complete_ticks,
        }
    }
}

/// What a trial measured.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Whether a tick is an executed instruction; else it is one of the time stamp counter.
    pub counts_instructions: bool,
    /// From the guest's first instruction to its agent's, in ticks.
    pub boot_ticks: u64,
    /// While the task ran, and reporting settled.
    pub seen: Seen,
    /// From the guest's first instruction to there.
    pub in_all: Seen,
    /// Reports by the guest's own count, if anybody counted.
    pub guest_reports: Option<u64>,
    /// Pages in them.
    pub guest_pages: Option<u64>,
    /// Ticks that the guest spent on its operations.
    pub ticks: Option<u64>,
    /// How many they were.
    pub operations: Option<u64>,
    /// Ticks until reporting had settled.
    pub settle_ticks: Option<u64>,
    /// Ticks for taking as much memory again.
    pub refault_ticks: Option<u64>,
    /// Pages whose contents were checked at the end.
    pub checked_pages: u64,
    /// Words that did not hold what they should.
    pub wrong_words: u64,
    /// Ranges that were refused.
    pub refused: u64,
}

impl Measured {
    /// Of an outcome; what it lacks, if the agent did not come to its end.
    ///
    /// # Errors
    /// What the agent said of it.
    pub fn of(outcome: &LinuxOutcome) -> Result<Self, String> {
        let said = outcome.said.iter().find_map(|line| line.strip_prefix("error="));
        if let Some(error) = said.or_else(|| outcome.said.iter().find_map(|line| line.strip_prefix("panic=")))
        {
            return Err(format!("the agent: {error}"));
        }
        let mark = |at: Control| outcome.mark(at).ok_or_else(|| format!("the agent has not said {at:?}"));
        let (begin, settled) = (mark(Control::Begin)?, mark(Control::Settled)?);
        let number = |name: &str| outcome.number(name);
        let needed = |name: &str| number(name).ok_or_else(|| format!("the agent has not said {name}"));
        Ok(Self {
            counts_instructions: outcome.counter == Counter::Instructions,
            boot_ticks: outcome.boot_ticks,
            seen: Seen::between(begin, settled),
            in_all: Seen::between(&outcome.before, settled),
            guest_reports: number("reports"),
            guest_pages: number("pages"),
            ticks: number("ticks"),
            operations: number("operations"),
            settle_ticks: number("settle_ticks"),
            refault_ticks: number("refault_ticks"),
            checked_pages: needed("checked_pages")?,
            wrong_words: needed("wrong_words")?,
            refused: outcome.refused.total(),
        })
    }
}

/// A trial, as a line of `linux.jsonl`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Its number in the run, from 0.
    pub trial: u32,
    /// The seed of its task.
    pub seed: u64,
    /// Its choices.
    pub choices: Choices,
    /// What was measured, if it came to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured: Option<Measured>,
    /// Why not, if it did not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}
