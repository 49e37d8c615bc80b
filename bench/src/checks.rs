//! What must hold in every run, and whether it did. A check that fails makes the exit code 1.

use std::collections::{BTreeMap, BTreeSet};

use abi::axes::Axis;
use abi::violation::Violation;
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::histogram::Phase;
use crate::ladder::Rung;
use crate::record::{Measured, TrialRecord};
use crate::statistics::Interval;
use crate::summary::{CellSummary, Summary, paired};
use crate::unit::{Unit, percent, ratio};
use crate::witness::{self, Agreement};

/// The least share of a report that the phases should explain.
const EXPLAINED: f64 = 0.95;
/// The fewest reports in a tenth whose medians can be held against each other.
const TENTH: u64 = 200;
/// The most by which the last tenth of a trial may differ from the first.
const DRIFT: f64 = 0.10;
/// The most memory beside guest memory a trial should take, in bytes.
const MEMORY: u64 = 64 << 20;

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds.
    Holds,
    /// Nothing of the run lets us say.
    Unknown,
    /// It does not hold; the figures stand, with less trust.
    Doubtful,
    /// It does not hold, and must.
    Fails,
}

impl Standing {
    /// The word in front of a check.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Unknown => "?",
            Self::Doubtful => "doubt",
            Self::Fails => "FAIL",
        }
    }
}

/// One check.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What should hold.
    pub what: String,
    /// Whether it does.
    pub standing: Standing,
    /// By what figures.
    pub detail: String,
}

/// All checks of a run.
#[must_use]
pub fn all(summary: &Summary, trials: &[TrialRecord]) -> Vec<Check> {
    let measured: Vec<(&TrialRecord, &Measured)> =
        trials.iter().filter_map(|trial| Some((trial, trial.measured()?))).collect();
    let mut checks = vec![complete(summary), oracle(&measured), same_pages(&measured), refused(&measured)];
    checks.extend(freed(summary));
    checks.extend([exits(summary, &measured), witnesses(&measured), clocks(&measured)]);
    checks.extend(idle(summary, &measured));
    checks.extend([explained(summary), drift(summary), memory(&measured), one_mode(summary)]);
    checks.extend(twice_the_same(summary));
    checks
}

pub(crate) fn check(what: &str, standing: Standing, detail: String) -> Check {
    Check { what: what.to_owned(), standing, detail }
}

/// Fails with the faults, or holds with what was looked at.
pub(crate) fn none_of(what: &str, standing: Standing, faults: &[String], looked_at: String) -> Check {
    if faults.is_empty() {
        check(what, Standing::Holds, looked_at)
    } else {
        let more = faults.len().saturating_sub(3);
        let mut detail = faults.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        if more > 0 {
            detail.push_str(&format!("; and {more} more"));
        }
        check(what, standing, detail)
    }
}

fn complete(summary: &Summary) -> Check {
    let what = "every trial of the plan ran to its end";
    let Summary { planned, measured, failed, .. } = summary;
    let mut faults: Vec<String> =
        failed.iter().map(|(trial, error)| format!("trial {trial} failed: {error}")).collect();
    let missing = planned.saturating_sub(measured + failed.len());
    if missing > 0 {
        faults.push(format!("{missing} of {planned} trials are missing: the run was stopped"));
    }
    let standing = if failed.is_empty() { Standing::Doubtful } else { Standing::Fails };
    none_of(what, standing, &faults, format!("{measured} of {planned}"))
}

fn oracle(measured: &[(&TrialRecord, &Measured)]) -> Check {
    let mut faults = Vec::new();
    for (trial, m) in measured {
        for (name, count) in &m.violations {
            let sentence =
                Violation::ALL.iter().find(|known| known.name() == name).map_or("", |v| v.sentence());
            faults.push(format!("{name} {count} times in trial {}: {sentence}", trial.trial));
        }
        if m.proof.lost > 0 {
            faults
                .push(format!("trial {} lost {} pages that were never reported", trial.trial, m.proof.lost));
        }
    }
    let pages: u64 = measured.iter().map(|(_, m)| m.checked_pages).sum();
    none_of("no byte was lost", Standing::Fails, &faults, format!("{pages} pages looked at"))
}

fn same_pages(measured: &[(&TrialRecord, &Measured)]) -> Check {
    let what = "every rung reported and took exactly the same pages";
    let mut faults = Vec::new();
    let mut blocks: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for (trial, m) in measured {
        if m.reported_digest != m.taken_digest {
            faults
                .push(format!("in trial {} the host took other pages than the guest reported", trial.trial));
        }
        if trial.rung.is_some_and(|rung| rung.0.names_pages()) {
            blocks.entry(trial.block).or_default().insert(&m.reported_digest);
        }
    }
    for (block, digests) in &blocks {
        if digests.len() > 1 {
            faults.push(format!("block {block} has {} different sets of pages", digests.len()));
        }
    }
    let blocks = blocks.len();
    none_of(what, Standing::Fails, &faults, format!("{blocks} block{}, by fingerprint", plural(blocks)))
}

