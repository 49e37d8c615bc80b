//! In which blocks the machine was disturbed. They are marked, and left in.
//!
//! On a machine that others use throughout every block would be marked, which tells none from another. What others used is
//! said once of the whole run; and a block is marked in which they used, or took from us, more than is usual in the run.

use std::collections::{BTreeMap, BTreeSet};

use super::record::TrialRecord;
use crate::figure::check::{Check, Standing, check, plural};
use crate::figure::interval::median;
use crate::figure::unit::{float, percent, ratio};
use crate::site::sentinel::{AWAY, Disturbance, Meanwhile, OTHERS, SLOWER, STOLEN, Surroundings};

/// The most blocks that are named.
const NAMED: usize = 8;

/// What was seen of a block, in all of its trials together: one look, and one trial's ticks, are too short.
#[derive(Clone, Copy, Default)]
struct Seen {
    spun_ns: u64,
    lost_ns: u64,
    looks: u64,
    work_ns: u64,
    meanwhile: Meanwhile,
}

impl Seen {
    fn plus(self, surroundings: &Surroundings) -> Self {
        let Surroundings { before, after, meanwhile, .. } = surroundings;
        Self {
            spun_ns: self.spun_ns + before.noise.spun_ns + after.noise.spun_ns,
            lost_ns: self.lost_ns + before.noise.lost_ns + after.noise.lost_ns,
            looks: self.looks + 2,
            work_ns: self.work_ns + before.work_ns + after.work_ns,
            meanwhile: self.meanwhile.plus(meanwhile.unwrap_or_default()),
        }
    }

    fn away(&self) -> f64 {
        ratio(float(self.lost_ns), float(self.spun_ns))
    }

    fn work(&self) -> f64 {
        ratio(float(self.work_ns), float(self.looks))
    }
}

/// The blocks of a run that were looked at, each with what disturbed it.
#[must_use]
pub fn blocks(trials: &[TrialRecord]) -> BTreeMap<u32, BTreeSet<Disturbance>> {
    let mut blocks: BTreeMap<u32, Seen> = BTreeMap::new();
    let mut quickest = u64::MAX;
    for (block, seen) in trials.iter().filter_map(|trial| Some((trial.block, trial.surroundings.as_ref()?))) {
        let so_far = blocks.entry(block).or_default();
        *so_far = so_far.plus(seen);
        quickest = quickest.min(seen.quickest_ns);
    }
    let usual = |of: fn(&Seen) -> f64| median(&blocks.values().map(of).collect::<Vec<_>>());
    let (away, others) = (usual(Seen::away), usual(|seen| seen.meanwhile.share_of_others()));
    let of = |(block, seen): (&u32, &Seen)| {
        let all = [
            (seen.away() > away + AWAY, Disturbance::Away),
            (seen.work() > float(quickest) * (1.0 + SLOWER), Disturbance::Slower),
            (seen.meanwhile.is_stolen(), Disturbance::Stolen),
            (seen.meanwhile.is_others(others), Disturbance::Others),
        ];
        (*block, all.into_iter().filter_map(|(is, disturbance)| is.then_some(disturbance)).collect())
    };
    blocks.iter().map(of).collect()
}

/// Those that were disturbed.
#[must_use]
pub fn disturbed(trials: &[TrialRecord]) -> BTreeSet<u32> {
    blocks(trials).into_iter().filter(|(_, by)| !by.is_empty()).map(|(block, _)| block).collect()
}

/// What others used of the machine's processor time in the whole run.
fn used_by_others(trials: &[TrialRecord]) -> f64 {
    let counted = trials.iter().filter_map(|trial| trial.surroundings.as_ref()?.meanwhile);
    counted.fold(Meanwhile::default(), Meanwhile::plus).share_of_others()
}

/// Whether the machine was left alone; nothing if nobody looked.
pub(super) fn left_alone(trials: &[TrialRecord]) -> Option<Check> {
    let blocks = blocks(trials);
    if blocks.is_empty() {
        return None;
    }
    let what = format!(
        "the machine was left alone in every block (looks: away at most {} more than usual, at most {} slower than its quickest; counted by the kernel: at most {} stolen, used by others at most {} of it in the run, and in a block as much more than usual)",
        percent(AWAY),
        percent(SLOWER),
        percent(STOLEN),
        percent(OTHERS)
    );
    let (disturbed, used) = (disturbed(trials).into_iter().collect::<Vec<u32>>(), used_by_others(trials));
    let blocks_said =
        if disturbed.is_empty() { format!("{} blocks", blocks.len()) } else { detail(&blocks, &disturbed) };
    let standing = if disturbed.is_empty() && used <= OTHERS { Standing::Holds } else { Standing::Doubtful };
    Some(check(&what, standing, format!("others used {} of the machine; {blocks_said}", percent(used))))
}

