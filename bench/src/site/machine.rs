//! The machine a run takes place on, as far as the kernel and the processor tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use procfs::{Current, LoadAverage, Meminfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::emulated::LabCpu;
use crate::axes::named::Named;

/// The machine. What cannot be read is empty or absent.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Its vendor.
    pub vendor: String,
    /// Family, model and stepping.
    pub family_model_stepping: [u32; 3],
    /// Whether the time stamp counter runs at a constant rate in all states.
    pub invariant_tsc: bool,
    /// Who runs this machine, if it is a virtual one; `QEMU` if that emulates its processor (TCG).
    pub hypervisor: Option<String>,
    /// The lab's processor, if this machine is the lab's; absent in files of before there was a choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lab: Option<Named<LabCpu>>,
    /// Processors this process may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Memory in bytes.
    pub memory: u64,
    /// Of this, available.
    pub memory_available: u64,
    /// Swap in bytes: discarded and swapped pages must not be confused.
    pub swap: u64,
    /// Transparent huge pages: `enabled`, `defrag`, `shmem_enabled`, `khugepaged/defrag`, as the kernel shows them.
    pub thp: BTreeMap<String, String>,
    /// Mitigations of processor vulnerabilities.
    pub vulnerabilities: BTreeMap<String, String>,
    /// Frequency governor of the first processor, if there is one.
    pub governor: Option<String>,
    /// Whether turbo frequencies are on, if the driver says.
    pub turbo: Option<bool>,
    /// Whether the hyper-threads are on, if the kernel says.
    pub smt: Option<String>,
    /// The kernel's clock.
    pub clocksource: String,
    /// Load over one, five and fifteen minutes.
    pub load: [f32; 3],
    /// Parameters of the kvm modules that are loaded.
    pub kvm_parameters: BTreeMap<String, String>,
}

impl Machine {
    /// This one, now.
    #[must_use]
    pub fn here() -> Self {
        let lab = line("/proc/cmdline").and_then(|line| LabCpu::of_command_line(&line));
        let mut machine = Self {
            lab: lab.map(Named),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
            thp: thp(),
            vulnerabilities: files("/sys/devices/system/cpu/vulnerabilities", ""),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            turbo: turbo(),
            smt: line("/sys/devices/system/cpu/smt/control"),
            clocksource: line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
                .unwrap_or_default(),
            kvm_parameters: kvm_parameters(),
            ..Self::default()
        };
        machine.read_processor();
        if let Ok(memory) = Meminfo::current() {
            machine.memory = memory.mem_total;
            machine.memory_available = memory.mem_available.unwrap_or(memory.mem_free);
            machine.swap = memory.swap_total;
        }
        if let Ok(load) = LoadAverage::current() {
            machine.load = [load.one, load.five, load.fifteen];
        }
        machine
    }

    /// Whether its processor is emulated. Bochs does not say so: the lab's machine is told. QEMU calls itself
    /// hypervisor (`TCGTCGTCGTCG` in leaf 0x4000_0000) only where it executes every instruction itself.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        self.lab.is_some() || self.hypervisor.as_deref() == Some("QEMU")
    }

    fn read_processor(&mut self) {
        let cpuid = raw_cpuid::CpuId::new();
        if let Some(vendor) = cpuid.get_vendor_info() {
            vendor.as_str().clone_into(&mut self.vendor);
        }
        self.cpu = match cpuid.get_processor_brand_string() {
            Some(brand) => brand.as_str().split_whitespace().collect::<Vec<_>>().join(" "),
            None => self.vendor.clone(),
        };
        if let Some(info) = cpuid.get_feature_info() {
            self.family_model_stepping =
                [info.family_id().into(), info.model_id().into(), info.stepping_id().into()];
        }
        self.invariant_tsc =
            cpuid.get_advanced_power_mgmt_info().is_some_and(|info| info.has_invariant_tsc());
        self.hypervisor = cpuid.get_hypervisor_info().map(|info| format!("{:?}", info.identify()));
    }
}

/// The first line of a file, without its end.
fn line(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// The first line of every file of a directory, by name after a prefix.
fn files(directory: &str, prefix: &str) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            Some((format!("{prefix}{}", entry.file_name().to_string_lossy()), line(entry.path())?))
        })
        .collect()
}

fn thp() -> BTreeMap<String, String> {
    let at = Path::new("/sys/kernel/mm/transparent_hugepage");
    ["enabled", "defrag", "shmem_enabled", "khugepaged/defrag"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), line(at.join(name))?)))
        .collect()
}

fn turbo() -> Option<bool> {
    let off = line("/sys/devices/system/cpu/intel_pstate/no_turbo").map(|no| no == "0");
    off.or_else(|| line("/sys/devices/system/cpu/cpufreq/boost").map(|on| on == "1"))
}

impl Machine {
    /// Whether kvm-amd has to fetch and decode the instruction of a hypercall to find the next one: the processor
    /// does not save that (AMD APM volume 2, 15.7.1), as none that QEMU emulates does.
    #[must_use]
    pub fn decodes_hypercalls(&self) -> bool {
        self.kvm_parameters.get("kvm_amd.nrips").is_some_and(|value| matches!(value.as_str(), "0" | "N"))
    }
}

fn kvm_parameters() -> BTreeMap<String, String> {
    ["kvm", "kvm_intel", "kvm_amd", "kvm_pvm"]
        .into_iter()
        .flat_map(|module| files(&format!("/sys/module/{module}/parameters"), &format!("{module}.")))
        .collect()
}

/// The value in brackets of a line like `always [madvise] never`.
#[must_use]
pub fn chosen(line: &str) -> &str {
    line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or(line, |(chosen, _)| chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_processor_a_kernel_and_memory() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.memory > 1 << 20);
        assert!(!machine.cpu.is_empty() && machine.kernel.contains('.'));
    }

    #[test]
    fn the_labs_machines_are_emulated_and_of_others_only_qemus_own() {
        let run_by = |name: &str| Machine { hypervisor: Some(name.into()), ..Machine::default() };
        assert!(run_by("QEMU").is_emulated());
        assert!(!run_by("KVM").is_emulated() && !Machine::default().is_emulated());
        assert!(Machine { lab: Some(Named(LabCpu::Intel)), ..Machine::default() }.is_emulated());
    }

    #[test]
    fn brackets_choose() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen("tsc"), "tsc");
    }
}