fn refused(measured: &[(&TrialRecord, &Measured)]) -> Check {
    let mut faults = Vec::new();
    for (trial, m) in measured {
        let trial = trial.trial;
        faults.extend(
            m.refused.iter().map(|(reason, count)| format!("{reason}: {count} ranges in trial {trial}")),
        );
        if m.madvise_failures > 0 {
            faults.push(format!("madvise failed {} times in trial {trial}", m.madvise_failures));
        }
    }
    let calls: u64 = measured.iter().map(|(_, m)| m.madvise_calls).sum();
    none_of(
        "no range was refused and no madvise failed",
        Standing::Fails,
        &faults,
        format!("{calls} madvise calls"),
    )
}

/// Freed is what the kernel says, not what was asked for.
fn freed(summary: &Summary) -> Option<Check> {
    let mut faults = Vec::new();
    let (mut pages, mut worst) = (0, Standing::Doubtful);
    for cell in summary.cells.iter().filter(|cell| cell.names_pages() && cell.proof.reported > 0) {
        let proof = &cell.proof;
        pages += proof.reported;
        let title = cell.title();
        if cell.discard.0 == Discard::None {
            if proof.freed > 0 {
                faults.push(format!("{title} freed {} pages although nothing was discarded", proof.freed));
            }
        } else if proof.freed == 0 {
            worst = Standing::Fails;
            faults.push(format!("{title} freed 0 of {} pages", proof.reported));
        } else if proof.freed < proof.resident_before {
            faults.push(format!("{title} freed {} of {} resident pages", proof.freed, proof.resident_before));
        }
    }
    let what = "discarded pages are gone, and only those";
    (pages > 0)
        .then(|| none_of(what, worst, &faults, format!("{pages} reported pages, by the kernel's view")))
}

fn exits(summary: &Summary, measured: &[(&TrialRecord, &Measured)]) -> Check {
    let mut faults = Vec::new();
    let mut looked = BTreeMap::new();
    for (trial, m) in measured {
        let Some(rung) = trial.rung else { continue };
        let expected = m.reports * rung.0.exits_a_report(trial.spec.batch);
        let found = m.exits.transport();
        if found != expected {
            faults.push(format!("trial {} ({rung}): {found} exits instead of {expected}", trial.trial));
        }
        looked.insert(rung, rung.0.exits_a_report(trial.spec.batch));
    }
    let each: Vec<String> = looked.iter().map(|(rung, exits)| format!("{rung} {exits}")).collect();
    let what = format!("exits a report of {} ranges are what the design says", summary.spec.batch);
    none_of(&what, Standing::Fails, &faults, each.join(", "))
}

fn witnesses(measured: &[(&TrialRecord, &Measured)]) -> Check {
    let what = "our exits are KVM's";
    let (mut faults, mut agreed) = (Vec::new(), BTreeMap::<&str, u64>::new());
    for (trial, m) in measured {
        for row in witness::compare(trial.spec.doorbell.0, m) {
            match row.agreement() {
                Agreement::Agree => *agreed.entry(row.what).or_default() += row.ours,
                Agreement::Alone => {}
                Agreement::Differ => faults.push(format!(
                    "trial {}: {} {} by our count, {} by KVM's {}",
                    trial.trial,
                    row.ours,
                    row.what,
                    row.kvm.unwrap_or_default(),
                    row.stat
                )),
            }
        }
    }
    if faults.is_empty() && agreed.is_empty() {
        return check(what, Standing::Unknown, "this KVM keeps no statistics that compare".to_owned());
    }
    let agreed: Vec<String> = agreed.iter().map(|(what, count)| format!("{count} {what}")).collect();
    none_of(what, Standing::Fails, &faults, agreed.join(", "))
}

fn clocks(measured: &[(&TrialRecord, &Measured)]) -> Check {
    let faults: Vec<String> = measured
        .iter()
        .filter(|(_, m)| m.disordered > 0)
        .map(|(trial, m)| {
            format!("{} of {} reports of trial {} are out of order", m.disordered, m.reports, trial.trial)
        })
        .collect();
    let reports: u64 = measured.iter().map(|(_, m)| m.reports).sum();
    none_of("stamps of guest and host are in order", Standing::Fails, &faults, format!("{reports} reports"))
}

