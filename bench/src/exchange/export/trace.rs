//! A report a cell as a Chrome trace (the JSON of `chrome://tracing`, which Perfetto opens): a process a cell, and in it the
//! guest, the vCPU's thread and the device's as threads.
//!
//! No run keeps a single report. What is drawn is one that took the median of every phase, which no report need have taken:
//! the file says so. Its phases stand one after the other, as they do in every report.

use abi::axes::Axis;
use host::axes::Servicer;
use serde_json::{Value, json};

use super::samples::{ExportError, Samples};
use crate::archive::Archive;
use crate::figure::unit::{Clock, Unit, float};
use crate::trial::spec::{Choices, Series};
use crate::trial::timed::choices::Choices as TimedChoices;
use crate::trial::timed::phases::Phase;

/// The tracks of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Track {
    Guest = 1,
    Vcpu = 2,
    Device = 3,
}

impl Track {
    const ALL: [Self; 3] = [Self::Guest, Self::Vcpu, Self::Device];

    const fn name(self, served: Servicer) -> &'static str {
        match (self, served) {
            (Self::Guest, _) => "guest",
            (Self::Vcpu, Servicer::Kernel) => "KVM, in the kernel",
            (Self::Vcpu, Servicer::Vhost) => "vhost worker, in the kernel",
            (Self::Vcpu, _) => "vCPU's thread on the host",
            (Self::Device, _) => "device's thread",
        }
    }
}

pub(super) fn of(
    archive: &Archive,
    wanted: &[(Choices, String)],
    samples: &[Samples<'_>],
) -> Result<Vec<u8>, ExportError> {
    let clock = archive.environment.kvm.clock;
    let mut events = Vec::new();
    for (process, (choices, cell)) in (1_u32..).zip(wanted) {
        let Choices::Timed(timed) = choices else { continue };
        let median = |phase| {
            let is_of = |of: &&Samples<'_>| of.choices == *choices && of.series == Series::Phase(phase);
            let histogram = samples.iter().find(is_of)?.histogram;
            (!histogram.is_empty()).then(|| clock.figure(float(histogram.value_at_quantile(0.5))))
        };
        if let Some(total) = median(Phase::Total) {
            let median = |phase| median(phase).unwrap_or_default();
            events.extend(report(process, cell, timed, total, clock, &median));
        }
    }
    if events.is_empty() {
        return Err(ExportError::Nothing { what: "phases of reports" });
    }
    let unit = match archive.unit() {
        Unit::Nanoseconds => "times are times",
        Unit::Instructions => "a nanosecond of this trace is an executed instruction, which is no time",
    };
    let trace = json!({
        "displayTimeUnit": "ns",
        "otherData": {
            "what": "one report a cell, made of the median of each of its phases over all reports; no single report is stored",
            "unit": unit,
            "host": archive.environment.host,
            "pagehint": archive.environment.pagehint,
            "revision": archive.environment.revision,
        },
        "traceEvents": events,
    });
    Ok((trace.to_string() + "\n").into_bytes())
}

/// The events of a report: names of its tracks, and a slice a phase. Medians do not add up to that of the whole, which is
/// among the arguments of what spans it.
fn report(
    process: u32,
    cell: &str,
    choices: &TimedChoices,
    total: f64,
    clock: Clock,
    median: &impl Fn(Phase) -> f64,
) -> Vec<Value> {
    let served = choices.way.servicer.0;
    let has_device = served == Servicer::Device;
    let server = if has_device { Track::Device } else { Track::Vcpu };
    let steps = [
        (Phase::Prepare, Track::Guest),
        (Phase::Transit, Track::Vcpu),
        (Phase::Wake, Track::Device),
        (Phase::Fetch, server),
        (Phase::Discard, server),
        (Phase::Complete, server),
        (Phase::Resume, Track::Guest),
    ];
    let mut events =
        vec![json!({"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": cell}})];
    for track in Track::ALL.into_iter().filter(|track| has_device || *track != Track::Device) {
        let args = json!({"name": track.name(served)});
        events.push(
            json!({"ph": "M", "name": "thread_name", "pid": process, "tid": track as u32, "args": args}),
        );
    }
    let slice = |name: &str, track: Track, from: f64, to: f64, args: Value| {
        json!({"ph": "X", "cat": "report", "name": name, "pid": process, "tid": track as u32,
            "ts": from / 1e3, "dur": (to - from) / 1e3, "args": args})
    };
    let (mut at, mut phases, mut rung) = (0.0, Vec::new(), 0.0);
    for (phase, track) in steps {
        let end = at + median(phase);
        if end > at {
            phases.push(slice(phase.name(), track, at, end, json!({"meaning": phase.meaning()})));
        }
        at = end;
        if phase == Phase::Prepare {
            rung = at;
        }
    }
    let args = json!({
        "ranges": choices.ranges_a_report(),
        "median of whole reports": clock.unit().show(total),
        "median not explained by phases": clock.unit().show(median(Phase::Remainder)),
    });
    events.push(slice("report", Track::Guest, 0.0, at, args));
    let meaning = json!({"meaning": "the guest has rung, and waits"});
    events.push(slice("wait", Track::Guest, rung, at, meaning));
    events.extend(phases);
    events
}
