//! The axes of a way, whichever they are, and every way that means something: for what goes through all of them.

use abi::axes::{Axis, Carrier, Completion, RingFeatures};

use super::backing::Backing;
use super::discard::{Coalesce, Discard};
use super::doorbell::{Doorbell, Servicer};
use super::guest_ring::RingChoice;
use super::halt_poll::HaltPoll;
use super::rules::{RULES, Rule};
use super::set::Set;
use super::way::Way;

/// One axis of a way, whichever it is. Its values are named by their places in [`Axis::ALL`].
#[derive(Clone, Copy, Debug)]
pub struct WayAxis {
    /// What it is called, on the command line too.
    pub name: &'static str,
    /// How many values it has.
    pub count: usize,
    /// What the value at a place is called.
    pub name_of: fn(usize) -> &'static str,
    /// The place of the value that a way has.
    pub place_in: fn(&Way) -> usize,
    /// The way with the value at a place instead.
    with: fn(Way, usize) -> Way,
}

macro_rules! way_axes {
    ($($field:ident: $axis:ty),* $(,)?) => {
        /// The axes of a way, in its own order.
        pub const WAY_AXES: &[WayAxis] = &[$(WayAxis {
            name: <$axis>::AXIS,
            count: <$axis>::ALL.len(),
            name_of: |place| <$axis>::ALL[place].name(),
            place_in: |way| place(way.$field),
            with: |way, place| Way { $field: <$axis>::ALL[place], ..way },
        }),*];

        // An axis that a way has and this list has not does not compile.
        const _: fn(Way) = |Way { $($field: _),* }| ();
    };
}

way_axes! {
    carrier: Carrier,
    ring_features: RingFeatures,
    doorbell: Doorbell,
    servicer: Servicer,
    completion: Completion,
    halt_poll: HaltPoll,
    guest_ring: RingChoice,
    discard: Discard,
    coalesce: Coalesce,
    backing: Backing,
}

fn place<A: Axis>(value: A) -> usize {
    A::ALL.iter().position(|other| *other == value).unwrap_or(usize::MAX)
}

/// A way to begin with, of which every axis is set.
const BLANK: Way = Way::plain(Carrier::Empty, Doorbell::Port, Completion::Return);

impl WayAxis {
    /// What the value of a way is called.
    #[must_use]
    pub fn name_in(&self, way: &Way) -> &'static str {
        (self.name_of)((self.place_in)(way))
    }

    /// The way with each value of this axis.
    fn vary(&self, way: Way) -> impl Iterator<Item = Way> {
        let with = self.with;
        (0..self.count).map(move |place| with(way, place))
    }
}

impl Rule {
    /// The sets that it looks at.
    fn sets(&self) -> impl Iterator<Item = &Set> {
        self.given.iter().chain([&self.then])
    }
}

impl Way {
    /// Every combination of choices that goes together, in the order of the axes.
    #[must_use]
    pub fn allowed() -> Vec<Self> {
        let place = |set: &Set| WAY_AXES.iter().position(|axis| axis.name == set.axis());
        let mut ways = vec![BLANK];
        for (number, axis) in WAY_AXES.iter().enumerate() {
            // Each rule is asked as soon as all it looks at is set, so that what breaks one is not varied further.
            let last = |rule: &&Rule| rule.sets().filter_map(place).max() == Some(number);
            let rules: Vec<&Rule> = RULES.iter().filter(last).collect();
            let keeps = |way: &Self| rules.iter().all(|rule| rule.allows(way));
            ways = ways.into_iter().flat_map(|way| axis.vary(way)).filter(keeps).collect();
        }
        ways
    }

    /// Every combination of choices, those that mean nothing among them.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let ways = WAY_AXES.iter().map(|axis| axis.count).product();
        (0..ways).map(|number: usize| {
            let set = |(way, rest), axis: &WayAxis| ((axis.with)(way, rest % axis.count), rest / axis.count);
            WAY_AXES.iter().fold((BLANK, number), set).0
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_allowed_ways_are_those_of_all_that_keep_the_rules() {
        let allowed = Way::allowed();
        let found: HashSet<Way> = allowed.iter().copied().collect();
        assert_eq!(found.len(), allowed.len(), "one twice");
        assert_eq!(found, Way::all().filter(|way| way.validate().is_ok()).collect());
    }

    #[test]
    fn an_axis_sets_and_names_its_own_values() {
        for axis in WAY_AXES {
            for (place, way) in axis.vary(BLANK).enumerate() {
                assert_eq!((axis.place_in)(&way), place);
                assert_eq!(axis.name_in(&way), (axis.name_of)(place));
                let others = WAY_AXES.iter().filter(|other| other.name != axis.name);
                assert!(others.into_iter().all(|other| other.name_in(&way) == other.name_in(&BLANK)));
            }
        }
    }
}
