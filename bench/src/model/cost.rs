//! Which terms a report is made of. This table is the cost model: fits and predictions both read it.

use std::collections::BTreeMap;

use abi::addr::{Order, PAGE_SIZE};
use host::axes::Discard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::term::Term;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::figure::size::block;

/// The least order of a range that is at least a huge page.
pub const HUGE: u8 = 9;

/// How often each term occurs.
pub type Counts = BTreeMap<Term, f64>;

/// A report, as far as its cost depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Its transport.
    pub rung: Named<Rung>,
    /// Ranges in it.
    pub batch: u16,
    /// What they are.
    #[serde(flatten)]
    pub blocks: Blocks,
}

/// What ranges are, and what is done with them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Blocks {
    /// log2 of the pages in a range.
    pub order: u8,
    /// Whether they are discarded.
    pub discarded: bool,
    /// Whether they are whole huge pages.
    pub huge: bool,
}

impl Blocks {
    /// Pages in one of them.
    #[must_use]
    pub fn pages(self) -> f64 {
        f64::from(1_u32 << self.order.min(Order::MAX.get()))
    }

    /// Huge pages in one of them.
    #[must_use]
    pub fn huge_pages(self) -> f64 {
        self.pages() / f64::from(1_u32 << HUGE)
    }

    /// Bytes in one of them.
    #[must_use]
    pub fn bytes(self) -> f64 {
        self.pages() * crate::figure::unit::float(PAGE_SIZE)
    }

    /// For tables and sentences.
    #[must_use]
    pub fn title(self) -> String {
        match (self.discarded, self.huge) {
            (false, _) => "not discarded".to_owned(),
            (true, false) => format!("{}, discarded", block(self.order)),
            (true, true) => format!("{} in huge pages, discarded", block(self.order)),
        }
    }

    /// Bringing one of them back.
    #[must_use]
    pub fn refault(self) -> Counts {
        match (self.discarded, self.huge) {
            (false, _) => Counts::new(),
            (true, false) => Counts::from([(Term::RefaultPage, self.pages())]),
            (true, true) => Counts::from([(Term::RefaultHuge, self.huge_pages())]),
        }
    }
}

/// The transport of a rung that the model knows: what a report takes once, and what each range takes. `None` for a rung
/// that it does not know.
fn transport(rung: Rung) -> Option<(&'static [Term], &'static [Term])> {
    use Term::{
        Descriptor, Exit, InKernel, Interrupt, Kick, Notify, Page, RangeInPage, RangeInRegisters, Ring,
        Sleep, WakeUp,
    };
    Some(match rung {
        Rung::InKernel => (&[InKernel], &[]),
        Rung::Floor => (&[Exit], &[]),
        Rung::HypercallEach => (&[], &[Exit, RangeInRegisters]),
        Rung::HypercallBatch => (&[Exit, Page], &[RangeInPage]),
        Rung::RingHypercall => (&[Exit, Ring], &[Descriptor]),
        Rung::RingSync => (&[Notify, Ring], &[Descriptor]),
        Rung::RingAsync => (&[Kick, WakeUp, Ring], &[Descriptor]),
        Rung::VirtioPolled => (&[Kick, WakeUp, Interrupt, Ring], &[Descriptor]),
        Rung::Virtio => (&[Kick, WakeUp, Interrupt, Sleep, Ring], &[Descriptor]),
        _ => return None,
    })
}

/// Whether the model knows what a report with this discard is made of.
#[must_use]
pub const fn knows(discard: Discard) -> bool {
    matches!(discard, Discard::None | Discard::DontNeed)
}

impl Report {
    /// How often each term occurs in it; `None` if the model does not know its transport.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let (once, each) = transport(self.rung.0)?;
        let (batch, mut counts) = (f64::from(self.batch), Counts::new());
        let mut add = |term, count| *counts.entry(term).or_insert(0.0) += count;
        once.iter().for_each(|term| add(*term, 1.0));
        each.iter().for_each(|term| add(*term, batch));
        if self.blocks.discarded && self.rung.0.names_pages() {
            add(Term::Madvise, batch);
            match self.blocks.huge {
                true => add(Term::DiscardHuge, batch * self.blocks.huge_pages()),
                false => add(Term::DiscardPage, batch * self.blocks.pages()),
            }
            if self.rung.0 == Rung::RingAsync {
                // Its guest looks for the answer, and so runs while another thread discards.
                add(Term::Flush, batch);
            }
        }
        Some(counts)
    }

    /// The rungs that the model knows, in the ladder's order.
    pub fn rungs() -> impl Iterator<Item = Rung> {
        Rung::LADDER.iter().copied().filter(|rung| transport(*rung).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_ladder_is_known_and_a_call_a_range_takes_an_exit_a_range() {
        assert_eq!(Report::rungs().collect::<Vec<_>>(), Rung::LADDER);
        let blocks = Blocks { order: 3, discarded: true, huge: false };
        let report = |rung| Report { rung: Named(rung), batch: 5, blocks };
        let counts = report(Rung::HypercallEach).counts().unwrap();
        assert_eq!(
            counts,
            Counts::from([
                (Term::Exit, 5.0),
                (Term::RangeInRegisters, 5.0),
                (Term::Madvise, 5.0),
                (Term::DiscardPage, 40.0)
            ])
        );
        assert!(report(Rung::Log).counts().is_none());
        assert_eq!(report(Rung::Floor).counts().unwrap(), Counts::from([(Term::Exit, 1.0)]));
    }
}
