//! A plan: which trials to run, as a TOML file. The two built in are in `bench/plans/`.

use std::path::{Path, PathBuf};

use abi::addr::Order;
use host::axes::{Axis, Backing, Coalesce, Discard, RingChoice, Way, Workload};
use host::timed::{TimedSpec, TimedSpecError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SCHEMA_VERSION;
use crate::axis::Named;
use crate::calls::Calls;
use crate::ladder::{CallBy, Rung, Transport};

/// The plans that come with the command: name, text.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("default", include_str!("../plans/default.toml")),
    ("quick", include_str!("../plans/quick.toml")),
    ("lab", include_str!("../plans/lab.toml")),
    ("lab-check", include_str!("../plans/lab-check.toml")),
];

/// The most blocks a plan may have.
const MAX_BLOCKS: u32 = 10_000;

/// Which trials to run. Every key may be left out and is then as in the default plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Plan {
    /// Version of this format.
    pub schema_version: u32,
    /// What the run directory is called after.
    pub name: String,
    /// From which the order of trials and the workloads follow.
    pub seed: u64,
    /// Rounds: every block runs every cell once.
    pub blocks: u32,
    /// Rungs of the ladder. Left out or empty: every rung the host can run; the plan in a run directory names
    /// those that ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<Named<Rung>>,
    /// What the host does with the pages; each rung runs with each.
    pub discards: Vec<Named<Discard>>,
    /// Ranges in a report.
    pub batch: u16,
    /// log2 of the pages in a range.
    pub order: u8,
    /// Which pages are freed.
    pub workload: Named<Workload>,
    /// What guest memory is made of.
    pub backing: Named<Backing>,
    /// What one discard covers.
    pub coalesce: Named<Coalesce>,
    /// The mode the payload runs in.
    pub guest_ring: Named<RingChoice>,
    /// Reports before the measured ones, a trial.
    pub warmup: u64,
    /// Measured reports, a trial.
    pub reports: u64,
    /// Bytes of guest memory that are freed and reported; by default the smallest that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arena: Option<u64>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            name: "default".to_owned(),
            seed: 1,
            blocks: 16,
            rungs: Vec::new(),
            discards: Discard::ALL.iter().copied().map(Named).collect(),
            batch: 32,
            order: 0,
            workload: Named(Workload::Random),
            backing: Named(Backing::Anon),
            coalesce: Named(Coalesce::Each),
            guest_ring: Named(RingChoice::Auto),
            warmup: 40,
            reports: 400,
            arena: None,
        }
    }
}

/// Why there is no plan. The message says where and what to change.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("the plan {} cannot be read: {source}; give a TOML file, or a built-in one: {}", path.display(), BUILT_IN.map(|(name, _)| name).join(", "))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no plan.
    #[error("{origin} is not a plan: {source}see `pagehint schema plan` for the keys and their values", source = .source.to_string().trim_end().to_owned() + "\n")]
    Syntax {
        /// Where the text came from.
        origin: String,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// There is no built-in plan of this name.
    #[error("there is no built-in plan {name}: `pagehint list` shows them; give a file with --plan")]
    NoSuchPlan {
        /// The name.
        name: String,
    },
    /// A key has a value that cannot be used.
    #[error("in the plan {plan}, {key} is {value}: {change}")]
    Value {
        /// The plan's name.
        plan: String,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to change.
        change: String,
    },
    /// A rung that the plan names cannot be run on this host.
    #[error("in the plan {plan}, {rung} cannot be run: the KVM of this host does not answer hypercalls itself ({reason}); leave {rung} out of rungs, or use a host with kvm_intel or kvm_amd", rung = .rung.name())]
    NotHere {
        /// The plan's name.
        plan: String,
        /// The rung.
        rung: Rung,
        /// What happened when it was tried.
        reason: String,
    },
    /// A trial of the plan cannot be run.
    #[error("in the plan {plan}, {rung} with discard {discard}: {source}")]
    Trial {
        /// The plan's name.
        plan: String,
        /// The rung.
        rung: &'static str,
        /// The discard.
        discard: &'static str,
        /// Why not.
        source: TimedSpecError,
    },
}

