//! What becomes of reported pages, by what is done with them and what memory is made of: what every oracle expects.

use abi::addr::Order;
use abi::axes::Afterwards;

use super::backing::Backing;
use super::discard::Discard;
use super::way::Way;

/// How many of the reported pages cost the host nothing any more; of what is put off, when memory is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freed {
    /// None: a discard that was made, and freed nothing.
    Nothing,
    /// As many as the kernel likes, when it likes.
    AsItLikes,
    /// All of them, at once.
    All,
}

impl Way {
    /// What reported pages hold afterwards.
    #[must_use]
    pub const fn afterwards(&self) -> Afterwards {
        match (self.discard, self.backing) {
            (Discard::None | Discard::PageOut, _) => Afterwards::Kept,
            (Discard::Free | Discard::Deferred, _) => Afterwards::Either,
            // They are gone from the page table, and read from the file again.
            (Discard::DontNeed | Discard::Vectored, Backing::Memfd | Backing::MemfdThp) => Afterwards::Kept,
            _ => Afterwards::Zeroed,
        }
    }

    /// How many pages of blocks of this order are freed.
    #[must_use]
    pub const fn frees(&self, order: Order) -> Freed {
        let is_part = order.get() < Order::HUGE.get();
        match (self.discard, self.backing) {
            (Discard::None | Discard::PageOut, _) => Freed::Nothing,
            (Discard::Free, _) => Freed::AsItLikes,
            (Discard::DontNeed | Discard::Vectored, Backing::Memfd | Backing::MemfdThp) => Freed::Nothing,
            // A hole in one of its pages is filled with zeroes.
            (_, Backing::Hugetlb) if is_part => Freed::Nothing,
            _ => Freed::All,
        }
    }

    /// Why a discard that is made frees nothing of blocks of this order, in words that end a sentence; `None` where it
    /// frees something, or none is made.
    #[must_use]
    pub fn why_nothing(&self, order: Order) -> Option<&'static str> {
        if self.discard == Discard::None || self.frees(order) != Freed::Nothing {
            return None;
        }
        Some(match (self.discard, self.backing) {
            (Discard::PageOut, _) => "what is paged out is in swap, and stays where there is none",
            (_, Backing::Hugetlb) => "a hole in a huge page of hugetlb is filled with zeroes",
            _ => "the file keeps what is merely unmapped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::axes::{Axis, Carrier, Completion};

    use crate::axes::Doorbell;

    fn way(discard: Discard, backing: Backing) -> Way {
        Way { discard, backing, ..Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return) }
    }

    #[test]
    fn what_is_freed_holds_zeroes_and_what_is_not_says_why() {
        for discard in Discard::ALL {
            for backing in Backing::ALL {
                let way = way(*discard, *backing);
                for order in [Order::PAGE, Order::HUGE] {
                    let freed = way.frees(order);
                    // What is put off is kept until memory is wanted.
                    let expected =
                        if *discard == Discard::Deferred { Afterwards::Either } else { Afterwards::Zeroed };
                    assert!(freed != Freed::All || way.afterwards() == expected, "{way:?}");
                    let said = freed == Freed::Nothing && *discard != Discard::None;
                    assert_eq!(way.why_nothing(order).is_some(), said, "{way:?}");
                }
            }
        }
    }

    #[test]
    fn the_known_discards_that_free_nothing_are_known() {
        assert_eq!(way(Discard::DontNeed, Backing::Memfd).frees(Order::HUGE), Freed::Nothing);
        assert_eq!(way(Discard::PunchHole, Backing::Hugetlb).frees(Order::PAGE), Freed::Nothing);
        assert_eq!(way(Discard::PunchHole, Backing::Hugetlb).frees(Order::HUGE), Freed::All);
        assert_eq!(way(Discard::DontNeed, Backing::AnonThp).frees(Order::PAGE), Freed::All);
        assert_eq!(way(Discard::Free, Backing::Anon).frees(Order::PAGE), Freed::AsItLikes);
    }
}
