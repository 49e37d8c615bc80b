//! In which blocks the machine was disturbed. They are marked, and left in.
//!
//! A machine that others use throughout would have every block marked, which tells none from another: what others used is
//! said once of the whole run, and marks the blocks in which it was more than is usual in this run.

use std::collections::{BTreeMap, BTreeSet};

use super::record::TrialRecord;
use crate::figure::check::{Check, Standing, check, plural};
use crate::figure::interval::median;
use crate::figure::unit::percent;
use crate::site::sentinel::{AWAY, Disturbance, Meanwhile, OTHERS, SLOWER, STOLEN, Surroundings};

/// The most blocks that are named.
const NAMED: usize = 8;

/// The blocks of a run that were looked at, each with what disturbed it: a look of one of its trials, or what the kernel
/// counted during all of them.
#[must_use]
pub fn blocks(trials: &[TrialRecord]) -> BTreeMap<u32, BTreeSet<Disturbance>> {
    let mut blocks: BTreeMap<u32, (BTreeSet<Disturbance>, Meanwhile)> = BTreeMap::new();
    for trial in trials {
        let Some(Surroundings { disturbed, meanwhile, .. }) = &trial.surroundings else { continue };
        let (all, sum) = blocks.entry(trial.block).or_default();
        // The kernel's ticks are too long for a trial, and are added up first.
        let by_looks = [Disturbance::Away, Disturbance::Slower];
        all.extend(disturbed.iter().filter(|disturbance| by_looks.contains(disturbance)));
        *sum = sum.plus(meanwhile.unwrap_or_default());
    }
    let used: Vec<f64> = blocks.values().map(|(_, sum)| sum.share_of_others()).collect();
    let usual = median(&used);
    let of = |(block, (mut all, sum)): (u32, (BTreeSet<Disturbance>, Meanwhile))| {
        all.extend(sum.is_stolen().then_some(Disturbance::Stolen));
        all.extend(sum.is_others(usual).then_some(Disturbance::Others));
        (block, all)
    };
    blocks.into_iter().map(of).collect()
}

/// What others used of the machine's processor time in the whole run.
fn used_by_others(trials: &[TrialRecord]) -> f64 {
    let counted = trials.iter().filter_map(|trial| trial.surroundings.as_ref()?.meanwhile);
    counted.fold(Meanwhile::default(), Meanwhile::plus).share_of_others()
}

/// Those that were disturbed.
#[must_use]
pub fn disturbed(trials: &[TrialRecord]) -> BTreeSet<u32> {
    blocks(trials).into_iter().filter(|(_, by)| !by.is_empty()).map(|(block, _)| block).collect()
}

/// Whether the machine was left alone; nothing if nobody looked.
pub(super) fn left_alone(trials: &[TrialRecord]) -> Option<Check> {
    let blocks = blocks(trials);
    if blocks.is_empty() {
        return None;
    }
    let what = format!(
        "the machine was left alone in every block (looks: away at most {}, at most {} slower than its quickest; counted by the kernel: at most {} stolen, used by others at most {} of it in the run and of a block as much more than is usual)",
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
        (Disturbance::Away, "our thread was away"),
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

    fn record(block: u32, disturbed: &[Disturbance], meanwhile: Meanwhile) -> TrialRecord {
        let look = Look { noise: Noise::default(), work_ns: 1 };
        let surroundings = Surroundings {
            before: look,
            after: look,
            quickest_ns: 1,
            meanwhile: Some(meanwhile),
            disturbed: disturbed.to_vec(),
        };
        TrialRecord { block, surroundings: Some(surroundings), ..trial() }
    }

    #[test]
    fn blocks_are_marked_by_their_trials_and_named_with_the_criterion() {
        let calm = Meanwhile { ticks: 20, stolen: 0, others: 0 };
        let stolen = Meanwhile { stolen: 1, ..calm };
        let trials = [
            record(0, &[], calm),
            // A tick in each of two trials: 2 of 40.
            record(1, &[], stolen),
            record(1, &[], stolen),
            record(2, &[Disturbance::Away], calm),
            // Long against the trial, short against its block.
            record(3, &[], Meanwhile { others: 3, ..calm }),
            record(3, &[], Meanwhile { ticks: 400, ..calm }),
        ];
        assert_eq!(disturbed(&trials), BTreeSet::from([1, 2]));
        let said = left_alone(&trials).unwrap();
        assert_eq!(said.standing, Standing::Doubtful);
        assert!(said.what.contains("10.0 %") && said.detail.contains("2 of 4 blocks"), "{said:?}");
        assert!(said.detail.contains("time was stolen in 1; blocks 1, 2"), "{said:?}");
        assert_eq!(left_alone(&trials[..1]).unwrap().standing, Standing::Holds);
        assert!(left_alone(&[trial()]).is_none(), "nobody looked");
    }

    #[test]
    fn a_machine_that_others_use_throughout_has_the_blocks_marked_in_which_they_used_more() {
        let used = |block, others| record(block, &[], Meanwhile { ticks: 100, stolen: 0, others });
        let trials = [used(0, 60), used(1, 62), used(2, 58), used(3, 75), used(4, 61)];
        assert_eq!(disturbed(&trials), BTreeSet::from([3]));
        let said = left_alone(&trials).unwrap();
        assert!(said.detail.starts_with("others used 63.2 % of the machine; 1 of 5 blocks"), "{said:?}");
        let even = left_alone(&trials[..3]).unwrap();
        assert_eq!(
            (even.standing, even.detail.contains("; 3 blocks")),
            (Standing::Doubtful, true),
            "{even:?}"
        );
    }
}
