//! A line a trial: comma-separated, and as Go's benchmarks print.

use std::fmt::Write as _;

use abi::axes::Axis;
use host::engine::GuestCounter;

use crate::archive::Archive;
use crate::axes::rung::Rung;
use crate::exchange::cell::names;
use crate::figure::quantiles::Quantiles;
use crate::figure::unit::Unit;
use crate::trial::kind::{Engine, Linux, Timed};
use crate::trial::record::TrialRecord;
use crate::trial::spec::Choices;
use crate::trial::timed::phases::Phase;

/// A trial with a line for each of its figures. No field holds a comma or a quote, so none is quoted.
pub(super) fn csv(archive: &Archive, wanted: &[(Choices, String)]) -> String {
    let mut text = "trial,block,cell,rung,discard,seed,series,n,mean,p50,p90,p99,p999,max,unit\n".to_owned();
    for (trial, cell) in of(archive, wanted) {
        let choices = trial.choices();
        let rung = choices.rung().map_or("", Rung::name);
        let mut line = |series: &str, figures: Quantiles, unit: &str| {
            let Quantiles { n, mean, p50, p90, p99, p999, max } = figures;
            let TrialRecord { trial, block, seed, .. } = trial;
            // Writing to a string cannot fail.
            let _ =
                write!(text, "{trial},{block},{cell},{rung},{},{seed},{series},{n}", choices.way().discard);
            let _ = writeln!(text, ",{mean},{p50},{p90},{p99},{p999},{max},{unit}");
        };
        if let Some(measured) = trial.measured::<Timed>() {
            for phase in Phase::ALL {
                line(phase.name(), measured.phase(*phase), archive.unit().name());
            }
        }
        if let Some(measured) = trial.measured::<Engine>() {
            let rate = measured.operations_a_second();
            line("operations", alike(measured.sum(GuestCounter::Operations), rate), "1/s");
        }
        if let Some((measured, n)) =
            trial.measured::<Linux>().and_then(|found| Some((found, found.operations?)))
        {
            line("operations", alike(n, measured.operations_a_second()), "1/s");
        }
    }
    text
}

/// A figure of a whole trial, over so many things.
const fn alike(n: u64, rate: f64) -> Quantiles {
    Quantiles { n, mean: rate, p50: rate, p90: rate, p99: rate, p999: rate, max: rate }
}

/// The trials with an outcome, each with the name of its cell.
fn of<'a>(
    archive: &'a Archive,
    wanted: &'a [(Choices, String)],
) -> impl Iterator<Item = (&'a TrialRecord, &'a str)> {
    let named = |trial: &'a TrialRecord| {
        let (_, cell) = wanted.iter().find(|(choices, _)| *choices == trial.choices())?;
        Some((trial, cell.as_str()))
    };
    archive.trials.iter().filter(|trial| trial.counts().is_some()).filter_map(named)
}

/// As Go prints benchmarks (<https://go.dev/design/14313-benchmark-format>): an iteration is a range, or an operation.
pub(super) fn go(archive: &Archive, wanted: &[(Choices, String)]) -> String {
    let mut text = format!("goos: linux\ngoarch: amd64\npkg: pagehint\ncpu: {}\n", archive.environment.host);
    let choices: Vec<Choices> = wanted.iter().map(|(choices, _)| *choices).collect();
    let names = names(&choices, benchmark, "/");
    let experiment = camel(&archive.plan.experiment);
    let per = match archive.unit() {
        Unit::Nanoseconds => "ns/op",
        Unit::Instructions => "instr/op",
    };
    if choices.iter().any(|choices| matches!(choices, Choices::Engine(_) | Choices::Linux(_))) {
        text.push_str("Unit op/s better=higher\n");
    }
    for (trial, _) in of(archive, wanted) {
        let Some(at) = choices.iter().position(|choices| *choices == trial.choices()) else { continue };
        let name = format!("Benchmark{experiment}/{}", names[at]);
        // Writing to a string cannot fail.
        if let (Some(measured), Choices::Timed(choices)) = (trial.measured::<Timed>(), &choices[at]) {
            let ranges = choices.ranges_a_report().max(1);
            let Quantiles { n, p50, p99, .. } = measured.phase(Phase::Total).over(ranges);
            let iterations = n.saturating_mul(ranges.into());
            let _ = writeln!(text, "{name} {iterations} {p50:.3} {per} {p99:.3} p99-{per}");
        }
        if let Some(measured) = trial.measured::<Engine>() {
            let operations = measured.sum(GuestCounter::Operations);
            let _ = writeln!(text, "{name} {operations} {:.3} op/s", measured.operations_a_second());
        }
        if let Some((measured, n)) =
            trial.measured::<Linux>().and_then(|found| Some((found, found.operations?)))
        {
            let _ = writeln!(text, "{name} {n} {:.3} op/s", measured.operations_a_second());
        }
    }
    text
}

/// What sets most cells apart; what else does is added where it must be.
fn benchmark(choices: &Choices) -> String {
    let (rung, discard) = (choices.rung().map_or("none", Rung::name), choices.way().discard);
    match choices {
        Choices::Timed(timed) => format!("rung={}/discard={discard}/batch={}", timed.label(), timed.batch),
        Choices::Engine(engine) => {
            let (load, reporting) = (engine.load, engine.reporting);
            format!("load={load}/reporting={reporting}/rung={rung}/discard={discard}")
        }
        Choices::Linux(linux) => {
            let (task, pages) = (linux.task, linux.pages);
            format!("task={task}/pages={pages}/rung={rung}/discard={discard}")
        }
    }
}

/// `page-faults` as `PageFaults`.
fn camel(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    name.split(['-', '_']).map(word).collect()
}