fn detail(blocks: &BTreeMap<u32, BTreeSet<Disturbance>>, disturbed: &[u32]) -> String {
    let all = [
        (Disturbance::Away, "our thread was away longer than usual"),
        (Disturbance::Slower, "the processor was slower"),
        (Disturbance::Stolen, "time was stolen"),
        (Disturbance::Others, "others used more of it than usual"),
    ];
    let counts = all.iter().filter_map(|(disturbance, words)| {
        let count = blocks.values().filter(|by| by.contains(disturbance)).count();
        (count > 0).then(|| format!("{words} in {count}"))
    });
    let named: Vec<String> = disturbed.iter().take(NAMED).map(u32::to_string).collect();
    let more = if disturbed.len() > NAMED { ", …" } else { "" };
    format!(
        "{} of {} blocks disturbed: {}; block{} {}{more}; they are in every figure",
        disturbed.len(),
        blocks.len(),
        counts.collect::<Vec<_>>().join(", "),
        plural(disturbed.len()),
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::noise::Noise;
    use crate::site::sentinel::Look;
    use crate::testing::engine::trial;

    /// A trial before and after which our thread was away for so many microseconds of a millisecond.
    fn record(block: u32, away_us: u64, work_ns: u64, meanwhile: Meanwhile) -> TrialRecord {
        let noise = Noise { spun_ns: 1_000_000, lost_ns: away_us * 1000, ..Noise::default() };
        let look = Look { noise, work_ns };
        let surroundings = Surroundings {
            before: look,
            after: look,
            quickest_ns: 1000,
            meanwhile: Some(meanwhile),
            disturbed: Vec::new(),
        };
        TrialRecord { block, surroundings: Some(surroundings), ..trial() }
    }

    #[test]
    fn blocks_are_marked_by_their_trials_and_named_with_the_criterion() {
        let calm = Meanwhile { ticks: 20, stolen: 0, others: 0 };
        let stolen = Meanwhile { stolen: 1, ..calm };
        let trials = [
            record(0, 0, 1050, calm),
            // A tick in each of two trials: 2 of 40.
            record(1, 0, 1050, stolen),
            record(1, 0, 1050, stolen),
            record(2, 150, 1050, calm),
            // Long against the trial, short against its block.
            record(3, 150, 1050, Meanwhile { others: 3, ..calm }),
            record(3, 0, 1050, Meanwhile { ticks: 400, ..calm }),
            record(4, 0, 1200, calm),
        ];
        assert_eq!(disturbed(&trials), BTreeSet::from([1, 2, 4]));
        let said = left_alone(&trials).unwrap();
        assert_eq!(said.standing, Standing::Doubtful);
        assert!(said.what.contains("10.0 %") && said.detail.contains("3 of 5 blocks"), "{said:?}");
        assert!(said.detail.contains("time was stolen in 1; blocks 1, 2, 4"), "{said:?}");
        assert_eq!(left_alone(&trials[..1]).unwrap().standing, Standing::Holds);
        assert!(left_alone(&[trial()]).is_none(), "nobody looked");
    }

    #[test]
    fn a_machine_that_others_use_throughout_has_the_blocks_marked_that_stand_out() {
        let used = |block, away_us, others| {
            record(block, away_us, 1050, Meanwhile { ticks: 100, stolen: 0, others })
        };
        let trials =
            [used(0, 200, 60), used(1, 250, 62), used(2, 220, 58), used(3, 230, 75), used(4, 500, 61)];
        assert_eq!(disturbed(&trials), BTreeSet::from([3, 4]));
        let said = left_alone(&trials).unwrap();
        assert!(said.detail.starts_with("others used 63.2 % of the machine; 2 of 5 blocks"), "{said:?}");
        let even = left_alone(&trials[..3]).unwrap();
        assert!(even.standing == Standing::Doubtful && even.detail.ends_with("; 3 blocks"), "{even:?}");
    }
}
