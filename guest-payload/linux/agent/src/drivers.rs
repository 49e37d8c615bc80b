//! The drivers that report, and what they say of their reports.

use std::fs;

use crate::system::load_module;
use crate::words::Words;

const MODULES: &str = "/modules";
const TRACING: &str = "/sys/kernel/tracing";
/// What the kernel calls of virtio_balloon with each report.
const REPORTED: &str = "virtballoon_free_page_report";
/// Blocks of a report at the most: `PAGE_REPORTING_CAPACITY`.
const CAPACITY: usize = 32;
/// Bytes of a `struct scatterlist`, and where its length is.
const ENTRY: usize = 32;
const LENGTH: usize = 12;

/// What reports.
pub(crate) enum Driver {
    /// Nothing.
    Off,
    /// The kernel's own virtio_balloon; counted by a probe in it, if that was asked for.
    Virtio { counted: bool },
    /// The module of ours, which counts by itself.
    Hypercall,
}

/// Loads what is asked for: the modules in the order in which `/modules/order.*` have them.
pub(crate) fn load(words: &Words) -> Result<Driver, String> {
    let report = words.text("report");
    if report == "off" {
        return Ok(Driver::Off);
    }
    let order = format!("{MODULES}/order.{}", if report == "virtio" { "virtio" } else { "hypercall" });
    let names = fs::read_to_string(&order).map_err(|error| format!("{order}: {error}"))?;
    for name in names.lines() {
        let parameters = match (name, report) {
            ("pagehint_report", "hypercall-batch") => c"batch=1",
            _ => c"",
        };
        load_module(&format!("{MODULES}/{name}"), parameters)?;
    }
    match report {
        "virtio" => {
            let counted = words.text("counted") == "1";
            if counted {
                probe()?;
            }
            Ok(Driver::Virtio { counted })
        }
        "hypercall-each" | "hypercall-batch" => Ok(Driver::Hypercall),
        other => Err(format!("report={other:?} is no way to report")),
    }
}

/// Has the kernel note every report: how many blocks, and the length of each.
fn probe() -> Result<(), String> {
    let lengths = (0..CAPACITY).map(|at| format!(" l{at}=+{}(%si):u32", at * ENTRY + LENGTH));
    let event = format!("p:pagehint/report {REPORTED} n=%dx:u32{}", lengths.collect::<String>());
    for (file, text) in [
        ("kprobe_events", event.as_str()),
        ("buffer_size_kb", "4096"),
        ("events/pagehint/report/enable", "1"),
    ] {
        let path = format!("{TRACING}/{file}");
        fs::write(&path, text).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}

/// Reports so far, and pages in them, by the guest's own account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    pub(crate) reports: u64,
    pub(crate) pages: u64,
}

impl Driver {
    /// What was reported so far; `None` if nobody counts.
    pub(crate) fn told(&self) -> Result<Option<Told>, String> {
        match self {
            Self::Off | Self::Virtio { counted: false } => Ok(None),
            Self::Virtio { counted: true } => {
                let path = format!("{TRACING}/trace");
                let trace = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
                Ok(Some(in_trace(&trace)))
            }
            Self::Hypercall => {
                let number = |name: &str| -> Result<u64, String> {
                    let path = format!("/sys/module/pagehint_report/parameters/{name}");
                    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
                    text.trim().parse().map_err(|_| format!("{path}: {text:?}"))
                };
                Ok(Some(Told { reports: number("reports")?, pages: number("pages")? }))
            }
        }
    }

    /// Whether anything reports.
    pub(crate) const fn reports(&self) -> bool {
        !matches!(self, Self::Off)
    }
}

/// The reports in a trace: of each line the first `n` lengths.
fn in_trace(trace: &str) -> Told {
    let mut told = Told::default();
    for line in trace.lines().filter(|line| line.contains(REPORTED)) {
        let field = |name: &str| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<u64>().ok())
        };
        let blocks = field("n").unwrap_or(0);
        let lengths = (0..CAPACITY as u64).take_while(|at| *at < blocks);
        told.reports += 1;
        told.pages += lengths.filter_map(|at| field(&format!("l{at}"))).sum::<u64>() / 4096;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_report_only_its_blocks_count() {
        let trace = "# tracer: nop\n\
            kworker/0:1-10 [000] d..1. 3.1: report: (virtballoon_free_page_report+0x0/0x80) n=2 l0=4194304 l1=2097152 l2=77\n\
            kworker/0:1-10 [000] d..1. 3.2: report: (virtballoon_free_page_report+0x0/0x80) n=1 l0=2097152 l1=9\n";
        assert_eq!(in_trace(trace), Told { reports: 2, pages: 1024 + 512 + 512 });
    }
}
