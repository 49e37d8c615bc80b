//! Which two values go together, and which rules keep the others apart.

use super::every::WAY_AXES;
use super::rules::{RULES, Rule};
use super::set::Set;

/// A value of a way: the number of its axis in [`WAY_AXES`], and its place on that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Value {
    /// The axis.
    pub axis: usize,
    /// The place.
    pub place: usize,
}

/// Some values of an axis, a bit for each place.
#[derive(Clone, Copy, Debug)]
struct Places {
    axis: usize,
    bits: u64,
}

impl Places {
    fn of(set: &Set) -> Self {
        let names = set.names();
        let axis = WAY_AXES.iter().position(|axis| axis.name == set.axis()).unwrap_or(usize::MAX);
        let is_one = |place: &usize| names.contains(&(WAY_AXES[axis].name_of)(*place));
        let bits = (0..WAY_AXES[axis].count).filter(is_one).fold(0, |bits, place| bits | 1 << place);
        Self { axis, bits }
    }
}

/// A rule in places.
#[derive(Debug)]
struct Placed {
    rule: &'static Rule,
    given: Vec<Places>,
    then: Places,
}

/// Values that a rule took from an axis, because of what is left on others.
#[derive(Clone, Debug)]
struct Taken {
    axis: usize,
    rule: &'static Rule,
    because: Vec<usize>,
}

/// The values that are left on every axis.
#[derive(Clone, Debug)]
struct Left {
    bits: Vec<u64>,
    taken: Vec<Taken>,
}

/// What goes together, by the rules.
#[derive(Debug)]
pub struct Together(Vec<Placed>);

impl Default for Together {
    fn default() -> Self {
        let place = |rule: &'static Rule| Placed {
            rule,
            given: rule.given.iter().map(Places::of).collect(),
            then: Places::of(&rule.then),
        };
        Self(RULES.iter().map(place).collect())
    }
}

impl Together {
    /// The rules that keep two values apart, each following from those before; `None` if some way has both.
    #[must_use]
    pub fn apart(&self, one: Value, other: Value) -> Option<Vec<&'static Rule>> {
        let all = WAY_AXES.iter().map(|axis| (1 << axis.count) - 1).collect();
        let left = Left { bits: all, taken: Vec::new() }.with(one).with(other);
        self.contradiction(left)
    }

    /// The rules that leave no way at all, if they do.
    fn contradiction(&self, mut left: Left) -> Option<Vec<&'static Rule>> {
        while !left.is_contradiction() {
            let taken = self.0.iter().find_map(|rule| rule.take(&left));
            let Some((places, taken)) = taken else { return self.cases(&left) };
            left.bits[places.axis] &= places.bits;
            left.taken.push(taken);
        }
        Some(left.reasons())
    }

    /// The same of every value that is left on the first axis where more than one is.
    fn cases(&self, left: &Left) -> Option<Vec<&'static Rule>> {
        let axis = left.bits.iter().position(|bits| bits.count_ones() > 1)?;
        let places = (0..WAY_AXES[axis].count).filter(|place| left.bits[axis] & 1 << place != 0);
        let mut why = None;
        for place in places {
            why = Some(self.contradiction(left.clone().with(Value { axis, place }))?);
        }
        why
    }
}

impl Placed {
    /// What it leaves of an axis that had more, if anything follows from it.
    fn take(&self, left: &Left) -> Option<(Places, Taken)> {
        let Self { rule, given, then } = self;
        let mut open = given.iter().filter(|places| left.bits[places.axis] & !places.bits != 0);
        let kept = match (open.next(), open.next()) {
            (None, _) => *then,
            // What must not be then cannot have been given.
            (Some(one), None) if left.bits[then.axis] & then.bits == 0 => Places { bits: !one.bits, ..*one },
            _ => return None,
        };
        let axes = given.iter().chain([then]).map(|places| places.axis);
        let because = axes.filter(|axis| *axis != kept.axis).collect();
        let takes = left.bits[kept.axis] & !kept.bits != 0;
        takes.then_some((kept, Taken { axis: kept.axis, rule, because }))
    }
}

impl Left {
    fn with(mut self, value: Value) -> Self {
        self.bits[value.axis] &= 1 << value.place;
        self
    }

    fn is_contradiction(&self) -> bool {
        self.bits.contains(&0)
    }

    /// The rules by which an axis lost all its values, and those that they follow from, the first first.
    fn reasons(&self) -> Vec<&'static Rule> {
        let mut axes: Vec<usize> = self.bits.iter().position(|bits| *bits == 0).into_iter().collect();
        let mut reasons = Vec::new();
        for taken in self.taken.iter().rev() {
            if axes.contains(&taken.axis) {
                axes.extend(&taken.because);
                reasons.push(taken.rule);
            }
        }
        reasons.reverse();
        reasons
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::axes::Way;

    fn value(axis: &str, name: &str) -> Value {
        let number = WAY_AXES.iter().position(|known| known.name == axis).unwrap();
        let place = (0..WAY_AXES[number].count).find(|place| (WAY_AXES[number].name_of)(*place) == name);
        Value { axis: number, place: place.unwrap() }
    }

    fn values() -> impl Iterator<Item = Value> {
        let of = |(axis, known): (usize, &crate::axes::WayAxis)| {
            (0..known.count).map(move |place| Value { axis, place })
        };
        WAY_AXES.iter().enumerate().flat_map(of)
    }

    #[test]
    fn two_values_go_together_if_some_allowed_way_has_both() {
        let mut met = HashSet::new();
        for way in Way::allowed() {
            let values: Vec<Value> = WAY_AXES
                .iter()
                .enumerate()
                .map(|(axis, known)| Value { axis, place: (known.place_in)(&way) })
                .collect();
            for one in &values {
                met.extend(values.iter().map(|other| (*one, *other)));
            }
        }
        let together = Together::default();
        for one in values() {
            for other in values().filter(|other| other.axis != one.axis) {
                let why = together.apart(one, other);
                assert_eq!(why.is_none(), met.contains(&(one, other)), "{one:?} {other:?}: {why:?}");
                assert!(why.is_none_or(|why| !why.is_empty()), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn why_two_values_are_apart_is_what_follows_from_them_and_nothing_else() {
        let together = Together::default();
        let why = |one, other| -> Vec<&str> {
            let rules = together.apart(one, other).unwrap_or_default();
            rules.iter().map(|rule| rule.why).collect()
        };
        assert_eq!(
            why(value("carrier", "batch"), value("doorbell", "ioeventfd-mmio")),
            ["an eventfd carries neither registers nor an answer"]
        );
        assert_eq!(
            why(value("doorbell", "hypercall-kernel"), value("carrier", "ring")),
            ["KVM answers such a call itself and looks at no ranges"]
        );
        assert_eq!(why(value("carrier", "ring"), value("discard", "remove")), [""; 0]);
    }
}