impl Plan {
    /// The built-in plan called `name`.
    ///
    /// # Errors
    /// [`PlanError::NoSuchPlan`].
    pub fn built_in(name: &str) -> Result<Self, PlanError> {
        let (name, text) = BUILT_IN
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| PlanError::NoSuchPlan { name: name.to_owned() })?;
        Self::parse(&format!("the built-in plan {name}"), text)
    }

    /// The plan in a file.
    ///
    /// # Errors
    /// [`PlanError`] if it cannot be read or is no plan; its values are not yet checked.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| PlanError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    fn parse(origin: &str, text: &str) -> Result<Self, PlanError> {
        toml::from_str(text)
            .map_err(|source| PlanError::Syntax { origin: origin.to_owned(), source: Box::new(source) })
    }

    /// The plan as a file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Numbers, strings and lists of strings: there is nothing in a valid plan that TOML cannot hold.
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// The plan as a host that makes `calls` of its guest's runs it: every rung is named, and everything is
    /// checked before a virtual machine is started for it.
    ///
    /// # Errors
    /// [`PlanError`] names the first key that will not do, or the first trial that cannot be run.
    pub fn on(mut self, calls: &Calls) -> Result<Self, PlanError> {
        if self.rungs.is_empty() {
            self.rungs = calls.rungs().map(Named).collect();
        }
        self.validate_keys()?;
        self.validate_trials(calls)?;
        Ok(self)
    }

    fn validate_trials(&self, calls: &Calls) -> Result<(), PlanError> {
        for rung in &self.rungs {
            if let Some(reason) = calls.refusal(rung.0) {
                let reason = reason.to_owned();
                return Err(PlanError::NotHere { plan: self.name.clone(), rung: rung.0, reason });
            }
            for discard in &self.discards {
                self.spec(rung.0, discard.0, calls.by, 0).validate().map_err(|source| PlanError::Trial {
                    plan: self.name.clone(),
                    rung: rung.0.name(),
                    discard: discard.0.name(),
                    source,
                })?;
            }
        }
        Ok(())
    }

    fn validate_keys(&self) -> Result<(), PlanError> {
        let bad = |key, value: String, change: &str| {
            Err(PlanError::Value { plan: self.name.clone(), key, value, change: change.to_owned() })
        };
        if self.schema_version != SCHEMA_VERSION {
            let change = format!("this pagehint reads version {SCHEMA_VERSION}");
            return bad("schema-version", self.schema_version.to_string(), &change);
        }
        if !is_name(&self.name) {
            let change =
                "use 1 to 64 letters, digits, dashes, dots and underscores: a directory is called after it";
            return bad("name", format!("{:?}", self.name), change);
        }
        if i64::try_from(self.seed).is_err() {
            return bad(
                "seed",
                self.seed.to_string(),
                "use at most 9223372036854775807, TOML's largest integer",
            );
        }
        if self.blocks == 0 || self.blocks > MAX_BLOCKS {
            return bad("blocks", self.blocks.to_string(), &format!("use 1 to {MAX_BLOCKS}"));
        }
        if let Err(error) = Order::new(u64::from(self.order)) {
            return bad("order", self.order.to_string(), &error.to_string());
        }
        for (key, distinct, len) in [
            ("rungs", distinct(&self.rungs), self.rungs.len()),
            ("discards", distinct(&self.discards), self.discards.len()),
        ] {
            if distinct == 0 || distinct != len {
                return bad(
                    key,
                    format!("a list of {len}, {distinct} of them different"),
                    "name each once, and at least one",
                );
            }
        }
        Ok(())
    }

    /// One trial of the plan.
    #[must_use]
    pub fn spec(&self, rung: Rung, discard: Discard, call: CallBy, seed: u64) -> TimedSpec {
        self.spec_of(rung.transport(call), discard, seed)
    }

    /// One trial of the plan with any transport.
    #[must_use]
    pub fn spec_of(&self, transport: Transport, discard: Discard, seed: u64) -> TimedSpec {
        let Transport { carrier, doorbell, servicer, completion } = transport;
        TimedSpec {
            way: Way {
                carrier,
                doorbell,
                servicer,
                completion,
                guest_ring: self.guest_ring.0,
                discard,
                coalesce: self.coalesce.0,
                backing: self.backing.0,
            },
            workload: self.workload.0,
            order: Order::new(u64::from(self.order)).unwrap_or_default(),
            batch: self.batch,
            arena: self.arena,
            warmup: self.warmup,
            reports: self.reports,
            seed,
        }
    }
}

/// Whether a directory can be called after it.
pub(crate) fn is_name(name: &str) -> bool {
    let speaks = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.len() <= 64 && name.chars().all(speaks)
}

