//! Where a run takes place: `environment.json` and the host label every table carries.

use std::collections::BTreeMap;
use std::time::SystemTime;

use abi::axes::Axis;
use host::axes::{Bell, Doorbell, GuestRing};
use host::kvm::Flavour;
use host::probe::{Answered, Facts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SCHEMA_VERSION;
use crate::axes::named::Named;
use crate::axes::rung::CallBy;
use crate::figure::time::Utc;
use crate::figure::unit::{Clock, float};
use crate::site::emulated::Described;
use crate::site::floor::FloorRecord;
use crate::site::machine::Machine;
use crate::site::placement::Placement;

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
    /// The compiler it was built with, as that calls itself; empty if that is not known.
    #[serde(default)]
    pub rustc: String,
    /// Whether it was built with optimisation.
    pub optimised: bool,
    /// The command line.
    pub command: Vec<String>,
    /// What KVM can do.
    pub kvm: Kvm,
    /// The machine under it.
    pub machine: Machine,
    /// Where the threads of a trial with one virtual processor run; absent in files of before that was recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub placement: Option<Placement>,
    /// The lab, if the run took place in one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lab: Option<Described>,
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
    /// Parts of a report that were measured by themselves, with guests in every ring; absent in files of before that was
    /// done.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub floors: Vec<FloorRecord>,
    /// What an instruction of a loop costs in guest ring 0 and in ring 3, in `unit`; null if the guest did not come
    /// up there.
    pub instruction: [Option<f64>; 2],
    /// Whether KVM emulates ring 0.
    pub ring0_emulated: bool,
    /// What the time stamp counter counts, as measured: the unit of all figures of the run and, for time, the
    /// frequency of the guest's counter.
    #[serde(flatten)]
    pub clock: Clock,
    /// Guest minus host time stamp counter in ticks, if KVM says.
    pub tsc_offset: Option<i64>,
    /// What the payload was built for.
    pub payload_target: String,
}

/// One doorbell tried from one guest ring.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DoorbellRecord {
    /// The doorbell.
    pub doorbell: Named<Doorbell>,
    /// The mode it was tried from.
    pub guest_ring: Named<GuestRing>,
    /// Mean round trip in `unit` of the environment, if it answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round_trip: Option<f64>,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl From<&Facts> for Kvm {
    fn from(facts: &Facts) -> Self {
        let clock = Clock::of(facts.counter, facts.tsc_khz);
        let doorbells = facts.doorbells.iter().map(|fact| {
            let (round_trip, reason) = match &fact.answered {
                Answered::After { round_trip_ticks } => (Some(clock.figure(float(*round_trip_ticks))), None),
                Answered::Not { reason } => (None, Some(reason.clone())),
            };
            DoorbellRecord {
                doorbell: Named(fact.doorbell),
                guest_ring: Named(fact.guest_ring),
                round_trip,
                reason,
            }
        });
        let floors = facts.floors.iter().map(|fact| FloorRecord::of(fact, clock));
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
            floors: floors.collect(),
            instruction: facts
                .instruction_ticks
                .map(|ticks| ticks.map(|ticks| thousandths(clock.figure(ticks)))),
            ring0_emulated: facts.ring0_emulated,
            clock,
            tsc_offset: facts.tsc_offset,
            payload_target: facts.payload_target.to_owned(),
        }
    }
}

/// The command line; what is no text in it, such as a path may be, is shown as far as it is.
fn typed() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

impl Environment {
    /// Of this host, now.
    #[must_use]
    pub fn here(facts: &Facts) -> Self {
        let machine = Machine::here();
        Self {
            schema_version: SCHEMA_VERSION,
            host: label(facts.flavour, Clock::of(facts.counter, facts.tsc_khz), &machine),
            date: Utc::from(SystemTime::now()).to_string(),
            pagehint: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("PAGEHINT_REVISION").to_owned(),
            rustc: env!("PAGEHINT_RUSTC").to_owned(),
            optimised: !cfg!(debug_assertions),
            command: typed(),
            kvm: Kvm::from(facts),
            machine,
            placement: Some((&facts.placed).into()),
            lab: None,
        }
    }

    /// The same, of a run that a lab brought back: when it began, how it was asked for and what the lab was are
    /// known only outside.
    #[must_use]
    pub fn brought_back(self, began: SystemTime, lab: Described) -> Self {
        Self { date: Utc::from(began).to_string(), command: typed(), lab: Some(lab), ..self }
    }

