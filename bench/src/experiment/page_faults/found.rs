//! What reporting costs a workload that faults pages in, over every transport, and where it goes.

use std::cmp::Reverse;

use abi::axes::Axis;
use host::axes::Discard;
use host::engine::{GuestCounter, PerCpuLists, Reporting, Tally};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::breakdown::{Breakdown, LoadPhase};
use super::published;
use super::state::State;
use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::contract::{Findings, HOW_TO_READ};
use crate::figure::interval::{Interval, Sampling, blocks_needed, holm};
use crate::figure::number;
use crate::figure::quantiles::Quantiles;
use crate::figure::size::block;
use crate::figure::table::{Grid, strings};
use crate::figure::unit::{Unit, float, percent, ratio, signed_percent};
use crate::trial::engine::measured::EngineMeasured;
use crate::trial::kind::Engine;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// From request to pass, in microseconds.
    pub delay_us: u64,
    /// For each order of the workload's blocks.
    pub units: Vec<OfUnit>,
}

/// With blocks of one order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OfUnit {
    /// The order.
    pub unit: u8,
    /// Whether processors keep lists of free pages of their own.
    pub pcp: Named<PerCpuLists>,
    /// Virtual processors.
    pub vcpus: u32,
    /// Operations a second without reporting compiled in.
    pub absent: Interval,
    /// Everything that is compared with that.
    pub rows: Vec<Row>,
}

/// One state over one transport.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The transport; absent where nothing is reported, which is the same over all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Named<Rung>>,
    /// The state.
    pub state: Named<State>,
    /// Operations a second.
    pub rate: Interval,
    /// By what share more than absent, paired by block.
    pub change: Interval,
    /// The share of their work that the trials themselves account for as the cost of reporting, as a loss: the next two.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accounted: Option<Interval>,
    /// The reporting core's share ([`EngineMeasured::core_share`]), as a loss.
    pub core: Interval,
    /// The refaults' share ([`EngineMeasured::refault_share`]), as a loss.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refault: Option<Interval>,
    /// By how much an operation takes longer, and where.
    pub breakdown: Breakdown,
    /// Pages reported a second of work.
    pub reported_pages_s: f64,
    /// The share of the allocated units that had been reported.
    pub taken_reported: f64,
    /// Nanoseconds to clear a unit that was resident.
    pub touch_resident: Quantiles,
    /// Nanoseconds to clear a unit that had been reported.
    pub touch_reported: Quantiles,
}

impl OfUnit {
    /// What tables and sentences call it.
    pub(super) fn name(&self) -> String {
        match self.pcp.0 {
            PerCpuLists::Off => block(self.unit),
            PerCpuLists::Linux => format!("{} with processors' own lists", block(self.unit)),
        }
    }
}

