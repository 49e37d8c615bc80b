//! What a run showed: `summary.json`, one envelope for every experiment.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sure::{Stopped, Sure};
use crate::SCHEMA_VERSION;
use crate::archive::Archive;
use crate::experiment;
use crate::experiment::contract::{Experiment, Findings};
use crate::experiment::told::{Headline, OBSERVED};
use crate::figure::check::{Check, Standing, none_of, plural};
use crate::figure::interval::blocks_needed;
use crate::figure::unit::Unit;
use crate::plan::schedule::Slot;
use crate::plan::{self, Plan, PlanError};
use crate::site::environment::Environment;
use crate::trial;
use crate::trial::checks::{COMPLETE, Planned};
use crate::trial::record::TrialRecord;
use crate::trial::spec::{Choices, Spec};

/// `summary.json`: what a run showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Version of this format.
    pub schema_version: u32,
    /// The host in one line. No figure below means anything on another.
    pub host: String,
    /// What is to be known about this host.
    pub notes: Vec<String>,
    /// What is missing or was left out.
    pub remarks: Vec<String>,
    /// What was to be run.
    #[serde(serialize_with = "plan::given")]
    pub plan: Plan,
    /// What all figures are in that count no things.
    pub unit: Unit,
    /// Trials that were to be run.
    pub planned: usize,
    /// Trials with an outcome.
    pub measured: usize,
    /// Trials that failed: number and error.
    pub failed: BTreeMap<u32, String>,
    /// Every cell that has a trial with an outcome.
    pub cells: Vec<Cell>,
    /// The answer in one sentence; absent where nothing is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub headline: Option<Headline>,
    /// The answer, in sentences that the intervals support; why there is none, if a check has refuted what they rest on.
    pub answer: Vec<String>,
    /// What must hold, and whether it does.
    pub checks: Vec<Check>,
    /// What the run was asked to know, and whether it does; absent if it was asked for nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sure: Option<Sure>,
    /// What the experiment found, which `experiment` in it names.
    #[schemars(schema_with = "found_schema")]
    pub found: Value,
}

/// A cell of a run.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Its choices.
    pub choices: Choices,
    /// Trials it rests on.
    pub trials: usize,
}

/// A run with everything that is derived from it.
pub struct Shown {
    /// What is written.
    pub summary: Summary,
    /// What was asked.
    pub experiment: &'static dyn Experiment,
    /// What it found.
    pub found: Box<dyn Findings>,
    /// Whether a check has refuted what its answer would rest on.
    pub is_withheld: bool,
}

impl Shown {
    /// Of a run.
    ///
    /// # Errors
    /// [`PlanError`] if its plan is for no experiment of ours.
    pub fn of(archive: &Archive) -> Result<Self, PlanError> {
        let Archive { environment, plan, trials, remarks, .. } = archive;
        let experiment = experiment::named(&plan.experiment)?;
        let (found, json) = experiment.found(archive);
        let a_block = experiment.cells(&plan.choices, environment.call()).len();
        let sure = Sure::of(plan, a_block, trials, &found.cruxes());
        let planned = match sure.as_ref().and_then(|sure| sure.stopped) {
            Some(stopped) => Planned::Until { interrupted: stopped == Stopped::Interrupted },
            None => experiment.planned(plan, environment.call()),
        };
        let slots = experiment.schedule(plan, environment.call());
        let cells = cells(archive);
        let mut checks = trial::checks::all(planned, trials);
        checks.push(of_the_plan(&slots, trials));
        checks.extend(trial::timed::checks::all(trials));
        checks.extend(trial::engine::checks::all(trials));
        checks.extend(trial::linux::checks::all(trials));
        let withheld = no_answer(&checks, trials);
        // By its own checks an experiment judges what it says: they are no reason to say nothing.
        checks.extend(found.checks());
        let mut answer = withheld.clone().map_or_else(|| found.sentences(), |why| vec![why]);
        let headline = headline(withheld.as_deref(), &*found, &answer);
        let scope = experiment.scope(&plan.choices);
        if withheld.is_none() && !answer.is_empty() && !scope.is_empty() && plan.time().is_none() {
            let on = format!("On this host ({}), with {scope}", environment.host);
            answer.splice(0..0, sure.iter().flat_map(Sure::sentences));
            answer.insert(0, in_scope(&on, &over_blocks(&cells), found.comparisons(), archive.unit()));
        }
        let summary = Summary {
            schema_version: SCHEMA_VERSION,
            host: environment.host.clone(),
            notes: notes(environment, trials),
            remarks: remarks.clone(),
            plan: plan.clone(),
            unit: archive.unit(),
            planned: match planned {
                Planned::Trials(planned) => planned,
                Planned::For(_) | Planned::Until { .. } => trials.len(),
            },
            measured: trials.iter().filter(|trial| trial.error().is_none()).count(),
            failed: trials.iter().filter_map(|t| Some((t.trial, t.error()?.to_owned()))).collect(),
            cells,
            headline,
            answer,
            checks,
            sure,
            found: tagged(experiment.name(), json),
        };
        Ok(Self { summary, experiment, found, is_withheld: withheld.is_some() })
    }
}

/// What every table says: of the host, and of trials that did not run as its threads were to be placed.
fn notes(environment: &Environment, trials: &[TrialRecord]) -> Vec<String> {
    let mut notes = environment.notes();
    for counts in trials.iter().filter_map(TrialRecord::counts).filter(|counts| counts.clock.tells_time()) {
        for remark in counts.placement.iter().flat_map(|placement| &placement.remarks) {
            if !notes.contains(remark) {
                notes.push(remark.clone());
            }
        }
    }
    notes
}

