//! In what two runs differ beside their figures. A difference of figures is of all that differs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::archive::Archive;
use crate::plan::keys::Keys;
use crate::site::environment::Environment;

/// What two runs may differ in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// pagehint and its payload: version, revision, compiler, target, optimisation.
    Build,
    /// Processor, KVM, cores, hypervisor, emulator.
    Host,
    /// The kernel.
    Kernel,
    /// How the machine is set: huge pages, mitigations, governor, parameters of KVM, where threads run.
    Settings,
    /// The experiment and its choices, the seed too. How many blocks there are is no difference.
    Plan,
}

impl Part {
    /// As the flag has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Host => "host",
            Self::Kernel => "kernel",
            Self::Settings => "settings",
            Self::Plan => "plan",
        }
    }
}

/// One thing that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Difference {
    /// What it belongs to.
    pub part: Part,
    /// What it is.
    pub what: String,
    /// In the old run.
    pub old: String,
    /// In the new one.
    pub new: String,
}

/// Everything in which they differ. What only one of the two says is no difference, as kernels know different settings,
/// but of a plan.
#[must_use]
pub fn differences(old: &Archive, new: &Archive) -> Vec<Difference> {
    let [said, now] = [old, new].map(told);
    let either: BTreeSet<_> = said.keys().chain(now.keys()).collect();
    let differs = |key: &(Part, String)| {
        let (part, what) = key.clone();
        let of = |told: &Told| {
            told.get(key).cloned().or_else(|| (part == Part::Plan).then(|| "not chosen".to_owned()))
        };
        let (old, new) = (of(&said)?, of(&now)?);
        (old != new).then_some(Difference { part, what, old, new })
    };
    either.into_iter().filter_map(differs).collect()
}

type Told = BTreeMap<(Part, String), String>;

fn told(archive: &Archive) -> Told {
    let mut told = Told::new();
    let mut tell = |part, what: &str, value: String| {
        told.insert((part, what.to_owned()), value);
    };
    let Environment { pagehint, revision, rustc, optimised, kvm, machine, placement, lab, .. } =
        &archive.environment;
    let built = [
        ("version", pagehint),
        ("revision", revision),
        ("compiler", rustc),
        ("payload", &kvm.payload_target),
    ];
    for (what, value) in built.into_iter().filter(|(_, value)| !value.is_empty()) {
        tell(Part::Build, what, value.clone());
    }
    tell(Part::Build, "optimised", optimised.to_string());
    tell(Part::Host, "processor", machine.cpu.clone());
    tell(Part::Host, "family, model, stepping", format!("{:?}", machine.family_model_stepping));
    tell(Part::Host, "cores", machine.cores.to_string());
    tell(Part::Host, "KVM", kvm.flavour.to_string());
    tell(Part::Host, "hypercalls by port", kvm.calls_by_port.to_string());
    tell(Part::Host, "hypervisor", machine.hypervisor.clone().unwrap_or_default());
    tell(Part::Kernel, "release", machine.kernel.clone());
    if let Some(lab) = lab {
        tell(Part::Host, "emulator", lab.emulator.clone());
        tell(Part::Host, "emulated processor", lab.processor.clone());
        tell(Part::Kernel, "package", format!("{} {}", lab.kernel_package, lab.kernel_version));
        tell(Part::Settings, "kernel parameters", lab.kernel_parameters.clone());
    }
    for (name, settings) in
        [("thp", &machine.thp), ("mitigation", &machine.vulnerabilities), ("kvm", &machine.kvm_parameters)]
    {
        for (key, value) in settings {
            tell(Part::Settings, &format!("{name} {key}"), value.clone());
        }
    }
    tell(Part::Settings, "governor", format!("{:?}", machine.governor));
    tell(Part::Settings, "turbo", format!("{:?}", machine.turbo));
    tell(Part::Settings, "hyper-threads", format!("{:?}", machine.smt));
    tell(Part::Settings, "clock", machine.clocksource.clone());
    tell(Part::Settings, "swap", (machine.swap > 0).to_string());
    if let Some(placement) = placement {
        let siblings = if placement.siblings { ", siblings" } else { "" };
        let shared = if placement.shared { ", shared" } else { "" };
        tell(Part::Settings, "placement", format!("{} vCPUs{siblings}{shared}", placement.vcpus.len()));
    }
    tell(Part::Plan, "experiment", archive.plan.experiment.clone());
    for (key, value) in choices(&archive.plan.choices) {
        tell(Part::Plan, &key, value);
    }
    told
}

/// The choices of a plan by name; all but how often everything is run.
fn choices(keys: &Keys) -> BTreeMap<String, String> {
    let table = toml::Table::try_from(keys).unwrap_or_default();
    table
        .into_iter()
        .filter(|(key, _)| key != "blocks")
        .map(|(key, value)| (key, value.to_string()))
        .collect()
}
