//! Processor time a GiB, thread by thread.

use abi::addr::PAGE_SIZE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::archive::group::Group;
use crate::axes::named::Named;
use crate::axes::rung::{Rung, label};
use crate::experiment::contract::Findings;
use crate::figure::check::{Check, Standing, none_of};
use crate::figure::interval::{Interval, Sampling, holm};
use crate::figure::number;
use crate::figure::size::block;
use crate::figure::table::Grid;
use crate::figure::unit::{Unit, float, percent, ratio, total};
use crate::trial::kind::Timed;
use crate::trial::timed::measured::TimedMeasured;

const GIB: f64 = (1_u64 << 30) as f64;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What times are in.
    pub unit: Unit,
    /// Every transport, of every order.
    pub rows: Vec<Row>,
}

/// A transport.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Its rung; absent if it is none's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<Named<Rung>>,
    /// The order of a range.
    pub order: u8,
    /// Processor time of the vCPU's thread for a GiB given back, with what the guest does with its pages before and after.
    pub vcpu: Interval,
    /// Of that, the share in the guest by the kernel's account; absent where it keeps none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_guest: Option<f64>,
    /// Of the device's thread; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<Interval>,
    /// Both together.
    pub both: Interval,
    /// The same against the first transport of the plan, in each block.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against: Option<Interval>,
    /// Looks into the ring that found nothing, for each report.
    pub looks: f64,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        let (groups, how) = (archive.groups::<Timed>(), archive.sampling());
        let rungs: Vec<Rung> = archive.plan.choices.rungs().collect();
        let place = |rung: Option<Rung>| rungs.iter().position(|known| Some(*known) == rung);
        let first = |order| {
            groups.iter().find(|group| group.choices.order == order && place(group.choices.rung()) == Some(0))
        };
        let mut rows: Vec<Row> =
            groups.iter().filter_map(|group| row(group, first(group.choices.order), how)).collect();
        rows.sort_by_key(|row| (row.order, place(row.rung.map(|rung| rung.0))));
        for of_order in rows.chunk_by_mut(|a, b| a.order == b.order) {
            holm(of_order.iter_mut().filter_map(|row| row.against.as_mut()));
        }
        Self { unit: archive.unit(), rows }
    }

    fn tables(&self) -> Vec<Grid> {
        self.rows.chunk_by(|a, b| a.order == b.order).map(|rows| self.table(rows)).collect()
    }

    fn comparisons(&self) -> usize {
        let of_order = self.rows.chunk_by(|a, b| a.order == b.order);
        of_order.map(|rows| rows.iter().filter(|row| row.against.is_some()).count()).max().unwrap_or_default()
    }

    fn sentences(&self) -> Vec<String> {
        let held = self.rows.iter().filter_map(|row| Some((row, row.against.as_ref()?)));
        let sentences = held.map(|(row, against)| {
            let name = label(row.rung);
            let of = block(row.order);
            let both = number::amount(self.unit, &row.both);
            let of_device = row.device.as_ref().map_or_else(String::new, |device| {
                format!(", {} of it the device's thread", percent(ratio(device.middle, row.both.middle)))
            });
            let change = if against.shows_difference() {
                format!("{} against {}", number::plain(self.unit, against), self.first(row.order))
            } else {
                format!("which cannot be told from {}", self.first(row.order))
            };
            format!("{name}, blocks of {of}: {both} a GiB{of_device}; {change}.")
        });
        sentences.collect()
    }

    fn checks(&self) -> Vec<Check> {
        let faults: Vec<String> = self
            .rows
            .iter()
            .filter(|row| row.vcpu.low <= 0.0 || row.device.is_some_and(|device| device.middle <= 0.0))
            .map(|row| format!("{} has a thread without any", label(row.rung)))
            .collect();
        let what = "every thread that worked had processor time";
        let looked_at = format!("{} transports", self.rows.len());
        vec![none_of(what, Standing::Fails, &faults, self.rows.len() as u64, looked_at)]
    }

    fn how_to_read(&self) -> String {
        "- *vCPU*, *device*: processor time of that thread in the measured part (CLOCK_THREAD_CPUTIME_ID), over what was discarded, in GiB. It holds what the \
         guest does with its pages before and after, which every transport does alike: checking, touching and stamping them, and the faults that bring \
         them back. What is the transport's is the difference.\n\
         - *in the guest*: the kernel's guest_time of the vCPU's thread, in whole ticks of 10 ms; nothing where the kernel keeps none.\n\
         - *looks*: a thread that polls has a processor for itself, also while nothing is reported: with --idle-us the guest sleeps before each report.\n"
            .to_owned()
    }
}

impl Found {
    fn table(&self, rows: &[Row]) -> Grid {
        let unit = self.unit;
        let of = rows.first().map_or_else(String::new, |row| block(row.order));
        let title = format!("processor time for a GiB given back in blocks of {of}");
        Grid::of(
            title,
            rows,
            &[
                ("transport", &|row| label(row.rung)),
                ("vCPU [95 %]", &|row| number::amount(unit, &row.vcpu)),
                ("in the guest", &|row| row.in_guest.map_or_else(String::new, percent)),
                ("device [95 %]", &|row| {
                    row.device.map_or_else(String::new, |device| number::amount(unit, &device))
                }),
                ("both [95 %]", &|row| number::amount(unit, &row.both)),
                ("against the first", &|row| {
                    row.against.map_or_else(String::new, |against| number::difference(unit, &against))
                }),
                ("looks a report", &|row| {
                    if row.looks > 0.0 { number::number(row.looks) } else { String::new() }
                }),
                ("n", &|row| row.both.blocks.to_string()),
            ],
        )
    }

    /// What the others of an order are held against.
    pub(super) fn first(&self, order: u8) -> String {
        let first = self.rows.iter().find(|row| row.order == order && row.against.is_none());
        first.map_or_else(String::new, |row| label(row.rung))
    }
}

fn row(group: &Group<'_, Timed>, first: Option<&Group<'_, Timed>>, how: Sampling) -> Option<Row> {
    let a_gib = |measured: &TimedMeasured, ns: u64| {
        ratio(float(ns) * GIB, float(measured.counts.discarded_pages) * float(PAGE_SIZE))
    };
    let vcpu = |measured: &TimedMeasured| Some(a_gib(measured, measured.threads?.vcpus_ns));
    let device = |measured: &TimedMeasured| Some(a_gib(measured, measured.threads?.device_ns?));
    let both =
        |measured: &TimedMeasured| vcpu(measured).unwrap_or_default() + device(measured).unwrap_or_default();
    let times = || group.measured().filter_map(|measured| measured.threads);
    let in_guest = times().map(|times| times.guest_ns).collect::<Option<Vec<u64>>>();
    let in_guest = in_guest.filter(|times| !times.is_empty());
    let of_all = total(times().map(|times| times.vcpus_ns));
    let first = first.filter(|first| first.choices != group.choices);
    Some(Row {
        rung: group.choices.rung().map(Named),
        order: group.choices.order,
        vcpu: group.interval_if_known(how, vcpu)?,
        in_guest: in_guest.map(|times| ratio(float(total(times)), float(of_all))),
        device: group.interval_if_known(how, device),
        both: group.interval(how, both),
        against: first.and_then(|first| group.against(first, how, both, |ours, theirs| ours - theirs)),
        looks: ratio(
            float(total(group.measured().map(|measured| measured.looks))),
            float(total(group.measured().map(|measured| measured.reports))),
        ),
    })
}
