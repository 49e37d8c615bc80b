//! The ladder's pictures: what a range costs, from a hypercall to virtio step by step, percentiles, and what of it is
//! transport.

use host::axes::{Discard, Doorbell};

use super::cell::CellSummary;
use super::compared::{Against, Compared, QuantileChange};
use super::found::Found;
use super::sentences::action;
use super::waterfall::{Fall, Waterfall};
use crate::archive::Archive;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::told;
use crate::figure::chart::{Bar, Bars, Body, Chart, Measure, Scale, Tone};
use crate::figure::interval::Interval;
use crate::figure::number::{amount, part, plain};
use crate::figure::quantiles::Quantile;
use crate::figure::quantity::Quantity;
use crate::figure::tail::{self, Distribution, Tail};
use crate::figure::unit::ratio;
use crate::model::cost::Report;
use crate::model::fit::Fit;
use crate::model::floors::doorbells_of;
use crate::model::observed::Observed;
use crate::model::{self, published};
use crate::trial::spec::{Choices, Series};
use crate::trial::timed::phases::Phase;

/// How many times the least the most must be for an axis by powers of ten.
const SPREAD: f64 = 30.0;

/// All of them: those of the discard that VMMs use first.
pub(super) fn all(found: &Found, archive: &Archive) -> Vec<Chart> {
    let mut discards = found.discards();
    discards.sort_by_key(|discard| (*discard != Discard::DontNeed, *discard == Discard::None, *discard));
    let main = discards.first().copied();
    let charts = discards.into_iter().flat_map(|discard| of(found, archive, discard));
    charts.chain(main.and_then(|discard| winners(found, archive, discard))).collect()
}

fn of(found: &Found, archive: &Archive, discard: Discard) -> Vec<Chart> {
    let waterfall = found.waterfalls.iter().find(|waterfall| waterfall.discard.0 == discard);
    let beyond = waterfall.and_then(|waterfall| {
        let at = waterfall.steps.iter().position(|step| step.to == Named(Rung::HypercallBatch))?;
        fall(found, waterfall, &waterfall.steps[at + 1..], "from one hypercall for all ranges")
    });
    let whole = waterfall
        .and_then(|waterfall| fall(found, waterfall, &waterfall.steps, "from a hypercall for each range"));
    let [quantiles, tails] = [quantiles(found, discard), percentiles(found, archive, discard)];
    [cost(found, discard), whole, beyond, quantiles, tails, transport(found, discard)]
        .into_iter()
        .flatten()
        .collect()
}

fn id(what: &str, discard: Discard) -> String {
    format!("{what}-{}", Named(discard))
}

/// The cost of a range in each block, without the stopwatch if it was weighed.
fn a_range(found: &Found, cell: &CellSummary) -> Option<Interval> {
    let ranges = f64::from(cell.choices.ranges_a_report());
    let blocks: Option<Vec<f64>> =
        cell.blocks.keys().map(|block| Some(cell.total(*block)? / ranges)).collect();
    Interval::of(&blocks?, found.how)
}

fn caveats(found: &Found, blocks: usize) -> Vec<String> {
    let is_port = |cell: &CellSummary| {
        cell.rung == Some(Named(Rung::HypercallBatch)) && cell.choices.way.doorbell.0 == Doorbell::Port
    };
    let port = "Hypercalls do not reach user space on this host: a port write stands in for them.";
    let port = found.cells.iter().any(is_port).then(|| port.to_owned());
    told::caveats(found.unit, blocks).into_iter().chain(port).collect()
}

