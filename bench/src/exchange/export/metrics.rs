//! `OpenMetrics` text (<https://github.com/prometheus/OpenMetrics>): a summary a cell and series. Times are seconds there.

use std::fmt::Write as _;

use super::samples::Samples;
use crate::archive::Archive;
use crate::figure::unit::{Clock, float};

const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

/// A family of summaries.
struct Family {
    name: String,
    unit: &'static str,
    help: &'static str,
    /// What a value of a histogram is divided by, after it has been turned into the clock's unit.
    by: f64,
}

pub(super) fn text(archive: &Archive, samples: &[Samples<'_>]) -> String {
    let clock = archive.environment.kvm.clock;
    let (unit, by) = match clock {
        Clock::Time { .. } => ("seconds", 1e9),
        Clock::Instructions => ("instructions", 1.0),
    };
    let help = "What a phase of a report, or what the guest tallied, took; phase total is the whole report.";
    let times = Family { name: format!("pagehint_phase_{unit}"), unit, help, by };
    let things = Family {
        name: "pagehint_examined".to_owned(),
        unit: "",
        help: "Blocks looked at for one report.",
        by: 1.0,
    };
    let mut text = String::new();
    for (family, is_time) in [(times, true), (things, false)] {
        let those: Vec<_> = samples.iter().filter(|of| of.series.is_time() == is_time).collect();
        if !those.is_empty() {
            summaries(&mut text, &family, &those, clock);
        }
    }
    trials(&mut text, archive);
    text + "# EOF\n"
}

fn summaries(text: &mut String, family: &Family, samples: &[&Samples<'_>], clock: Clock) {
    let Family { name, unit, help, by } = family;
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# TYPE {name} summary");
    if !unit.is_empty() {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    let _ = writeln!(text, "# HELP {name} {help}");
    for of in samples {
        let labels = format!("cell=\"{}\",phase=\"{}\"", escaped(&of.cell), of.series.name());
        let count = of.histogram.len();
        let shown = |value: f64| of.figure(clock, value) / by;
        for quantile in QUANTILES {
            let value = shown(float(of.histogram.value_at_quantile(quantile)));
            let _ = writeln!(text, "{name}{{{labels},quantile=\"{quantile}\"}} {value:e}");
        }
        let _ = writeln!(text, "{name}_sum{{{labels}}} {:e}", shown(of.histogram.mean() * float(count)));
        let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
    }
}

/// Of which run it is, and how many trials it rests on.
fn trials(text: &mut String, archive: &Archive) {
    let environment = &archive.environment;
    let failed = archive.trials.iter().filter(|trial| trial.error().is_some()).count();
    let measured = archive.trials.len() - failed;
    let _ = write!(
        text,
        "# TYPE pagehint_run info\n\
         # HELP pagehint_run Where the figures are from; they hold nowhere else.\n\
         pagehint_run_info{{host=\"{}\",plan=\"{}\",version=\"{}\",revision=\"{}\"}} 1\n\
         # TYPE pagehint_trials gauge\n\
         # HELP pagehint_trials Trials by how they ended.\n\
         pagehint_trials{{ending=\"measured\"}} {measured}\n\
         pagehint_trials{{ending=\"failed\"}} {failed}\n",
        escaped(&environment.host),
        escaped(&archive.plan.name),
        escaped(&environment.pagehint),
        escaped(&environment.revision),
    );
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