impl Summary {
    /// Whether anything that must hold does not.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.checks.iter().any(|check| check.standing == Standing::Fails)
    }

    /// Whether it cannot carry what it was asked.
    #[must_use]
    pub fn is_wanting(&self) -> bool {
        self.sure.as_ref().is_some_and(|sure| !sure.wanting.is_empty())
    }
}

/// A run directory may have been put together by hand; what is not of its plan is not what its figures are said to be of.
fn of_the_plan(slots: &[Slot<Spec>], trials: &[TrialRecord]) -> Check {
    let faults = trials.iter().filter_map(|record| {
        let TrialRecord { trial, block, seed, .. } = *record;
        let slot = usize::try_from(trial).ok().and_then(|trial| slots.get(trial));
        let is_slots = |slot: &Slot<Spec>| {
            (slot.block, slot.seed, slot.cell.choices()) == (block, seed, record.choices())
        };
        (!slot.is_some_and(is_slots)).then(|| format!("trial {trial} is another than the plan's"))
    });
    let faults: Vec<String> = faults.collect();
    let count = trials.iter().filter(|trial| trial.error().is_none()).count() as u64;
    none_of("every trial is one of the plan's", Standing::Fails, &faults, count, format!("{count} trials"))
}

/// Why nothing is concluded from the trials: there are none, or what must hold of those that are there does not.
fn no_answer(checks: &[Check], trials: &[TrialRecord]) -> Option<String> {
    if trials.iter().all(|trial| trial.error().is_some()) {
        return Some("There is no answer: no trial has an outcome.".to_owned());
    }
    let refuted = checks.iter().find(|check| check.standing == Standing::Fails && check.what != COMPLETE)?;
    Some(format!("There is no answer, for it would rest on what a check has refuted: {}.", refuted.what))
}

/// The answer in one sentence: the experiment's own, or the first of its sentences; why there is none, if there is none.
fn headline(withheld: Option<&str>, found: &dyn Findings, answer: &[String]) -> Option<Headline> {
    let of = |sentence: &str, confidence: &str| Headline {
        sentence: sentence.to_owned(),
        confidence: confidence.to_owned(),
        figures: Vec::new(),
    };
    match withheld {
        Some(why) => Some(of(why, "nothing is claimed")),
        None => found.headline().or_else(|| Some(of(answer.first()?, OBSERVED))),
    }
}

fn cells(archive: &Archive) -> Vec<Cell> {
    let mut cells: BTreeMap<Choices, usize> = BTreeMap::new();
    for trial in archive.trials.iter().filter(|trial| trial.error().is_none()) {
        *cells.entry(trial.choices()).or_default() += 1;
    }
    cells.into_iter().map(|(choices, trials)| Cell { choices, trials }).collect()
}

/// The fewest and the most blocks that a cell has.
fn over_blocks(cells: &[Cell]) -> RangeInclusive<usize> {
    let trials = || cells.iter().map(|cell| cell.trials);
    trials().min().unwrap_or_default()..=trials().max().unwrap_or_default()
}

/// On what the answer rests: what its intervals are, and whether there are blocks enough for the largest table.
fn in_scope(on: &str, blocks: &RangeInclusive<usize>, comparisons: usize, unit: Unit) -> String {
    if unit == Unit::Instructions {
        return format!("{on}; counted, so that the same run gives the same figures again.");
    }
    let (blocks, most) = (*blocks.start(), *blocks.end());
    let over = if blocks == most { blocks.to_string() } else { format!("{blocks} to {most}") };
    let mut sentence = format!("{on}, over {over} block{}; ", plural(most));
    let least = blocks_needed(1);
    if most < least {
        return sentence + "too few to show a difference, and no interval is given.";
    }
    sentence.push_str("intervals are 95 %");
    if blocks < least {
        sentence.push_str(&format!(" (none is given for cells of fewer than {least} blocks)"));
    }
    if comparisons > 0 {
        sentence.push_str(
            ", and what is called different is so by a test that calls one table in twenty-four of like things so",
        );
    }
    let needed = blocks_needed(comparisons);
    if comparisons > 0 && blocks < needed {
        sentence.push_str(&format!(
            ". A table of {comparisons} comparisons takes {needed} blocks before any difference in it can be shown"
        ));
    }
    sentence + "."
}

fn tagged(name: &str, mut found: Value) -> Value {
    if let Value::Object(fields) = &mut found {
        fields.insert("experiment".to_owned(), name.into());
    }
    found
}

/// One of what the experiments find, by its name.
fn found_schema(generator: &mut SchemaGenerator) -> Schema {
    let of = |experiment: &dyn Experiment, generator: &mut SchemaGenerator| {
        let name = experiment.name();
        let tag = json_schema!({
            "type": "object",
            "properties": { "experiment": { "const": name } },
            "required": ["experiment"],
        });
        json_schema!({ "allOf": [tag, experiment.schema(generator)] })
    };
    let all: Vec<Schema> = experiment::ALL.iter().map(|experiment| of(*experiment, generator)).collect();
    json_schema!({ "oneOf": all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_cannot_show_is_said() {
        let uneven = in_scope("Here", &(5..=6), 0, Unit::Nanoseconds);
        assert!(uneven.contains("over 5 to 6 blocks; intervals are 95 % (none"), "{uneven}");
        let said = |blocks, comparisons| in_scope("Here", &(blocks..=blocks), comparisons, Unit::Nanoseconds);
        assert!(said(1, 0).starts_with("Here, over 1 block; too few to show a difference"));
        assert!(!said(5, 14).contains("intervals are 95 %"));
        assert!(said(6, 0).ends_with("intervals are 95 %."));
        let few = said(9, 14);
        assert!(
            few.contains("intervals are 95 %") && few.contains("A table of 14 comparisons takes 10 blocks")
        );
        assert!(said(10, 14).ends_with("one table in twenty-four of like things so."));
    }
}