    /// What path lengths depend on beside the code: they can be held against each other only where it is the same.
    #[must_use]
    pub fn made_by(&self) -> Vec<(&'static str, String)> {
        let mut made_by = vec![
            ("the compiler", self.rustc.clone()),
            ("the payload's target", self.kvm.payload_target.clone()),
            ("the processor", self.machine.cpu.clone()),
        ];
        if let Some(lab) = &self.lab {
            made_by.push(("the emulator", lab.emulator.clone()));
            made_by.push(("the processor it was asked for", lab.processor.clone()));
            made_by.push(("what the kernel was told", lab.kernel_parameters.clone()));
            made_by.push(("the kernel", format!("{} {}", lab.kernel_package, lab.kernel_version)));
        }
        made_by
    }

    /// As a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        crate::figure::json::pretty(self)
    }

    /// How the hypercall presets call on this host.
    #[must_use]
    pub fn call(&self) -> CallBy {
        if self.kvm.calls_by_port { CallBy::Port } else { CallBy::Hypercall }
    }

    /// What figures are where they are no time, or no processor's.
    fn counted(&self) -> Option<&'static str> {
        if !self.kvm.clock.tells_time() {
            Some(
                "figures are executed instructions, guest, KVM, kernel and pagehint together: path lengths, not time",
            )
        } else if self.machine.is_emulated() {
            Some("this processor is emulated: figures show that it works, not what it costs")
        } else {
            None
        }
    }

    /// Why threads are in each other's way, if they are.
    ///
    /// One processor is all there is where instructions are counted, and which thread has it changes no count.
    pub(super) fn crowded(&self) -> Vec<String> {
        if !self.kvm.clock.tells_time() {
            return Vec::new();
        }
        let mut crowded: Vec<String> =
            self.placement.iter().flat_map(|placement| placement.remarks.iter().cloned()).collect();
        if self.machine.cores < 2 {
            crowded.push(
                "the device thread of ring-async and virtio needs a core of its own: use two or more"
                    .to_owned(),
            );
        }
        crowded
    }

    /// What every table of a run on this host says.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> =
            self.counted().into_iter().chain(self.call().note()).map(str::to_owned).collect();
        if self.kvm.flavour.0 == Flavour::Pvm {
            notes.push(
                "this KVM is kvm_pvm, inside a virtual machine: its exits cost neither what VT-x's nor what AMD-V's cost"
                    .to_owned(),
            );
        }
        if self.machine.decodes_hypercalls() {
            notes.push(
                "this processor does not say where the next instruction is (NRIPS), so that KVM decodes every hypercall, which other AMD processors spare it: compare with doorbell port"
                    .to_owned(),
            );
        }
        notes.extend(self.crowded());
        let off = self.machine.lab.iter().flat_map(|lab| lab.0.switched_off());
        notes.extend(off.map(|off| format!("{}: {}", off.parameter, off.why)));
        if cfg!(feature = "detour") {
            notes.push("this pagehint was built with a detour, to test the gate on path length".to_owned());
        }
        if cfg!(feature = "slowdown") {
            notes.push(
                "this pagehint was built to slow trials down, to test that comparisons notice".to_owned(),
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

fn label(flavour: Flavour, clock: Clock, machine: &Machine) -> String {
    let Machine { kernel, cores, .. } = machine;
    debug_assert!(!flavour.name().is_empty());
    let place = place(module(flavour), machine);
    let system = format!("Linux {kernel}, {cores} cpu{}", if *cores == 1 { "" } else { "s" });
    match (machine.is_emulated(), clock) {
        (_, Clock::Instructions) => format!("{place}, {system}, counted in instructions"),
        (false, Clock::Time { .. }) => format!("{place}, {system}"),
        (true, Clock::Time { .. }) => format!("{place}, {system}, wall clock"),
    }
}

/// Which KVM runs on what. An emulated processor's own name would pass for a real one's.
fn place(kvm: &str, machine: &Machine) -> String {
    match machine.lab {
        Some(Named(cpu)) => {
            let off: String = cpu.switched_off().iter().map(|off| format!(", {}", off.parameter)).collect();
            format!("the lab: {kvm} on {} emulated by {}{off}", cpu.model(), cpu.emulator())
        }
        None if machine.is_emulated() => format!("{kvm} emulated by QEMU TCG"),
        None => format!("{kvm} on {}", machine.cpu),
    }
}

/// Rounded to a thousandth: files are read by people.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::emulated::LabCpu;
    use host::kvm::Counter;

    const TIME: Clock = Clock::Time { tsc_khz: 2_000_000 };

    #[test]
    fn the_label_names_module_processor_kernel_and_size() {
        let machine =
            Machine { cpu: "Some CPU".into(), kernel: "6.1.0".into(), cores: 2, ..Machine::default() };
        assert_eq!(label(Flavour::Svm, TIME, &machine), "kvm_amd on Some CPU, Linux 6.1.0, 2 cpus");
        assert!(label(Flavour::Unknown, TIME, &Machine { cores: 1, ..machine }).ends_with("1 cpu"));
    }

    #[test]
    fn the_label_of_the_lab_says_what_is_emulated_left_out_and_counted() {
        let in_lab =
            |cpu| Machine { lab: Some(Named(cpu)), kernel: "6.1.0".into(), cores: 1, ..Machine::default() };
        let counted = label(Flavour::Svm, Clock::Instructions, &in_lab(LabCpu::Amd));
        let lab = "the lab: kvm_amd on max emulated by QEMU TCG, Linux 6.1.0, 1 cpu";
        assert_eq!(counted, format!("{lab}, counted in instructions"));
        assert_eq!(label(Flavour::Svm, TIME, &in_lab(LabCpu::Amd)), format!("{lab}, wall clock"));
        let intel = label(Flavour::Vmx, Clock::Instructions, &in_lab(LabCpu::Intel));
        assert!(
            intel.starts_with("the lab: kvm_intel on broadwell_ult emulated by Bochs, l1tf=off, Linux"),
            "{intel}"
        );
        let elsewhere = label(Flavour::Svm, Clock::Instructions, &Machine::default());
        assert!(elsewhere.ends_with(", counted in instructions"), "{elsewhere}");
    }

    #[test]
    fn what_the_labs_kernel_leaves_out_is_noted_with_the_reason() {
        let mut environment = crate::testing::timed::environment();
        environment.machine.lab = Some(Named(LabCpu::Intel));
        let notes = environment.notes();
        assert!(notes.iter().any(|note| note.starts_with("l1tf=off: ")), "{notes:?}");
        environment.machine.lab = Some(Named(LabCpu::Amd));
        assert!(environment.notes().iter().all(|note| !note.contains("=off")));
    }

    #[test]
    fn every_table_says_that_instructions_are_no_time() {
        let mut environment = crate::testing::timed::environment();
        environment.machine.hypervisor = Some("QEMU".into());
        assert!(environment.notes()[0].contains("not what it costs"), "{:?}", environment.notes());
        environment.kvm.clock = Clock::Instructions;
        assert!(environment.notes()[0].contains("path lengths, not time"), "{:?}", environment.notes());
        environment.machine.hypervisor = None;
        assert!(environment.notes()[0].contains("path lengths, not time"), "{:?}", environment.notes());
        environment.kvm.clock = TIME;
        assert!(environment.notes().iter().all(|note| !note.contains("instructions")));
    }

    #[test]
    fn every_table_says_where_threads_are_in_each_others_way() {
        let mut environment = crate::testing::timed::environment();
        let remark = "two threads are hyper-threads of one core".to_owned();
        assert!(!environment.notes().contains(&remark));
        environment.placement.as_mut().unwrap().remarks.push(remark.clone());
        assert!(environment.notes().contains(&remark));
        environment.kvm.clock = Clock::Instructions;
        assert!(!environment.notes().contains(&remark));
    }

    #[test]
    fn costs_are_in_the_unit_of_the_clock() {
        let facts = crate::testing::timed::facts();
        let kvm = Kvm::from(&facts);
        assert_eq!((kvm.doorbells[0].round_trip, kvm.instruction[0]), (Some(1500.0), Some(0.3)));
        let kvm = Kvm::from(&Facts { counter: Counter::Instructions, ..facts });
        assert_eq!((kvm.doorbells[0].round_trip, kvm.instruction[0]), (Some(3000.0), Some(0.6)));
        let text = serde_json::to_string(&kvm).unwrap();
        assert!(text.contains("\"unit\":\"instructions\"") && !text.contains("khz"), "{text}");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let environment = crate::testing::timed::environment();
        let read: Environment = serde_json::from_str(&environment.to_json()).unwrap();
        assert_eq!(read, environment);
    }
}
