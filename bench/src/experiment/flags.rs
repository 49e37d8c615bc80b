//! Choices that a user makes for one run: each must change something.

use super::contract::Experiment;
use crate::axes::rung::CallBy;
use crate::plan::keys::Keys;
use crate::plan::{Plan, PlanError, keys_of, table};
use crate::site::calls::Calls;

/// What changes how many trials are run, in which order, and what is asked of them together: no trial by itself.
const OF_THE_SCHEDULE: [&str; 7] = ["blocks", "seed", "minutes", "until", "within", "require", "pairs"];
/// What changes what every trial boots, which is no choice of one.
const OF_THE_KERNEL: [&str; 2] = ["guest-kernel", "guest-modules"];

impl dyn Experiment + '_ {
    /// The same with choices that a user makes for this run: each must change a trial, or be one that another value of
    /// would.
    ///
    /// # Errors
    /// [`PlanError::ChangesNothing`] too.
    pub fn with_flags(&self, plan: Plan, flags: &Keys) -> Result<Plan, PlanError> {
        let (before, with) = (table(&plan.choices)?, self.with(plan, flags)?);
        let trials = |keys: toml::Table| {
            let mut keys = keys_of(keys).ok()?;
            self.fill(&mut keys, 1, &Calls::untried(CallBy::Hypercall));
            Some(self.cells(&keys, CallBy::Hypercall))
        };
        let now = table(&with.choices)?;
        for (key, given) in table(flags)? {
            let others = [before.get(&key).cloned(), Some(another(&given))];
            let others = others.into_iter().filter(|other| other.as_ref() != Some(&given));
            let mut others = others.map(|other| {
                let mut keys = now.clone();
                keys.remove(&key);
                keys.extend(other.map(|other| (key.clone(), other)));
                trials(keys)
            });
            let is_of_all = [&OF_THE_SCHEDULE[..], &OF_THE_KERNEL].concat().contains(&key.as_str());
            let trials = trials(now.clone());
            // Of a name that is the plan's own there is no other to try.
            if let Some(first) = others.next().filter(|_| !is_of_all)
                && first == trials
                && others.all(|other| other == trials)
            {
                let looked_at_by = looked_at_by(&key);
                return Err(PlanError::ChangesNothing { key, looked_at_by });
            }
        }
        Ok(with)
    }
}

/// Another value of the kind, if it is one of numbers or of yes and no; else the same.
fn another(value: &toml::Value) -> toml::Value {
    match value {
        // Of any width, it stays within it.
        toml::Value::Integer(number) => (number ^ 1).into(),
        toml::Value::Boolean(is) => (!is).into(),
        toml::Value::Array(values) => values.iter().map(another).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// What a trial must have to look at a choice that not all do: see [`host::engine::EngineSpec::neutral`].
fn looked_at_by(key: &str) -> &'static str {
    match key {
        "queue-size" | "offer-poison" | "ring-features" => "a rung with a ring",
        "shuffle" | "shuffles" | "high-water" | "budget" | "watermark" => "a walk of lists",
        "capacity" | "capacities" | "delay-ms" | "delays-ms" => "a walk that is not synchronous",
        "warmup-ms" | "window-ms" => "a load that is timed",
        "rounds" => "load memhog, or task page-fault or churn",
        "vcpus" => "a load that is no comb",
        "reporters" => "a timed trial of more than one vCPU",
        _ => "something",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ladder::Ladder;
    use crate::experiment::memhog::Memhog;

    #[test]
    fn a_choice_that_changes_nothing_is_refused() {
        let (ladder, memhog): (&dyn Experiment, &dyn Experiment) = (&Ladder, &Memhog);
        let over = |experiment: &dyn Experiment, keys: &str| {
            let keys = toml::from_str(keys).unwrap();
            let plan = experiment.with_flags(experiment.plan(None).unwrap(), &keys);
            plan.map(|plan| plan.choices).map_err(|error| error.to_string())
        };
        let error = over(ladder, "rounds = 3").unwrap_err();
        assert!(error.contains("rounds means nothing to compare"), "{error}");
        // What the default is may be said; what is passed over may not.
        for keys in [
            "batch = 32",
            "batch = 9",
            "seed = 1",
            "blocks = 2",
            "until = \"2%\"",
            "require = \"5%\"",
            "discards = [\"none\", \"dontneed\"]",
        ] {
            over(ladder, keys).unwrap();
        }
        for (keys, looked_at_by) in [
            ("rungs = [\"hypercall-batch\"]\nqueue-size = 64", Some("--queue-size changes no trial")),
            ("rungs = [\"hypercall-batch\"]\nqueue-size = 32768", Some("--queue-size changes no trial")),
            ("rungs = [\"hypercall-batch\", \"virtio\"]\nqueue-size = 64", None),
            ("walk = \"synchronous\"\nbudget = 16", Some("choose a walk of lists")),
            ("walk = \"synchronous\"\nshuffle = \"compaction\"", Some("choose a walk of lists")),
            ("walk = \"rotation\"\nbudget = 16\nvcpus = 1\nhigh-water = 1\nshuffle = \"none\"", None),
        ] {
            let said = over(memhog, keys);
            match looked_at_by {
                Some(part) => {
                    assert!(said.as_ref().is_err_and(|said| said.contains(part)), "{keys}: {said:?}");
                }
                None => assert!(said.is_ok(), "{keys}: {said:?}"),
            }
        }
    }
}
