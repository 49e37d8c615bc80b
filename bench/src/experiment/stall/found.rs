//! How long each vCPU was kept from running, from the middle to the longest.

use host::axes::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::interval::{Interval, Sampling, holm};
use crate::figure::number;
use crate::figure::quantiles::Quantiles;
use crate::figure::table::Grid;
use crate::figure::tail::{Distribution, Tail};
use crate::figure::unit::Unit;
use crate::trial::kind::Timed;
use crate::trial::timed::measured::TimedMeasured;
use crate::trial::timed::phases::Phase;

/// The fewest samples of which the 99.9th percentile is not just the largest.
const ENOUGH: u64 = 1000;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// The kernel's version, from which follows what it locks.
    pub kernel: String,
    /// Whether threads that were measured had to share a processor.
    pub shared: bool,
    /// Whoever was kept, and how long.
    pub rows: Vec<Row>,
}

/// What a vCPU does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Does {
    /// It reports: kept from the beginning of a report to its acknowledgement.
    Reports,
    /// It faults: kept from one time stamp to the next, with a page touched in between.
    Faults,
}

impl Axis for Does {
    const AXIS: &'static str = "does";
    const ALL: &'static [Self] = &[Self::Reports, Self::Faults];

    fn name(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Faults => "faults",
        }
    }
}

/// The vCPUs of a cell that do the same.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The transport, by its rung; absent where nobody reports, or it is none's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Named<Rung>>,
    /// vCPUs of the guest.
    pub vcpus: u32,
    /// How many of them report.
    pub reporters: u32,
    /// What these do.
    pub does: Named<Does>,
    /// How long they were kept, of all trials together.
    pub kept: Quantiles,
    /// The 99.9th percentile of each block.
    pub p999: Interval,
    /// The same of those that fault against those of the cell in which nobody reports, as a share.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against: Option<Interval>,
    /// Shares of the samples that are longer, and how long.
    pub curve: Vec<(f64, f64)>,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (archive.groups::<Timed>(), archive.sampling());
        let nobody = groups.iter().find(|group| group.choices.reporters == 0);
        let mut rows: Vec<Row> = groups
            .iter()
            .flat_map(|group| [reports(group, how), faults(group, nobody, how)].into_iter().flatten())
            .collect();
        rows.sort_by_key(|row| (row.does, row.rung, row.vcpus, row.reporters));
        holm(rows.iter_mut().filter_map(|row| row.against.as_mut()));
        let placements = groups.iter().flat_map(|group| &group.trials).filter_map(|trial| trial.counts());
        Self {
            unit: archive.unit(),
            kernel: archive.environment.machine.kernel.clone(),
            shared: placements
                .filter_map(|counts| counts.placement.as_ref())
                .any(|placement| placement.shared),
            rows,
        }
    }

    fn tables(&self) -> Vec<Grid> {
        let show = |ns| self.unit.show(ns);
        let table = Grid::of(
            "how long a vCPU is kept from running",
            &self.rows,
            &[
                ("a vCPU that", &|row| row.does.to_string()),
                ("transport", &|row| row.rung.map_or_else(String::new, |rung| rung.to_string())),
                ("vCPUs", &|row| company(row)),
                ("median", &|row| show(row.kept.p50)),
                ("p99", &|row| show(row.kept.p99)),
                ("p99.9", &|row| row.kept.tail().map_or_else(String::new, show)),
                ("max", &|row| show(row.kept.max)),
                ("p99.9, a block [95 %]", &|row| number::amount(self.unit, &row.p999)),
                ("against nobody reporting", &|row| {
                    row.against.map_or_else(String::new, |against| number::share(&against))
                }),
                ("samples", &|row| row.kept.n.to_string()),
                ("n", &|row| row.p999.blocks.to_string()),
            ],
        );
        vec![table]
    }

    fn comparisons(&self) -> usize {
        self.rows.iter().filter(|row| row.against.is_some()).count()
    }

    fn sentences(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let rows = self.rows.iter().map(|row| self.sentence(row));
        rows.chain([locks(&self.kernel)]).chain(self.shared.then(|| SHARED.to_owned())).collect()
    }

    fn checks(&self) -> Vec<Check> {
        let few = |row: &&Row| row.kept.n < ENOUGH;
        let faults: Vec<String> = self
            .rows
            .iter()
            .filter(few)
            .map(|row| format!("{} of one that {} ({})", row.kept.n, row.does, company(row)))
            .collect();
        let what = "there are samples enough for the 99.9th percentile";
        let looked_at = format!("at least {ENOUGH} in each of {} rows", self.rows.len());
        vec![none_of(what, Standing::Doubtful, &faults, self.rows.len() as u64, looked_at)]
    }

    fn tails(&self) -> Vec<Tail> {
        let name = |row: &Row| {
            let rung = row.rung.map_or_else(String::new, |rung| format!(" {rung}"));
            format!("{}:{rung} {}", row.does, company(row))
        };
        let mut rungs: Vec<Named<Rung>> = self.rows.iter().filter_map(|row| row.rung).collect();
        rungs.sort_unstable();
        rungs.dedup();
        let tail = |row: &Row| {
            // A colour for each transport; the other company it keeps is dashed. Where nobody reports, black.
            let place = row.rung.and_then(|rung| rungs.iter().position(|other| *other == rung));
            let is_second = match row.does.0 {
                Does::Reports => row.vcpus > row.reporters,
                Does::Faults => row.reporters > 1,
            };
            Tail {
                name: name(row),
                part: part(row).to_owned(),
                look: Some((place.unwrap_or(7), is_second)),
                points: row.curve.clone(),
            }
        };
        let mut tails: Vec<Tail> = self.rows.iter().map(tail).collect();
        // Stable: within a part they are as they were.
        tails.sort_by_key(|tail| PARTS.iter().position(|part| *part == tail.part));
        tails
    }

    fn how_to_read(&self) -> String {
        "- *a vCPU that reports* is kept from the beginning of a report to its acknowledgement, whether its thread is out of the guest, it halts, it \
         spins, or it waits for its turn at a ring that others use too.\n\
         - *a vCPU that faults* touches page after page that the host has taken before, and reads its clock after each: what lies between two readings \
         is how long it was kept, by the fault, by locks, or by others that had its processor. Every 4096 pages the host takes them again; that call is not in it.\n\
         - *median* to *max* are of all samples of all blocks together; *p99.9, a block* is the middle over blocks of that of each block, with its 95 % interval. \
         *against nobody reporting* is the change of it in each block; `~` marks one that cannot be told from none.\n"
            .to_owned()
    }
}