/// Where instructions are counted, an idle machine moves the counter on without executing any.
fn idle(summary: &Summary, measured: &[(&TrialRecord, &Measured)]) -> Option<Check> {
    if summary.unit != Unit::Instructions {
        return None;
    }
    let what = "the machine never went idle while it was measured";
    let mut faults = Vec::new();
    for (trial, m) in measured {
        let Some(ticks) = m.idle_ticks else {
            let detail = "the kernel does not say: /proc/timer_list has to be there, and readable";
            return Some(check(what, Standing::Unknown, detail.to_owned()));
        };
        if ticks > 0 {
            faults.push(format!("{ticks} ticks of trial {} are no instructions", trial.trial));
        }
    }
    Some(none_of(what, Standing::Fails, &faults, "every tick is an instruction".to_owned()))
}

fn explained(summary: &Summary) -> Check {
    let faults: Vec<String> = summary
        .cells
        .iter()
        .filter(|cell| cell.explained < EXPLAINED)
        .map(|cell| format!("{}: {}", cell.title(), percent(cell.explained)))
        .collect();
    let least = summary.cells.iter().map(|cell| cell.explained).fold(1.0, f64::min);
    let what = format!("phases explain {} of a report", percent(EXPLAINED));
    none_of(&what, Standing::Doubtful, &faults, format!("at least {}", percent(least)))
}

fn drift(summary: &Summary) -> Check {
    let (mut faults, mut most, mut least) = (Vec::new(), 0.0_f64, u64::MAX);
    for cell in &summary.cells {
        let p50 = |phase| cell.phase(phase).cost.p50;
        least = least.min(cell.phase(Phase::FirstTenth).cost.n);
        let drift = ratio(p50(Phase::LastTenth), p50(Phase::FirstTenth)) - 1.0;
        most = most.max(drift.abs());
        if drift.abs() > DRIFT {
            faults.push(format!("{}: {:+.0} %", cell.title(), drift * 100.0));
        }
    }
    let what = "the last tenth of the trials costs what the first does";
    if least < TENTH {
        let detail = format!("{least} reports in a tenth are too few to say: use more --reports");
        return check(what, Standing::Unknown, detail);
    }
    none_of(what, Standing::Doubtful, &faults, format!("within {}, medians", percent(most)))
}

fn memory(measured: &[(&TrialRecord, &Measured)]) -> Check {
    let most = measured.iter().map(|(_, m)| m.memory_beside_ram).max().unwrap_or_default();
    let standing = if most < MEMORY { Standing::Holds } else { Standing::Doubtful };
    let what = format!("memory beside guest memory stays below {} MiB", MEMORY >> 20);
    check(&what, standing, format!("at most {:.1} MiB", crate::unit::float(most) / f64::from(1 << 20)))
}

/// A step between rungs of different guest modes compares more than its axis.
fn one_mode(summary: &Summary) -> Check {
    let mut modes: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for cell in &summary.cells {
        for mode in &cell.guest_rings {
            modes.entry(*mode).or_default().insert(cell.label());
        }
    }
    let what = "every rung ran in the same guest mode";
    let described: Vec<String> = modes
        .iter()
        .map(|(mode, rungs)| format!("ring {mode}: {}", rungs.iter().copied().collect::<Vec<_>>().join(", ")))
        .collect();
    match modes.len() {
        0 | 1 => check(what, Standing::Holds, modes.keys().map(|mode| format!("ring {mode}")).collect()),
        _ => check(what, Standing::Doubtful, described.join("; ")),
    }
}

/// The floor reports nothing, so its two cells are the same work run twice: an A/A test within the run.
fn twice_the_same(summary: &Summary) -> Option<Check> {
    let [none, dontneed] =
        [Discard::None, Discard::DontNeed].map(|discard| summary.cell(Rung::Floor, discard));
    let difference = Interval::of(&paired(none?, dontneed?), 1)?;
    let unit = summary.unit;
    let detail = format!(
        "floor run as two cells differs by {}",
        unit.show_interval(difference.mean, difference.low, difference.high)
    );
    let small = difference.mean.abs() < 0.05 * none?.per_range.p50;
    let standing = if !difference.shows_difference() || small { Standing::Holds } else { Standing::Doubtful };
    Some(check("the same work measured twice shows no difference above 5 %", standing, detail))
}

pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

impl CellSummary {
    /// The rung's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.rung.map_or("custom", |rung| rung.0.name())
    }

    /// For sentences.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} with discard {}", self.label(), self.discard)
    }

    /// Whether its reports name pages at all.
    #[must_use]
    pub fn names_pages(&self) -> bool {
        self.rung.is_none_or(|rung| rung.0.names_pages())
    }

    /// A phase of it; all 0 if it has none.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> crate::summary::PhaseSummary {
        let nothing = crate::summary::PhaseSummary { cost: Default::default(), share: 0.0 };
        self.phases.get(&crate::axis::Named(phase)).copied().unwrap_or(nothing)
    }
}
