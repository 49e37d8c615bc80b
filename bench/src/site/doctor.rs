//! What this host can do, and what would make its figures better. Nothing is ever changed.

use std::time::Duration;

use host::axes::{Axis, Doorbell};
use host::kvm::Flavour;
use host::probe::{Facts, Floor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figure::unit::{Clock, Unit, float, percent};
use crate::site::environment::{DoorbellRecord, Environment};
use crate::site::floor::FloorRecord;
use crate::site::machine::{Machine, chosen};
use crate::site::noise::Noise;

/// How long to listen for noise.
const LISTEN: Duration = Duration::from_millis(200);
/// Noise worth mentioning, as a share of time.
const NOISY: f64 = 0.01;

/// The whole examination.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Examination {
    /// The host as a run would record it.
    pub environment: Environment,
    /// How quiet it is; absent where nothing tells the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub noise: Option<Noise>,
    /// What was found, and what to change.
    pub findings: Vec<Finding>,
}

/// One thing about the host.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What to change, if anything; one way a line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<String>,
}

impl Examination {
    /// Examines this host.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let environment = Environment::here(facts);
        let noise = environment.kvm.clock.tells_time().then(|| Noise::listen(LISTEN));
        let findings = findings(&environment, noise.as_ref());
        Self { environment, noise, findings }
    }
}

fn finding(what: &str, found: String, change: Option<&str>) -> Finding {
    Finding { what: what.to_owned(), found, change: change.map(str::to_owned) }
}

fn findings(environment: &Environment, noise: Option<&Noise>) -> Vec<Finding> {
    let machine = &environment.machine;
    let mut findings = vec![flavour(environment)];
    let unit = environment.kvm.clock.unit();
    findings.extend(environment.kvm.doorbells.iter().map(|record| doorbell(record, unit)));
    findings.extend(environment.kvm.floors.iter().map(|record| floor(record, unit)));
    findings.extend([hypercalls(environment), halts(environment), speed(environment), clock(environment)]);
    findings.extend([thp(machine), quiet(noise)]);
    // What others do, and how fast the processor runs, changes no count of instructions.
    if environment.kvm.clock.tells_time() {
        findings.extend([load(machine), governor(machine)]);
    }
    findings.push(processors(environment));
    findings.push(confidential());
    findings.extend(swap(machine));
    findings
}

fn flavour(environment: &Environment) -> Finding {
    let kvm = &environment.kvm;
    let there: Vec<&str> =
        kvm.capabilities.iter().filter(|(_, there)| **there).map(|(name, _)| name.as_str()).collect();
    let absent: Vec<&str> =
        kvm.capabilities.iter().filter(|(_, there)| !**there).map(|(name, _)| name.as_str()).collect();
    let mut found = format!("{}; has {}", kvm.flavour, there.join(", "));
    if !absent.is_empty() {
        found.push_str(&format!("; lacks {}", absent.join(", ")));
    }
    let change = (kvm.flavour.0 == Flavour::Pvm)
        .then_some("run on a host with kvm_intel or kvm_amd for figures that hold on ordinary hosts");
    finding("kvm", found, change)
}

fn doorbell(record: &DoorbellRecord, unit: Unit) -> Finding {
    let what = format!("doorbell {}, ring {}", record.doorbell, record.guest_ring);
    let found = match (record.round_trip, &record.reason) {
        (Some(cost), _) => format!("answers after {} (mean)", unit.show(cost)),
        (None, Some(reason)) => format!("does not answer: {reason}"),
        (None, None) => "does not answer".to_owned(),
    };
    finding(&what, found, None)
}

fn floor(record: &FloorRecord, unit: Unit) -> Finding {
    let what = format!("{}, ring {}", record.floor, record.guest_ring);
    let found = match (record.cost, &record.reason) {
        (Some(cost), _) => {
            let ends = record.ends.map_or_else(String::new, |[low, high]| {
                format!(" ({} to {})", unit.show(low), unit.show(high))
            });
            format!("{}{ends}: {}", unit.show(cost), meaning(record.floor.0))
        }
        (None, reason) => {
            format!("not measured: {}", reason.as_deref().unwrap_or("nobody says why"))
        }
    };
    finding(&what, found, None)
}

