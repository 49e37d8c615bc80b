//! From how many ranges on virtio is no dearer than a call, who is the cheapest, and whether it matters.

use abi::wire::page::BATCH_CAPACITY;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cost::{Blocks, Counts, Report};
use super::predict::Estimate;
use super::profile::Profile;
use super::term::Term;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::unit::ratio;

/// The transport that is asked about.
pub const VIRTIO: Rung = Rung::Virtio;
/// The two ways to call that it is held against.
pub const CALLS: [Rung; 2] = [Rung::HypercallEach, Rung::HypercallBatch];
/// Below this share of a report and its refault a transport does not matter.
pub const MATTERS: f64 = 0.05;

/// From how many ranges on virtio is no dearer than a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Even {
    /// The way to call.
    pub against: Named<Rung>,
    /// What ranges are, and what is done with them.
    #[serde(flatten)]
    pub blocks: Blocks,
    /// The least batch from which on it is no dearer; absent if it is dearer up to the largest.
    pub from: Option<u16>,
    /// The least that it may be, by the band of the difference.
    pub least: Option<u16>,
    /// The most that it may be.
    pub most: Option<u16>,
    /// Terms that decide it and are not known: then nothing is said.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unknown: Vec<Named<Term>>,
}

fn counts(rung: Rung, batch: u16, blocks: Blocks) -> Counts {
    Report { rung: Named(rung), batch, blocks }.counts().unwrap_or_default()
}

/// The largest batch.
#[must_use]
pub fn largest() -> u16 {
    u16::try_from(BATCH_CAPACITY).unwrap_or(u16::MAX)
}

impl Even {
    /// By a host's profile.
    #[must_use]
    pub fn of(profile: &Profile, against: Rung, blocks: Blocks) -> Self {
        let difference =
            |batch| profile.difference(&counts(against, batch, blocks), &counts(VIRTIO, batch, blocks));
        let all: Vec<(u16, Estimate)> = (1..=largest()).map(|batch| (batch, difference(batch))).collect();
        let unknown = all.iter().find(|(_, more)| !more.is_whole()).map(|(_, more)| more.unknown.clone());
        let from = |end: fn(&Estimate) -> f64| {
            let cheap = all.iter().rev().take_while(|(_, more)| end(more) <= 0.0).last();
            cheap.map(|(batch, _)| *batch).filter(|_| unknown.is_none())
        };
        Self {
            against: Named(against),
            blocks,
            from: from(|more| more.value),
            least: from(|more| more.low),
            most: from(|more| more.high),
            unknown: unknown.clone().unwrap_or_default(),
        }
    }

    /// For a table: `6 [5, 8]`.
    #[must_use]
    pub fn show(&self) -> String {
        if !self.unknown.is_empty() {
            return "unknown".to_owned();
        }
        let end =
            |batch: Option<u16>| batch.map_or_else(|| format!("> {}", largest()), |batch| batch.to_string());
        let (from, least, most) = (end(self.from), end(self.least), end(self.most));
        if from == least && from == most { from } else { format!("{from} [{least}, {most}]") }
    }

    /// Whether two hosts, or two runs of one, agree: each one's figure is within the other's ends. `None` if one of them
    /// knows nothing.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> Option<bool> {
        if !(self.unknown.is_empty() && other.unknown.is_empty()) {
            return None;
        }
        let number = |batch: Option<u16>| batch.map_or(u32::from(largest()) + 1, u32::from);
        let holds = |one: &Self, batch| (number(one.least)..=number(one.most)).contains(&number(batch));
        Some(holds(self, other.from) && holds(other, self.from))
    }
}

/// A report of so many ranges over every transport.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Contest {
    /// Ranges in it.
    pub batch: u16,
    /// What they are, and what is done with them.
    #[serde(flatten)]
    pub blocks: Blocks,
    /// What it costs over each.
    pub reports: Vec<(Named<Rung>, Estimate)>,
    /// Bringing its pages back.
    pub refault: Estimate,
    /// Who wins.
    pub verdict: Verdict,
}

/// What can be said of the two calls and virtio.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum Verdict {
    /// One is the cheapest, band and all.
    Wins {
        /// Which.
        rung: Named<Rung>,
        /// What the dearest of the others costs more, as a share of report and refault together.
        saves: f64,
    },
    /// The transport does not matter: between the cheapest and the dearest lies so small a share of report and refault.
    DoesNotMatter {
        /// The share.
        share: f64,
    },
    /// The bands overlap.
    CannotSay,
    /// Terms that decide it are not known.
    Unknown {
        /// Which.
        terms: Vec<Named<Term>>,
    },
}