fn cost(found: &Found, discard: Discard) -> Option<Chart> {
    let rungs = found.cells.iter().filter(|cell| cell.discard() == discard);
    let rows: Vec<(&CellSummary, Interval)> =
        rungs.filter_map(|cell| Some((cell, a_range(found, cell)?))).collect();
    let (_, first) = rows.first()?;
    let costs = || rows.iter().map(|(_, cost)| cost.middle);
    let (least, most) = (costs().fold(f64::MAX, f64::min), costs().fold(0.0, f64::max));
    let scale = if least > 0.0 && most > SPREAD * least { Scale::Log } else { Scale::Linear };
    let powers = if scale == Scale::Log { ", by powers of ten" } else { "" };
    let bars = rows.iter().map(|(cell, cost)| {
        let what = if cell.names_pages() { "" } else { " (an empty call, no pages named)" };
        Bar::of(format!("{}{what}", cell.label()), cost, amount(found.unit, cost))
    });
    let bars = bars.collect();
    Some(Chart {
        id: id("cost", discard),
        title: format!("{}: what a range costs, rung by rung", action(discard)),
        reading: "Middle over blocks of the median in each block, with its 95 % interval; shorter is cheaper. Rungs are told apart by the tests of the tables, not by intervals that overlap.".to_owned(),
        caveats: caveats(found, first.blocks),
        body: Body::Bars(Bars {
            along: Measure { label: format!("cost of a range{powers}"), quantity: Quantity::Cost(found.unit), scale },
            bars,
        }),
    })
}

/// From one rung to virtio; nothing where no step is left, or the end did not run.
fn fall(found: &Found, waterfall: &Waterfall, steps: &[Fall], from: &str) -> Option<Chart> {
    let discard = waterfall.discard.0;
    let first = steps.first()?;
    let before = found.cell(first.to.0, discard)?.step?.from;
    let start = a_range(found, found.cell(before.0, discard)?)?;
    let end = a_range(found, found.cell(waterfall.to.0, discard)?)?;
    let unit = found.unit;
    let mut bars = vec![Bar::of(before.to_string(), &start, amount(unit, &start)).toned(Tone::Whole)];
    let mut at = start.middle;
    for step in steps {
        let change = step.per_range;
        let to = at + change.middle;
        let doubt = if change.shows_difference() { "" } else { "~ " };
        let bar = Bar::change(
            format!("{}: {}", step.to, step.cause),
            &change,
            format!("{doubt}{}", plain(unit, &change)),
        );
        let ends = bar.ends.map(|(low, high)| (at + low, at + high));
        bars.push(Bar { from: at, to, ends, ..bar });
        at = to;
    }
    bars.push(Bar::of(waterfall.to.to_string(), &end, amount(unit, &end)).toned(Tone::Whole));
    // Each step is the middle of its own blocks: a block that is far off in one and not in the other is left out of one.
    let gap = ratio((at - end.middle).abs(), end.middle.abs());
    let apart = (gap > 0.01)
        .then(|| "The steps do not add up to the whole: some blocks are far off, or not every rung ran in every block.".to_owned());
    Some(Chart {
        id: id(if before.0 == Rung::HypercallEach { "waterfall" } else { "beyond-batching" }, discard),
        title: format!("{}: {from} to virtio, step by step", action(discard)),
        reading: "Each bar begins where the one before ended: what one choice adds to a range or saves of it, with the 95 % interval of that step.".to_owned(),
        caveats: caveats(found, start.blocks).into_iter().chain(apart).collect(),
        body: Body::Bars(Bars {
            along: Measure { label: "cost of a range".to_owned(), quantity: Quantity::Cost(unit), scale: Scale::Linear },
            bars,
        }),
    })
}