/// The parts of which there is a picture each.
const PARTS: [&str; 3] = [
    "A vCPU that reports, and nobody else does",
    "A vCPU that reports while others do",
    "A vCPU that faults",
];

fn part(row: &Row) -> &'static str {
    match (row.does.0, row.reporters) {
        (Does::Reports, ..=1) => PARTS[0],
        (Does::Reports, _) => PARTS[1],
        (Does::Faults, _) => PARTS[2],
    }
}

/// What is to be known where processors are shared.
pub(super) const SHARED: &str = "There are more vCPUs and threads than processors here, and being descheduled is part of every figure: how long a lock is held is \
     only seen on a host that has a core for each vCPU, for the device's thread and for the runner.";

impl Found {
    fn sentence(&self, row: &Row) -> String {
        let Row { does, kept, p999, against, .. } = row;
        let show = |ns| self.unit.show(ns);
        let over = row.rung.map_or_else(String::new, |rung| format!("{rung}, "));
        let tail = number::amount(self.unit, p999);
        let change = match against {
            None => String::new(),
            Some(change) if change.shows_difference() => {
                format!(", {} against where nobody reports", number::share(change))
            }
            Some(_) => ", which cannot be told from where nobody reports".to_owned(),
        };
        format!(
            "{over}{}: one that {does} is kept for {} at the median, for {} at the longest and for {tail} at the 99.9th percentile{change}.",
            company(row),
            show(kept.p50),
            show(kept.max),
        )
    }
}

/// What the kernel of this version locks while it discards (`mm/madvise.c`: `MADVISE_VMA_READ_LOCK`).
fn locks(kernel: &str) -> String {
    let mut numbers = kernel.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (6, 17) => format!(
            "Linux {kernel} takes the lock of one mapping for MADV_DONTNEED, as a page fault does, both to read: neither waits for the other there."
        ),
        (Some(Ok(_)), Some(Ok(_))) => format!(
            "Linux {kernel} takes the lock of the whole address space for MADV_DONTNEED, to read: whoever maps or unmaps waits for it, and what faults after that waits too."
        ),
        _ => "What its kernel locks while it discards is not known.".to_owned(),
    }
}

/// Who does what.
pub(super) fn company(row: &Row) -> String {
    match (row.reporters, row.vcpus.saturating_sub(row.reporters)) {
        (reporting, 0) => format!("{reporting} reporting"),
        (0, faulting) => format!("{faulting} faulting"),
        (reporting, faulting) => format!("{reporting} reporting, {faulting} faulting"),
    }
}

fn reports(group: &Group<'_, Timed>, how: Sampling) -> Option<Row> {
    if group.choices.reporters == 0 {
        return None;
    }
    let kept = Distribution::of(group.histograms.get(&Phase::Total)?);
    let p999 = group.interval(how, |measured| measured.phase(Phase::Total).p999);
    Some(row(group, Does::Reports, &kept, p999))
}

fn faults(group: &Group<'_, Timed>, nobody: Option<&Group<'_, Timed>>, how: Sampling) -> Option<Row> {
    if group.choices.reporters >= group.choices.vcpus {
        return None;
    }
    let mut kept = Distribution::default();
    group.measured().for_each(|measured| kept.add(measured.gaps.iter().copied()));
    let p999 = |measured: &TimedMeasured| {
        let mut kept = Distribution::default();
        kept.add(measured.gaps.iter().copied());
        kept.quantiles(measured.counts.clock).p999
    };
    let change = |ours: f64, theirs: f64| ours / theirs - 1.0;
    let others = nobody.filter(|_| group.choices.reporters > 0);
    let against = others.and_then(|nobody| group.against(nobody, how, p999, change));
    Some(Row { against, ..row(group, Does::Faults, &kept, group.interval(how, p999)) })
}

fn row(group: &Group<'_, Timed>, does: Does, kept: &Distribution, p999: Interval) -> Row {
    let (choices, clock) = (&group.choices, group.clock());
    Row {
        rung: choices.rung().filter(|_| choices.reporters > 0).map(Named),
        vcpus: choices.vcpus,
        reporters: choices.reporters,
        does: Named(does),
        kept: kept.quantiles(clock),
        p999,
        against: None,
        curve: Tail::of("", kept, clock).points,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_locked_follows_from_the_version() {
        for (kernel, said) in [
            ("6.18.44-fc", "one mapping"),
            ("6.17.0", "one mapping"),
            ("7.0.1", "one mapping"),
            ("6.16.9-1-amd64", "whole address space"),
            ("5.15.0", "whole address space"),
            ("", "not known"),
            ("odd", "not known"),
        ] {
            assert!(locks(kernel).contains(said), "{kernel}: {}", locks(kernel));
        }
    }
}
