//! What a trial of a Linux guest showed.

use std::collections::BTreeMap;
use std::io;

use abi::addr::PAGE_SIZE;
use abi::axes::GuestRing;
use abi::control::Control;
use abi::violation::Violation;
use host::linux::{Account, LinuxOutcome, Mark};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::axes::named::Named;
use crate::figure::unit::{Clock, float, ratio};
use crate::trial::counts::{Counts, ExitCounts, refusals};

/// What the host saw between two marks of the agent's, or until the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
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

/// [`Account`] as it is written, in pages and ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PageAccount {
    /// Told while the task ran, with repetition.
    pub told: u64,
    /// Different pages.
    pub distinct: u64,
    /// Of these, not resident when reporting had settled.
    pub gone: u64,
    /// Resident then, and already when their last report was answered; absent where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stayed: Option<u64>,
    /// Resident then, and gone when their last report was answered: touched again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub touched: Option<u64>,
    /// Ticks from the beginning of the task until 50, 90 and 100 % of what was given back had been; absent where nothing was.
    pub until: [Option<u64>; 3],
}

impl From<Account> for PageAccount {
    fn from(account: Account) -> Self {
        let Account { told_pages, distinct_pages, gone_pages, stayed_pages, touched_pages, until } = account;
        Self {
            told: told_pages,
            distinct: distinct_pages,
            gone: gone_pages,
            stayed: stayed_pages,
            touched: touched_pages,
            until,
        }
    }
}

/// What a trial showed. Counts cover the time from the agent's first mark to its last, unless they say otherwise; ticks are
/// those of the time stamp counter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LinuxMeasured {
    /// What every kind of trial counts, in the whole trial.
    #[serde(flatten)]
    pub counts: Counts,
    /// The kernel, as it says itself.
    pub kernel: String,
    /// From the guest's first instruction to its agent's, in ticks.
    pub boot_ticks: u64,
    /// While the task ran, and reporting settled.
    pub seen: Seen,
    /// From the guest's first instruction to there.
    pub in_all: Seen,
    /// What became of the pages that were reported while the task ran; absent if there were more reports than are noted.
    pub account: Option<PageAccount>,
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
}

impl LinuxMeasured {
    /// Of an outcome.
    ///
    /// # Errors
    /// What it lacks, if the agent did not come to its end, or what the agent said of it.
    pub fn new(outcome: &LinuxOutcome) -> Result<Self, String> {
        let said = |name: &str| outcome.said.iter().find_map(|line| line.strip_prefix(name));
        if let Some(error) = said("error=").or_else(|| said("panic=")) {
            return Err(format!("the agent: {error}"));
        }
        let mark = |at: Control| outcome.mark(at).ok_or_else(|| format!("the agent has not said {at:?}"));
        let (begin, settled) = (mark(Control::Begin)?, mark(Control::Settled)?);
        let number = |name: &str| outcome.number(name);
        let needed = |name: &str| number(name).ok_or_else(|| format!("the agent has not said {name}"));
        let in_all = Seen::between(&outcome.before, settled);
        let (checked, wrong) = (needed("checked_pages")?, needed("wrong_words")?);
        Ok(Self {
            counts: counts(outcome, settled, [checked, wrong]),
            kernel: said("kernel=").unwrap_or_default().to_owned(),
            boot_ticks: outcome.boot_ticks,
            seen: Seen::between(begin, settled),
            in_all,
            account: outcome.account.map(PageAccount::from),
            guest_reports: number("reports"),
            guest_pages: number("pages"),
            ticks: number("ticks"),
            operations: number("operations"),
            settle_ticks: number("settle_ticks"),
            refault_ticks: number("refault_ticks"),
        })
    }

    /// What an operation took, in the unit of the run; `None` of a task that is not timed.
    #[must_use]
    pub fn an_operation(&self) -> Option<f64> {
        let (ticks, operations) = (self.ticks?, self.operations?);
        Some(self.counts.clock.figure(ratio(float(ticks), float(operations))))
    }

    /// Operations in a thousand million of the run's unit: a second, if it tells the time; 0 of a task that is not timed.
    #[must_use]
    pub fn operations_a_second(&self) -> f64 {
        self.an_operation().map_or(0.0, |operation| ratio(1e9, operation))
    }
}

/// What every kind of trial counts. What a guest's kernel loses of its own it may die of; what the agent finds wrong are
/// pages that were in use, and so were never reported.
fn counts(outcome: &LinuxOutcome, settled: &Mark, found: [u64; 2]) -> Counts {
    let [checked_pages, wrong] = found;
    let lost = (Violation::UnreportedLost.name().to_owned(), wrong);
    Counts {
        bell: Named(outcome.bell),
        guest_ring: Named(GuestRing::Zero),
        placement: Some((&outcome.placed).into()),
        stale_kicks: outcome.stale_kicks,
        ring: None,
        clock: Clock::of(outcome.counter, outcome.tsc_khz),
        exits: ExitCounts::from(settled.exits),
        kvm_stats: BTreeMap::new(),
        cpu_ns: None,
        madvise_calls: settled.madvise_calls,
        discarded_pages: settled.discarded_pages,
        madvise_failures: settled.madvise_failures,
        madvise_error: outcome.madvise_error.map(|errno| io::Error::from_raw_os_error(errno).to_string()),
        put_off: None,
        userfault: None,
        announced: 0,
        deflated_pages: 0,
        refused: refusals(&outcome.refused),
        checked_pages,
        violations: Some(lost).into_iter().filter(|(_, count)| *count > 0).collect(),
        elapsed_ns: None,
    }
}

/// Pages of so many bytes.
#[must_use]
pub const fn pages(bytes: u64) -> u64 {
    bytes / PAGE_SIZE
}