const fn meaning(floor: Floor) -> &'static str {
    match floor {
        Floor::WakeUp => "from the kick until a thread has answered and the guest sees it",
        Floor::Interrupt => "an interrupt to a halted guest, beyond looking",
        Floor::Sleep => "what that takes longer where the vCPU sleeps at once",
        Floor::Madvise => "a call that takes memory of a guest, without its pages",
        Floor::DiscardPage => "each 4 KiB page of it",
        Floor::DiscardHuge => "each 2 MiB page of it",
        Floor::RefaultPage => "bringing a 4 KiB page back",
        Floor::RefaultHuge => "bringing a 2 MiB page back",
    }
}

fn hypercalls(environment: &Environment) -> Finding {
    let instruction = environment.kvm.hypercall;
    if environment.kvm.calls_by_port {
        let change = format!(
            "nothing to change on this KVM; where {} is delivered (kvm_intel, kvm_amd with KVM_CAP_EXIT_HYPERCALL, Linux 5.19) the presets use it",
            instruction
        );
        let found = format!(
            "{instruction} does not reach user space; the hypercall presets use doorbell {}",
            Doorbell::Port.name()
        );
        finding("hypercall", found, Some(&change))
    } else {
        finding("hypercall", format!("{instruction} reaches user space"), None)
    }
}

fn halts(environment: &Environment) -> Finding {
    let can = environment.kvm.capabilities.get("KVM_CAP_HALT_POLL") == Some(&true);
    let host =
        environment.machine.kvm_parameters.get("kvm.halt_poll_ns").map_or("not stated", String::as_str);
    let found = format!(
        "KVM spins before a halted vCPU sleeps as kvm.halt_poll_ns has it ({host}); for one machine that {} be set",
        if can { "can" } else { "cannot" }
    );
    let change = (!can)
        .then_some("rung virtio needs KVM_CAP_HALT_POLL (Linux 5.5): use --rungs virtio-polled in its place");
    finding("halt polling", found, change)
}

fn speed(environment: &Environment) -> Finding {
    let kvm = &environment.kvm;
    let each =
        |cost: Option<f64>| cost.map_or("did not come up".to_owned(), |cost| kvm.clock.unit().show(cost));
    let [zero, three] = kvm.instruction.map(each);
    let found = format!("an instruction costs {zero} in ring 0, {three} in ring 3");
    let change = kvm.ring0_emulated.then_some(
        "this KVM emulates guest ring 0: keep --guest-ring auto, which uses ring 3 where the doorbell allows it",
    );
    finding("guest", found, change)
}

fn clock(environment: &Environment) -> Finding {
    let Environment { kvm, machine, .. } = environment;
    let offset = kvm.tsc_offset.map_or("not stated by KVM".to_owned(), |offset| offset.to_string());
    let counts = match kvm.clock {
        Clock::Time { tsc_khz } => format!(
            "TSC at {:.1} MHz, {}",
            f64::from(tsc_khz) / 1000.0,
            if machine.invariant_tsc { "invariant" } else { "not known to be invariant" },
        ),
        Clock::Instructions => "TSC counts executed instructions, one a tick, and tells no time".to_owned(),
    };
    let found = format!("{counts}, guest offset {offset}, kernel clock {}", machine.clocksource);
    let change = if kvm.tsc_offset.is_none() {
        Some("stamps of host and guest cannot be compared: use Linux 5.16 or later (KVM_VCPU_TSC_OFFSET)")
    } else if kvm.clock.tells_time() && !machine.invariant_tsc {
        Some("pin the frequency: ticks are only as long as each other at one frequency")
    } else {
        None
    };
    finding("clock", found, change)
}