/// By how much quantiles differ, of the comparison that the run is about.
fn quantiles(found: &Found, discard: Discard) -> Option<Chart> {
    let is_of = |compared: &&Compared| compared.discard.0 == discard && compared.against == Against::OtherEnd;
    let crux = found.compared.iter().find(is_of)?;
    let bar = |change: &QuantileChange| {
        let doubt = if change.per_range.shows_difference() { "" } else { "~ " };
        let shown = format!("{doubt}{}", plain(found.unit, &change.per_range));
        Bar::change(change.quantile.name(), &change.per_range, shown)
    };
    let left_out = (crux.quantiles.len() < Quantile::ALL.len()).then(|| {
        format!("Blocks have as few as {} reports, too few for the rarest quantiles.", crux.reports_a_block)
    });
    Some(Chart {
        id: id("quantiles", discard),
        title: format!("{}: {} less {}, by quantile", action(discard), crux.to, crux.from),
        reading: "By how much each quantile of a range differs, block by block, with its 95 % interval; coloured by the test, which is corrected for the comparisons of its table.".to_owned(),
        caveats: caveats(found, crux.per_range.blocks).into_iter().chain(left_out).collect(),
        body: Body::Bars(Bars {
            along: Measure::even("cost of a range more", Quantity::Cost(found.unit)),
            bars: crux.quantiles.iter().map(bar).collect(),
        }),
    })
}

/// Who wins where exit and discard cost otherwise than here, with other hosts on the map; nothing where figures are no time.
fn winners(found: &Found, archive: &Archive, discard: Discard) -> Option<Chart> {
    let observed = Observed::of(archive);
    let floors = doorbells_of(archive);
    let unit = model::scale::Scale::from(found.unit);
    let fit = Fit::of(&observed.cells, &floors, unit, archive.plan.seed(), archive.sampling())?;
    let discards = |report: &Report| report.blocks.discarded == (discard != Discard::None);
    let report = observed
        .cells
        .iter()
        .map(|cell| cell.report)
        .find(|report| discards(report) && report.rung.0.names_pages())?;
    let profile = fit.profile().called(&archive.environment.host);
    let mut hosts = published::all().ok()?;
    hosts.push(profile.clone());
    model::winners::chart(&profile, &hosts, report.batch, report.blocks).ok()
}

fn percentiles(found: &Found, archive: &Archive, discard: Discard) -> Option<Chart> {
    let clock = archive.environment.kvm.clock;
    let tails = found.cells.iter().filter(|cell| cell.discard() == discard).filter_map(|cell| {
        let series = (Choices::Timed(cell.choices), Series::Phase(Phase::Total));
        let histogram = archive.merged.histograms.get(&series)?;
        Some(Tail::of(cell.label(), &Distribution::of(histogram), clock))
    });
    let tails: Vec<Tail> = tails.collect();
    let fewest = tails.iter().map(|tail| tail.points.len()).min()?;
    let title = format!("{}: a report, by percentile", action(discard));
    let chart = tail::chart(&title, "a report", found.unit, &tails);
    let short = (fewest < 2).then(|| "Some rungs have too few reports for a tail.".to_owned());
    let watch = "All blocks together, the stopwatch in it; a tail of one run says less than its medians, for blocks that were disturbed are in it.".to_owned();
    Some(Chart {
        id: id("percentiles", discard),
        caveats: std::iter::once(watch).chain(short).chain(told::caveats(found.unit, usize::MAX)).collect(),
        ..chart
    })
}

fn transport(found: &Found, discard: Discard) -> Option<Chart> {
    let rows: Vec<_> = found.apart.iter().filter(|apart| apart.discard.0 == discard).collect();
    let cheapest = rows.first()?.cheapest;
    let bars = rows.iter().map(|apart| Bar::of(apart.rung.to_string(), &apart.share, part(&apart.share)));
    Some(Chart {
        id: id("transport", discard),
        title: format!("{}: how much of it is transport at all", action(discard)),
        reading: format!(
            "Of a report with its discard and of bringing the pages back later, what is not the cheapest discard of these pages, which is {cheapest}'s. Where the bar is short, another transport changes little."
        ),
        caveats: told::caveats(found.unit, rows.first()?.share.blocks),
        body: Body::Bars(Bars {
            along: Measure {
                label: "share of report and refault that is transport".to_owned(),
                quantity: Quantity::Share,
                scale: Scale::Linear,
            },
            bars: bars.collect(),
        }),
    })
}