fn distinct<A: Axis>(values: &[Named<A>]) -> usize {
    values.iter().enumerate().filter(|(index, value)| !values[..*index].contains(value)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::InKernel;

    fn parse(text: &str) -> Result<Plan, PlanError> {
        Plan::parse("test.toml", text)
    }

    /// A host whose KVM answers no hypercall itself.
    fn silent(by: CallBy) -> Calls {
        Calls { by, in_kernel: InKernel::Not { reason: "the guest shut down".into() } }
    }

    fn answering(by: CallBy) -> Calls {
        Calls { by, in_kernel: InKernel::Answers }
    }

    fn refusal(plan: &Plan) -> String {
        plan.clone().on(&silent(CallBy::Hypercall)).unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_the_default_plan() {
        assert_eq!(Plan::built_in("default").unwrap(), Plan::default());
        assert!(Plan::built_in("none").unwrap_err().to_string().contains("pagehint list"));
    }

    #[test]
    fn built_in_plans_are_valid_however_this_host_calls() {
        for (name, _) in BUILT_IN {
            let plan = Plan::built_in(name).unwrap();
            assert_eq!(plan.name, name);
            for by in [CallBy::Hypercall, CallBy::Port] {
                for calls in [silent(by), answering(by), Calls::untried(by)] {
                    plan.clone().on(&calls).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_plan_that_names_no_rung_runs_all_that_the_host_can() {
        let rungs = |plan: &Plan, calls: &Calls| plan.clone().on(calls).unwrap().rungs;
        let all: Vec<_> = Rung::ALL.iter().copied().map(Named).collect();
        for text in ["", "rungs = []"] {
            let plan = parse(text).unwrap();
            assert_eq!(rungs(&plan, &answering(CallBy::Hypercall)), all);
            assert_eq!(rungs(&plan, &silent(CallBy::Port)), all[1..]);
            assert_eq!(rungs(&plan, &Calls::untried(CallBy::Port)), all[1..]);
        }
        let named = parse("rungs = [\"virtio\"]").unwrap();
        assert_eq!(rungs(&named, &answering(CallBy::Hypercall)), [Named(Rung::Virtio)]);
    }

    #[test]
    fn a_rung_the_host_cannot_run_is_refused_with_the_reason() {
        let plan = parse("rungs = [\"in-kernel\", \"floor\"]").unwrap();
        let said = refusal(&plan);
        assert!(said.contains("the guest shut down") && said.contains("leave in-kernel out"), "{said}");
        plan.clone().on(&answering(CallBy::Port)).unwrap();
        plan.on(&Calls::untried(CallBy::Port)).unwrap();
    }

    #[test]
    fn a_plan_written_out_is_the_same_plan() {
        let plan = Plan { arena: Some(64 << 20), batch: 7, seed: i64::MAX as u64, ..Plan::default() };
        assert_eq!(parse(&plan.to_toml()).unwrap(), plan);
        assert_eq!(parse(&Plan::default().to_toml()).unwrap(), Plan::default());
        let resolved = Plan::default().on(&silent(CallBy::Port)).unwrap();
        assert!(resolved.to_toml().contains("\"floor\", \"hypercall-each\""), "{}", resolved.to_toml());
        assert_eq!(parse(&resolved.to_toml()).unwrap(), resolved);
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("batch = 3\nrungs = [\"flor\"]\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("hypercall-each"), "{error}");
        let error = parse("\n\nbach = 3\n").unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("bach") && error.contains("batch"), "{error}");
    }

    #[test]
    fn values_are_checked_before_anything_starts() {
        let plan = Plan::default();
        assert!(refusal(&Plan { batch: 512, ..plan.clone() }).contains("512"));
        assert!(refusal(&Plan { order: 11, ..plan.clone() }).contains("order 11"));
        assert!(refusal(&Plan { blocks: 0, ..plan.clone() }).contains("blocks is 0"));
        assert!(refusal(&Plan { name: "a/b".into(), ..plan.clone() }).contains("a/b"));
        assert!(refusal(&Plan { seed: u64::MAX, ..plan.clone() }).contains("seed"));
        assert!(refusal(&Plan { discards: vec![], ..plan.clone() }).contains("discards"));
        let twice = vec![Named(Rung::Floor), Named(Rung::Floor)];
        assert!(refusal(&Plan { rungs: twice, ..plan.clone() }).contains("1 of them different"));
        assert!(refusal(&Plan { schema_version: 9, ..plan.clone() }).contains("schema-version is 9"));
        let ring3 = Plan { guest_ring: Named(RingChoice::Three), ..plan };
        assert!(refusal(&ring3).contains("floor with discard none"));
        ring3.on(&silent(CallBy::Port)).unwrap();
    }
}
