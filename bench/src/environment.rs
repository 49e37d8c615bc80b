//! Where a run takes place: `environment.json` and the host label every table carries.

use std::collections::BTreeMap;
use std::time::SystemTime;

use abi::axes::Axis;
use host::axes::{Bell, Doorbell, GuestRing};
use host::facts::{Answered, Facts, Flavour};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SCHEMA_VERSION;
use crate::axis::Named;
use crate::ladder::CallBy;
use crate::machine::Machine;
use crate::time::Utc;

/// `environment.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Version of this format.
    pub schema_version: u32,
    /// The host in one line.
    pub host: String,
    /// When the run began, UTC.
    pub date: String,
    /// Version of pagehint.
    pub pagehint: String,
    /// Revision it was built from; empty if that is not known.
    pub revision: String,
    /// Whether it was built with optimisation.
    pub optimised: bool,
    /// The command line.
    pub command: Vec<String>,
    /// What KVM can do.
    pub kvm: Kvm,
    /// The machine under it.
    pub machine: Machine,
}

/// [`Facts`] as they are written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Kvm {
    /// Which KVM.
    pub flavour: Named<Flavour>,
    /// Capabilities, by KVM's names.
    pub capabilities: BTreeMap<String, bool>,
    /// The hypercall instruction of this processor.
    pub hypercall: Named<Bell>,
    /// Whether the hypercall presets have to call by a port write.
    pub calls_by_port: bool,
    /// Every doorbell, from every guest ring.
    pub doorbells: Vec<DoorbellRecord>,
    /// Picoseconds an instruction takes in guest ring 0 and in ring 3; absent if the guest did not come up.
    pub instruction_ps: [Option<u64>; 2],
    /// Whether KVM emulates ring 0.
    pub ring0_emulated: bool,
    /// Frequency of the guest's time stamp counter in kHz.
    pub tsc_khz: u32,
    /// Guest minus host time stamp counter, if KVM says.
    pub tsc_offset: Option<i64>,
    /// What the payload was built for.
    pub payload_target: String,
}

/// One doorbell tried from one guest ring.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DoorbellRecord {
    /// The doorbell.
    pub doorbell: Named<Doorbell>,
    /// The mode it was tried from.
    pub guest_ring: Named<GuestRing>,
    /// Median round trip in nanoseconds, if it answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round_trip_ns: Option<u64>,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl From<&Facts> for Kvm {
    fn from(facts: &Facts) -> Self {
        let doorbells = facts.doorbells.iter().map(|fact| {
            let (round_trip_ns, reason) = match &fact.answered {
                Answered::After { round_trip_ns } => (Some(*round_trip_ns), None),
                Answered::Not { reason } => (None, Some(reason.clone())),
            };
            DoorbellRecord {
                doorbell: Named(fact.doorbell),
                guest_ring: Named(fact.guest_ring),
                round_trip_ns,
                reason,
            }
        });
        Self {
            flavour: Named(facts.flavour),
            capabilities: facts
                .capabilities
                .iter()
                .map(|(name, there)| ((*name).to_owned(), *there))
                .collect(),
            hypercall: Named(facts.hypercall),
            calls_by_port: CallBy::on(facts) == CallBy::Port,
            doorbells: doorbells.collect(),
            instruction_ps: facts.instruction_ps,
            ring0_emulated: facts.ring0_emulated,
            tsc_khz: facts.tsc_khz,
            tsc_offset: facts.tsc_offset,
            payload_target: facts.payload_target.to_owned(),
        }
    }
}

impl Environment {
    /// Of this host, now.
    #[must_use]
    pub fn here(facts: &Facts) -> Self {
        let machine = Machine::here();
        Self {
            schema_version: SCHEMA_VERSION,
            host: label(facts.flavour, &machine),
            date: Utc::from(SystemTime::now()).to_string(),
            pagehint: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("PAGEHINT_REVISION").to_owned(),
            optimised: !cfg!(debug_assertions),
            command: std::env::args().collect(),
            kvm: Kvm::from(facts),
            machine,
        }
    }

    /// As a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        crate::export::json::pretty(self)
    }

    /// How the hypercall presets call on this host.
    #[must_use]
    pub fn call(&self) -> CallBy {
        if self.kvm.calls_by_port { CallBy::Port } else { CallBy::Hypercall }
    }

    /// What every table of a run on this host says.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.call().note().map(str::to_owned).into_iter().collect();
        if self.kvm.flavour.0 == Flavour::Pvm {
            notes.push(
                "this KVM is kvm_pvm, inside a virtual machine: its exits cost neither what VT-x's nor what AMD-V's cost"
                    .to_owned(),
            );
        }
        if !self.optimised {
            notes.push(
                "this pagehint was built without --release: its own share of every figure is larger"
                    .to_owned(),
            );
        }
        notes
    }
}

/// The kernel module of a flavour.
fn module(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Vmx => "kvm_intel",
        Flavour::Svm => "kvm_amd",
        Flavour::Pvm => "kvm_pvm",
        Flavour::Unknown => "kvm",
    }
}

fn label(flavour: Flavour, machine: &Machine) -> String {
    let Machine { cpu, kernel, cores, .. } = machine;
    let kvm = module(flavour);
    debug_assert!(!flavour.name().is_empty());
    format!("{kvm} on {cpu}, Linux {kernel}, {cores} cpu{}", if *cores == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_names_module_processor_kernel_and_size() {
        let machine =
            Machine { cpu: "Some CPU".into(), kernel: "6.1.0".into(), cores: 2, ..Machine::default() };
        assert_eq!(label(Flavour::Svm, &machine), "kvm_amd on Some CPU, Linux 6.1.0, 2 cpus");
        assert!(label(Flavour::Unknown, &Machine { cores: 1, ..machine }).ends_with("1 cpu"));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let environment = crate::testing::environment();
        let read: Environment = serde_json::from_str(&environment.to_json()).unwrap();
        assert_eq!(read, environment);
    }
}