fn of_unit(groups: &[Group<'_, Engine>], unit: u8, pcp: Named<PerCpuLists>, how: Sampling) -> Option<OfUnit> {
    let here = || groups.iter().filter(move |group| (group.choices.unit, group.choices.pcp) == (unit, pcp));
    let absent = here().find(|group| group.choices.reporting.0 == Reporting::Absent)?;
    let mut rows: Vec<Row> = here().filter_map(|group| row(group, absent, how)).collect();
    rows.sort_by_key(|row| (row.rung, row.state));
    holm(rows.iter_mut().map(|row| &mut row.change));
    holm(rows.iter_mut().map(|row| &mut row.breakdown.whole));
    let vcpus = absent.choices.vcpus;
    Some(OfUnit { unit, pcp, vcpus, absent: absent.interval(how, EngineMeasured::operations_a_second), rows })
}

fn row(group: &Group<'_, Engine>, absent: &Group<'_, Engine>, how: Sampling) -> Option<Row> {
    let state = match (group.choices.reporting.0, group.choices.way.discard.0) {
        (Reporting::Absent, _) => return None,
        (Reporting::Off, _) => State::Off,
        (Reporting::On, Discard::None) => State::WithoutDiscard,
        (Reporting::On, _) => State::WithDiscard,
    };
    let [resident, reported] = [Tally::TouchResident, Tally::TouchReported].map(|tally| group.tally(tally));
    let work = group.clock().figure(group.measured().map(EngineMeasured::work_ticks).sum());
    let seconds = work / 1e9 / f64::from(group.choices.vcpus);
    Some(Row {
        rung: group.choices.rung().map(Named),
        state: Named(state),
        rate: group.interval(how, EngineMeasured::operations_a_second),
        change: group.change_of_rate(absent, how)?,
        accounted: group
            .interval_if_known(how, |measured| Some(-measured.core_share() - measured.refault_share()?)),
        core: group.interval(how, |measured| -measured.core_share()),
        refault: group.interval_if_known(how, |measured| Some(-measured.refault_share()?)),
        breakdown: Breakdown::of(group, absent, how)?,
        reported_pages_s: ratio(float(group.sum(GuestCounter::ReportedPages)), seconds),
        taken_reported: ratio(float(reported.n), float(reported.n + resident.n)),
        touch_resident: resident,
        touch_reported: reported,
    })
}

/// Three rows a transport; what does not use one is shown with each.
fn rows_by_transport(unit: &OfUnit) -> Vec<(Option<Named<Rung>>, &Row)> {
    let mut rungs: Vec<Named<Rung>> = unit.rows.iter().filter_map(|row| row.rung).collect();
    rungs.dedup();
    if rungs.is_empty() {
        return unit.rows.iter().map(|row| (None, row)).collect();
    }
    let of = |rung: Named<Rung>| {
        let rows = unit.rows.iter().filter(move |row| row.rung.is_none_or(|own| own == rung));
        rows.map(move |row| (Some(rung), row))
    };
    rungs.into_iter().flat_map(of).collect()
}

fn changes(measure: Unit, unit: &OfUnit, delay_us: u64) -> Grid {
    let per = measure.billion();
    let title = format!(
        "page_fault1 with blocks of {} on {} vCPUs, reported after {} (Linux: 2 s): change of operations a {per} against a guest without reporting ({} a {per}, n = {})",
        unit.name(),
        unit.vcpus,
        Unit::Nanoseconds.show(float(delay_us) * 1e3),
        number::number(unit.absent.middle),
        unit.absent.blocks
    );
    Grid::of(
        title,
        rows_by_transport(unit),
        &[
            ("transport", &|(rung, row)| {
                let is_first = row.state.0 == State::Off;
                rung.filter(|_| is_first).map_or_else(String::new, |rung| rung.to_string())
            }),
            ("reporting", &|(_, row)| row.state.to_string()),
            ("change [95 %]", &|(_, row)| number::share(&row.change)),
            ("accounted for [95 %]", &|(_, row)| accounts(row)[0].clone()),
            ("core", &|(_, row)| accounts(row)[1].clone()),
            ("refault", &|(_, row)| accounts(row)[2].clone()),
            ("operations", &|(_, row)| number::number(row.rate.middle)),
            ("reported MiB", &|(_, row)| number::number(row.reported_pages_s / 256.0)),
            ("units reported", &|(_, row)| percent(row.taken_reported)),
            ("n", &|(_, row)| row.change.blocks.to_string()),
        ],
    )
}

/// What the trials of a row account for themselves; nothing where nothing is reported.
fn accounts(row: &Row) -> [String; 3] {
    if row.state.0 == State::Off {
        return [const { String::new() }; 3];
    }
    let mean = |interval: &Interval| format!("{:+.2} %", interval.middle * 100.0);
    let of = |interval: &Option<Interval>, show: &dyn Fn(&Interval) -> String| {
        interval.as_ref().map_or_else(|| "-".to_owned(), show)
    };
    [of(&row.accounted, &number::share), mean(&row.core), of(&row.refault, &mean)]
}

fn once(row: &Row) -> Vec<String> {
    vec![row.rung.map_or_else(|| "any".to_owned(), |rung| rung.to_string()), row.state.to_string()]
}

/// The phases in which anything is spent in some row.
fn spent(unit: &OfUnit) -> Vec<LoadPhase> {
    let is_spent = |phase: &LoadPhase| {
        unit.rows
            .iter()
            .any(|row| row.breakdown.phases.get(&Named(*phase)).is_some_and(|change| change.middle != 0.0))
    };
    LoadPhase::ALL.iter().copied().filter(is_spent).collect()
}

fn phase_header(phases: &[LoadPhase]) -> Vec<String> {
    let mut header = strings(["transport", "reporting", "altogether [95 %]"]);
    header.extend(phases.iter().map(|phase| phase.name().to_owned()));
    header
}

/// How much longer an operation takes, phase by phase: nanoseconds for pages, microseconds for huge ones.
fn phases(measure: Unit, unit: &OfUnit) -> Grid {
    let slow = unit.rows.iter().any(|row| row.breakdown.whole.middle.abs() >= 10_000.0);
    let (divisor, name) = match (measure, slow) {
        (Unit::Nanoseconds, true) => (1e3, "µs"),
        (Unit::Nanoseconds, false) => (1.0, "ns"),
        (Unit::Instructions, true) => (1e3, "thousands of instructions"),
        (Unit::Instructions, false) => (1.0, "instructions"),
    };
    let title = format!(
        "where it goes, blocks of {}: {name} by which an operation takes longer than without reporting, by phase (n = {})",
        unit.name(),
        unit.absent.blocks
    );
    let spent = spent(unit);
    let rows = unit.rows.iter().map(|row| {
        let Breakdown { whole, phases } = &row.breakdown;
        let mut cells = once(row);
        cells.push(number::difference(measure, whole));
        cells.extend(spent.iter().map(|phase| signed(phases[&Named(*phase)].middle / divisor)));
        cells
    });
    Grid::new(title, phase_header(&spent), rows.collect())
}

/// What each phase has of a change; of a difference that is none there is nothing to say.
fn shares(measure: Unit, unit: &OfUnit) -> Option<Grid> {
    let title = format!("blocks of {}: each phase's share of that, where a difference is shown", unit.name());
    let spent = spent(unit);
    let rows: Vec<Vec<String>> = unit
        .rows
        .iter()
        .filter(|row| row.breakdown.whole.shows_difference())
        .map(|row| {
            let mut cells = once(row);
            cells.push(number::difference(measure, &row.breakdown.whole));
            let share = |phase: &LoadPhase| format!("{:.0} %", row.breakdown.share(*phase) * 100.0 + 0.0);
            cells.extend(spent.iter().map(share));
            cells
        })
        .collect();
    (!rows.is_empty()).then(|| Grid::new(title, phase_header(&spent), rows))
}

/// A difference with three digits at the most.
fn signed(value: f64) -> String {
    match value.abs() {
        v if v < 0.005 => "0".to_owned(),
        v if v >= 99.95 => format!("{value:+.0}"),
        v if v >= 9.995 => format!("{value:+.1}"),
        _ => format!("{value:+.2}"),
    }
}

/// Whether an interval can tell what was published from what was measured.
fn beside_published(unit: &OfUnit, row: &Row) -> String {
    let Some(published) = published::change(unit.unit, row.state.0) else {
        return "nothing was published to hold it against".to_owned();
    };
    let shown = signed_percent(published);
    if !row.change.is_known() {
        return format!("too few blocks to hold against the {shown} published");
    }
    if row.change.low <= published && published <= row.change.high {
        let half = percent((row.change.high - row.change.low) / 2.0);
        format!("compatible with the {shown} published, and with anything else within ±{half}")
    } else {
        format!("not compatible with the {shown} published")
    }
}

fn sentence(measure: Unit, unit: &OfUnit, row: &Row) -> String {
    let over = row.rung.map_or_else(String::new, |rung| format!(" over {rung}"));
    let mut sentence = format!("Blocks of {}, {}{over}: ", unit.name(), row.state);
    if row.accounted.is_some() && row.state.0 != State::Off {
        let [accounted, core, refault] = accounts(row);
        sentence
            .push_str(&format!("{accounted} accounted for (core {core}, refaults {refault}); compared, "));
    }
    let needed = blocks_needed(unit.rows.len());
    if !row.change.shows_difference() && !row.change.is_counted() {
        sentence.push_str(&format!(
            "cannot be told from none ({}, n = {}{}); {}.",
            number::share(&row.change).trim_start_matches("~ "),
            row.change.blocks,
            if row.change.blocks < needed {
                format!(", and {needed} blocks are needed")
            } else {
                String::new()
            },
            beside_published(unit, row)
        ));
        return sentence;
    }
    let way = if row.change.middle < 0.0 { "fewer" } else { "more" };
    let longer = &row.breakdown;
    sentence.push_str(&format!(
        "{} {way} operations a {} ({}, n = {}); an operation changes by {}",
        percent(row.change.middle.abs()),
        measure.billion(),
        number::share(&row.change),
        row.change.blocks,
        number::difference(measure, &longer.whole),
    ));
    if let Some(phase) = longer.mostly().filter(|_| longer.whole.shows_difference()) {
        sentence.push_str(&format!(
            ", most of it in {} ({}, {:.0} % of the change)",
            phase.name(),
            measure.show_change(longer.phases[&Named(phase)].middle),
            longer.share(phase) * 100.0
        ));
    }
    let [resident, reported] = [&row.touch_resident, &row.touch_reported];
    if reported.n > 0 && resident.n > 0 {
        sentence.push_str(&format!(
            "; {} of the units touched had been reported, and took {} to touch instead of {} (medians, n = {} and {})",
            percent(row.taken_reported),
            measure.show(reported.p50),
            measure.show(resident.p50),
            reported.n,
            resident.n
        ));
    }
    sentence + "."
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (&archive.groups::<Engine>(), archive.sampling());
        let mut units: Vec<(Reverse<u8>, Named<PerCpuLists>)> =
            groups.iter().map(|group| (Reverse(group.choices.unit), group.choices.pcp)).collect();
        units.sort_unstable();
        units.dedup();
        let delay_us = groups.iter().map(|group| group.choices.delay_us).max().unwrap_or_default();
        let unit = archive.unit();
        Self {
            unit,
            delay_us,
            units: units.into_iter().filter_map(|(unit, pcp)| of_unit(groups, unit.0, pcp, how)).collect(),
        }
    }

    fn tables(&self) -> Vec<Grid> {
        let changes = self.units.iter().map(|unit| changes(self.unit, unit, self.delay_us));
        let places = self
            .units
            .iter()
            .flat_map(|unit| [Some(phases(self.unit, unit)), shares(self.unit, unit)].into_iter().flatten());
        changes.chain([published::table()]).chain(places).collect()
    }

    fn comparisons(&self) -> usize {
        self.units.iter().map(|unit| unit.rows.len()).max().unwrap_or_default()
    }

    fn sentences(&self) -> Vec<String> {
        let of = |unit| move |row| sentence(self.unit, unit, row);
        self.units.iter().flat_map(|unit| unit.rows.iter().map(of(unit))).collect()
    }

    fn how_to_read(&self) -> String {
        let mut text = HOW_TO_READ.to_owned();
        text.push_str("- Phases of an operation add up to its time, and their changes to its change but for blocks that are far off:\n");
        for phase in LoadPhase::ALL {
            text.push_str(&format!("  - *{}*: {}\n", phase.name(), phase.meaning()));
        }
        text
    }
}
