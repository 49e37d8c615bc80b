//! The cells of a run by name, with one figure of every trial, whatever the experiment.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::archive::Archive;
use crate::experiment::ladder::found::Found;
use crate::figure::unit::Unit;
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::kind::{Engine, Linux};
use crate::trial::linux::measured::LinuxMeasured;
use crate::trial::spec::Choices;

/// What the figure of a cell is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The median of what a report of a trial cost, for each of its ranges: the less the better.
    ARange,
    /// Operations a second of what a guest worked: the more the better.
    Rate,
}

impl Measure {
    /// Of trials with these choices.
    #[must_use]
    pub const fn of(choices: &Choices) -> Self {
        match choices {
            Choices::Timed(_) => Self::ARange,
            Choices::Engine(_) | Choices::Linux(_) => Self::Rate,
        }
    }

    /// As tables call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ARange => "a range",
            Self::Rate => "operations a second",
        }
    }

    /// A figure for people.
    #[must_use]
    pub fn show(self, unit: Unit, value: f64) -> String {
        match self {
            Self::ARange => unit.show(value),
            Self::Rate => format!("{value:.0}"),
        }
    }

    /// Whether a change by this share is for the worse.
    #[must_use]
    pub const fn is_worse(self, share: f64) -> bool {
        match self {
            Self::ARange => share > 0.0,
            Self::Rate => share < 0.0,
        }
    }
}

/// Trials of the same choices.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// What it is called: the tag of its choices and, where another cell of the run has the same, what differs.
    pub name: String,
    /// These choices.
    pub choices: Choices,
    /// What its figures are.
    pub measure: Measure,
    /// A figure a block.
    pub blocks: BTreeMap<u32, f64>,
    /// The same without the stopwatch, where it was weighed.
    pub net: Option<BTreeMap<u32, f64>>,
}

/// Every cell of a run that has a trial with an outcome, in the order of reports. Those that weigh the stopwatch are none:
/// they measure the harness.
#[must_use]
pub fn cells(archive: &Archive) -> Vec<Cell> {
    let timed = Found::new(archive).cells.into_iter().map(|cell| {
        let a_range = f64::from(cell.choices.ranges_a_report().max(1));
        let over = |(block, total): (&u32, f64)| (*block, total / a_range);
        Cell {
            name: String::new(),
            choices: Choices::Timed(cell.choices),
            measure: Measure::ARange,
            blocks: cell.blocks.iter().map(|(block, of)| over((block, of.total))).collect(),
            net: cell
                .net
                .as_ref()
                .map(|net| net.totals.iter().map(|(block, total)| over((block, *total))).collect()),
        }
    });
    let engine = archive.groups::<Engine>().into_iter().map(|group| Cell {
        name: String::new(),
        choices: Choices::Engine(group.choices),
        measure: Measure::Rate,
        blocks: group.by_block(EngineMeasured::operations_a_second),
        net: None,
    });
    // Of what is done once there is no rate.
    let working = archive.groups::<Linux>().into_iter().filter(|group| group.choices.task.0.is_timed());
    let linux = working.map(|group| Cell {
        name: String::new(),
        choices: Choices::Linux(group.choices),
        measure: Measure::Rate,
        blocks: group.by_block(LinuxMeasured::operations_a_second),
        net: None,
    });
    let mut cells: Vec<Cell> = timed.chain(engine).chain(linux).collect();
    let choices: Vec<Choices> = cells.iter().map(|cell| cell.choices).collect();
    for (cell, name) in cells.iter_mut().zip(names(&choices, Choices::tag, ".")) {
        cell.name = name;
    }
    cells
}

/// What the cells of a run are called: as `first` has it and, where several would be called the same, by the choices in
/// which those differ, each behind `mark`.
#[must_use]
pub fn names(cells: &[Choices], first: impl Fn(&Choices) -> String, mark: &str) -> Vec<String> {
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, choices) in cells.iter().enumerate() {
        alike.entry(first(choices)).or_default().push(at);
    }
    let mut names = vec![String::new(); cells.len()];
    for (name, those) in alike {
        let all: Vec<_> = those.iter().map(|at| keys(&cells[*at])).collect();
        for (at, own) in those.iter().zip(&all) {
            let told = |key: &String| format!("{mark}{key}={}", shown(own.get(key).unwrap_or(&Value::Null)));
            names[*at] = name.clone() + &differing(&all).iter().map(told).collect::<String>();
        }
    }
    names
}

/// In what two cells of one name differ, for a remark: `doorbell port, not hypercall`.
#[must_use]
pub fn differences(old: &Choices, new: &Choices) -> Vec<String> {
    let all = [keys(old), keys(new)];
    let told = |key: String| {
        let [old, new] = [&all[0], &all[1]].map(|keys| shown(keys.get(&key).unwrap_or(&Value::Null)));
        format!("{key} {new}, not {old}")
    };
    differing(&all).into_iter().map(told).collect()
}

fn keys(choices: &Choices) -> Map<String, Value> {
    match serde_json::to_value(choices) {
        Ok(Value::Object(keys)) => keys,
        _ => Map::new(),
    }
}

/// The keys that have not the same value everywhere.
fn differing(all: &[Map<String, Value>]) -> BTreeSet<String> {
    let keys = all.iter().flat_map(Map::keys);
    let differs = |key: &&String| all.iter().any(|one| one.get(*key) != all[0].get(*key));
    keys.filter(differs).cloned().collect()
}

/// A choice in a word. One that is left out is what it is by default.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "default".to_owned(),
        other => other.to_string(),
    }
}