fn thp(machine: &Machine) -> Finding {
    let found: Vec<String> =
        machine.thp.iter().map(|(name, line)| format!("{name} {}", chosen(line))).collect();
    let enabled = machine.thp.get("enabled").map(|line| chosen(line));
    let change = match enabled {
        Some("never") => {
            Some("backing anon-thp needs: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
        }
        None => Some("backing anon-thp needs a kernel with CONFIG_TRANSPARENT_HUGEPAGE"),
        Some(_) => None,
    };
    finding("huge pages", if found.is_empty() { "none".to_owned() } else { found.join(", ") }, change)
}

fn quiet(noise: Option<&Noise>) -> Finding {
    let Some(noise) = noise else {
        return finding("noise", "not listened for: instructions are counted, not time".to_owned(), None);
    };
    let show = |ns| Unit::Nanoseconds.show(float(ns));
    let found = format!(
        "{} gaps above 10 µs in {}, the longest {}, {} of the time",
        noise.gaps,
        show(noise.spun_ns),
        show(noise.longest_ns),
        percent(noise.lost())
    );
    let change = (noise.lost() > NOISY).then_some(
        "stop other work, or keep it off one core (isolcpus, cpuset); more blocks narrow the intervals",
    );
    finding("noise", found, change)
}

fn load(machine: &Machine) -> Finding {
    let [one, five, fifteen] = machine.load;
    let busy = f64::from(one) > 0.5;
    let change = busy.then_some("something else is running: wait until the load is near 0");
    finding("load", format!("{one:.2}, {five:.2}, {fifteen:.2} over 1, 5, 15 minutes"), change)
}

fn governor(machine: &Machine) -> Finding {
    let turbo = match machine.turbo {
        Some(true) => ", turbo on",
        Some(false) => ", turbo off",
        None => "",
    };
    match machine.governor.as_deref() {
        None => finding("frequency", format!("no governor to be seen{turbo}"), None),
        Some("performance") => finding("frequency", format!("governor performance{turbo}"), None),
        Some(other) => {
            let change = "for steadier figures: cpupower frequency-set -g performance";
            finding("frequency", format!("governor {other}{turbo}"), Some(change))
        }
    }
}

fn processors(environment: &Environment) -> Finding {
    let machine = &environment.machine;
    let smt = machine.smt.as_deref().unwrap_or("not stated");
    let found = format!("{} usable, hyper-threading {smt}", machine.cores);
    let crowded = environment.crowded().join("\n");
    let change = (!crowded.is_empty()).then_some(crowded.as_str());
    finding("processors", found, change)
}

/// A confidential guest is refused before anything is examined.
fn confidential() -> Finding {
    let on = |path: &str| std::fs::read_to_string(path).is_ok_and(|text| matches!(text.trim(), "Y" | "1"));
    let offered: Vec<&str> = [
        ("SEV-SNP", "/sys/module/kvm_amd/parameters/sev_snp"),
        ("TDX", "/sys/module/kvm_intel/parameters/tdx"),
    ]
    .into_iter()
    .filter_map(|(name, path)| on(path).then_some(name))
    .collect();
    let mut found = "this machine is none, and no guest of ours is one".to_owned();
    if !offered.is_empty() {
        found.push_str(&format!(
            "; guests of type {} can be had here: what discarding costs of their memory is not measured",
            offered.join(" and ")
        ));
    }
    finding("confidential guests", found, None)
}

fn swap(machine: &Machine) -> Option<Finding> {
    let found = format!("{} MiB", machine.swap >> 20);
    let change = "swapped pages look like discarded ones for a while: swapoff -a while measuring";
    (machine.swap > 0).then(|| finding("swap", found, Some(change)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::kvm::Counter;

    #[test]
    fn what_can_be_better_comes_with_a_way() {
        let mut environment = crate::testing::timed::environment();
        environment.kvm.calls_by_port = true;
        environment.kvm.capabilities.insert("KVM_CAP_HALT_POLL".into(), false);
        environment.kvm.ring0_emulated = true;
        environment.machine.cores = 1;
        environment.machine.governor = Some("powersave".into());
        environment.machine.thp.insert("enabled".into(), "always madvise [never]".into());
        let noise = Noise { spun_ns: 100, gaps: 3, longest_ns: 30, lost_ns: 50 };
        let findings = findings(&environment, Some(&noise));
        let change = |what: &str| findings.iter().find(|f| f.what == what).unwrap().change.clone();
        for what in ["hypercall", "halt polling", "guest", "processors", "frequency", "huge pages", "noise"] {
            assert!(change(what).is_some(), "{what}");
        }
        assert!(change("clock").is_none_or(|change| change.contains("frequency")));
    }

    #[test]
    fn where_instructions_are_counted_nothing_is_said_of_time() {
        let facts = Facts { counter: Counter::Instructions, ..crate::testing::timed::facts() };
        let Examination { environment, noise, findings } = Examination::of(&facts);
        assert_eq!((noise, environment.kvm.clock), (None, Clock::Instructions));
        let found = |what: &str| findings.iter().find(|f| f.what == what).unwrap().found.clone();
        assert!(found("clock").contains("executed instructions"), "{}", found("clock"));
        assert!(found("guest").contains("instr in ring 0"), "{}", found("guest"));
        assert!(found("doorbell hypercall, ring 0").contains("3000 instr"));
        for Finding { what, found, .. } in &findings {
            for word in ["ns", "µs", "ms", "MHz", "minutes"] {
                assert!(!found.split([' ', ',']).any(|found| found == word), "{what}: {found}");
            }
        }
    }
}
