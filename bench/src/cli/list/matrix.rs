//! `pagehint list --matrix`: every value of every axis, where it comes from, and what it goes with.

use std::io::{self, Write};

use host::axes::{
    Backing, Carrier, Coalesce, Completion, Discard, Doorbell, HaltPoll, RingChoice, RingFeatures, Rule,
    Servicer, Together, Value, WAY_AXES, Workload,
};
use serde::Serialize;

use crate::axes::source::Source;

/// An axis with its values.
#[derive(Serialize)]
pub(super) struct AxisRow {
    pub(super) axis: &'static str,
    pub(super) values: Vec<ValueRow>,
}

/// A value in all that is known of it.
#[derive(Serialize)]
pub(super) struct ValueRow {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    source: &'static str,
    /// The axes of which it does not go with every value.
    limits: Vec<Limit>,
}

/// What of another axis a value goes with, where that is not everything.
#[derive(Serialize)]
struct Limit {
    axis: &'static str,
    with: Vec<&'static str>,
    not: Vec<Apart>,
}

/// Values that another does not go with, for one reason.
#[derive(Serialize)]
struct Apart {
    values: Vec<&'static str>,
    why: String,
}

/// Every axis.
pub(super) fn rows() -> Vec<AxisRow> {
    let together = Together::default();
    vec![
        row::<Carrier>(&together),
        row::<RingFeatures>(&together),
        row::<Doorbell>(&together),
        row::<Servicer>(&together),
        row::<Completion>(&together),
        row::<HaltPoll>(&together),
        row::<Discard>(&together),
        row::<Coalesce>(&together),
        row::<Backing>(&together),
        row::<RingChoice>(&together),
        row::<Workload>(&together),
    ]
}

fn row<A: Source>(together: &Together) -> AxisRow {
    // What is no axis of a way goes with everything.
    let axis = WAY_AXES.iter().position(|axis| axis.name == A::AXIS);
    let value = |(place, value): (usize, &A)| ValueRow {
        name: value.name(),
        meaning: value.meaning(),
        source: value.source(),
        limits: axis.map(|axis| limits(Value { axis, place }, together)).unwrap_or_default(),
    };
    AxisRow { axis: A::AXIS, values: A::ALL.iter().enumerate().map(value).collect() }
}

fn limits(value: Value, together: &Together) -> Vec<Limit> {
    let others = (0..WAY_AXES.len()).filter(|axis| *axis != value.axis);
    others.map(|axis| limit(value, axis, together)).filter(|limit| !limit.not.is_empty()).collect()
}

fn limit(value: Value, axis: usize, together: &Together) -> Limit {
    let other = WAY_AXES[axis];
    let mut limit = Limit { axis: other.name, with: Vec::new(), not: Vec::new() };
    for place in 0..other.count {
        let name = (other.name_of)(place);
        let Some(rules) = together.apart(value, Value { axis, place }) else {
            limit.with.push(name);
            continue;
        };
        let why = whys(&rules);
        match limit.not.iter_mut().find(|apart| apart.why == why) {
            Some(apart) => apart.values.push(name),
            None => limit.not.push(Apart { values: vec![name], why }),
        }
    }
    limit
}

/// Why, each reason once.
fn whys(rules: &[&Rule]) -> String {
    let mut whys: Vec<&str> = Vec::new();
    for rule in rules {
        if !whys.contains(&rule.why) {
            whys.push(rule.why);
        }
    }
    whys.join("; ")
}

/// As text that is also Markdown, because `docs/matrix.md` is it.
pub(super) fn write(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# What goes together")?;
    writeln!(out)?;
    writeln!(
        out,
        "Made by `pagehint list --matrix` from the axes and their rules (`host/src/axes/rules.rs`)."
    )?;
    writeln!(out, "A value goes with every value of an axis that is not named below it.")?;
    for AxisRow { axis, values } in rows() {
        writeln!(out, "\n## `--{axis}`\n")?;
        for value in values {
            writeln!(out, "- **`{}`**: {}", value.name, value.meaning)?;
            writeln!(out, "  - from: {}", value.source)?;
            for limit in value.limits {
                writeln!(out, "  - {limit}")?;
            }
        }
    }
    Ok(())
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted =
            |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        write!(f, "{}: with {}", self.axis, quoted(&self.with))?;
        self.not.iter().try_for_each(|apart| write!(f, "; not {} ({})", quoted(&apart.values), apart.why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_axis_of_a_way_is_left_out() {
        let rows = rows();
        for axis in WAY_AXES {
            let row = rows.iter().find(|row| row.axis == axis.name);
            assert_eq!(row.map(|row| row.values.len()), Some(axis.count), "{}", axis.name);
        }
    }

    #[test]
    fn the_documentation_is_what_is_printed() {
        let mut printed = Vec::new();
        write(&mut printed).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/matrix.md");
        let documented = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            documented.as_bytes() == printed,
            "docs/matrix.md is not what the rules say now: cargo run --locked -- list --matrix > docs/matrix.md"
        );
    }
}