impl Contest {
    /// By a host's profile.
    #[must_use]
    pub fn of(profile: &Profile, batch: u16, blocks: Blocks) -> Self {
        let report =
            |rung| Some((Named(rung), profile.cost(&Report { rung: Named(rung), batch, blocks }.counts()?)));
        let refault = blocks.refault().into_iter().map(|(term, count)| (term, count * f64::from(batch)));
        let refault = profile.cost(&refault.collect());
        let verdict = verdict(profile, batch, blocks, &refault);
        Self { batch, blocks, reports: Report::rungs().filter_map(report).collect(), refault, verdict }
    }

    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let what = format!("{} ranges, {}", self.batch, self.blocks.title());
        match &self.verdict {
            Verdict::Wins { rung, saves } => format!(
                "{what}: {rung} is the cheapest; with the dearest of the three, report and refault cost {:.2} times as much.",
                1.0 + saves
            ),
            Verdict::DoesNotMatter { share } => format!(
                "{what}: transport does not matter here: from the cheapest of the three to the dearest it is {} of report and refault together.",
                crate::figure::unit::percent(*share)
            ),
            Verdict::CannotSay => {
                format!("{what}: which transport is the cheapest cannot be said, the bands overlap.")
            }
            Verdict::Unknown { terms } => {
                format!(
                    "{what}: nothing can be said, this host's profile does not know {}.",
                    super::predict::names(terms)
                )
            }
        }
    }
}

fn verdict(profile: &Profile, batch: u16, blocks: Blocks, refault: &Estimate) -> Verdict {
    let rungs = [CALLS[0], CALLS[1], VIRTIO];
    let pairs = rungs
        .iter()
        .flat_map(|from| rungs.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from != to);
    let more = |from, to| profile.difference(&counts(from, batch, blocks), &counts(to, batch, blocks));
    let mut unknown: Vec<Named<Term>> = pairs.clone().flat_map(|(from, to)| more(from, to).unknown).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        return Verdict::Unknown { terms: unknown };
    }
    let least = rungs.into_iter().min_by(|a, b| more(*b, *a).value.total_cmp(&0.0));
    let Some(least) = least else { return Verdict::CannotSay };
    let dearest = rungs.iter().map(|rung| more(least, *rung).value).fold(0.0, f64::max);
    let whole = profile.cost(&counts(least, batch, blocks));
    if whole.is_whole() && refault.is_whole() {
        let share = ratio(dearest, whole.value + refault.value);
        if share < MATTERS {
            return Verdict::DoesNotMatter { share };
        }
        if rungs.iter().all(|rung| *rung == least || more(least, *rung).low > 0.0) {
            return Verdict::Wins { rung: Named(least), saves: share };
        }
        return Verdict::CannotSay;
    }
    let mut terms = [whole.unknown, refault.unknown.clone()].concat();
    terms.dedup();
    Verdict::Unknown { terms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(terms: &str) -> Profile {
        let text = format!("name = \"a\"\nhost = \"b\"\nsource = \"c\"\nunit = \"ns\"\n[terms]\n{terms}");
        Profile::parse(&text, "here").unwrap()
    }

    const WHOLE: &str = "exit = { value = 1000.0 }\npage = { value = 0.0 }\nring = { value = 0.0 }\n\
        range-in-registers = { value = 0.0 }\nrange-in-page = { value = 0.0 }\ndescriptor = { value = 0.0 }\n\
        kick = { low = 1800.0, value = 2000.0, high = 2200.0 }\nwake-up = { value = 3000.0 }\n\
        interrupt = { value = 500.0 }\nsleep = { value = 0.0 }\n";
    const FREE: Blocks = Blocks { order: 0, discarded: false, huge: false };

    #[test]
    fn virtio_is_even_where_its_kick_is_paid_for() {
        let even = Even::of(&profile(WHOLE), Rung::HypercallEach, FREE);
        // 5500 of a kick, a wake-up and an interrupt are five and a half exits.
        assert_eq!((even.least, even.from, even.most), (Some(6), Some(6), Some(6)));
        let wide = WHOLE.replace("high = 2200.0", "high = 4200.0");
        assert_eq!(Even::of(&profile(&wide), Rung::HypercallEach, FREE).show(), "6 [6, 8]");
        let batch = Even::of(&profile(WHOLE), Rung::HypercallBatch, FREE);
        assert_eq!((batch.from, batch.show().as_str()), (None, "> 511"));
        let unknown = Even::of(&profile("exit = { value = 1.0 }"), Rung::HypercallEach, FREE);
        assert!(unknown.unknown.contains(&Named(Term::WakeUp)) && unknown.from.is_none());
        assert_eq!(even.agrees_with(&batch), Some(false));
        assert_eq!([even.agrees_with(&even), unknown.agrees_with(&even)], [Some(true), None]);
    }

    #[test]
    fn who_wins_is_said_where_bands_and_the_whole_allow_it() {
        let of = |terms: &str, blocks| Contest::of(&profile(terms), 32, blocks).verdict;
        assert!(matches!(of(WHOLE, FREE), Verdict::Wins { rung: Named(Rung::HypercallBatch), .. }));
        let huge = Blocks { order: 9, discarded: true, huge: true };
        assert!(matches!(of(WHOLE, huge), Verdict::Unknown { .. }));
        let slow = format!(
            "{WHOLE}madvise = {{ value = 16000.0 }}\ndiscard-huge = {{ value = 1.0 }}\nrefault-huge = {{ value = 340000.0 }}"
        );
        assert!(matches!(of(&slow, huge), Verdict::DoesNotMatter { share } if share < 0.01));
        let close =
            WHOLE.replace("kick = { low = 1800.0, value = 2000.0", "kick = { low = -5000.0, value = 2000.0");
        assert_eq!(of(&close, FREE), Verdict::CannotSay);
    }
}
