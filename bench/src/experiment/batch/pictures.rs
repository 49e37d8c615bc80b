//! From how many ranges on virtio is no dearer than a call: what a range costs over each, as it was measured and by the
//! model, and where lines cross.

use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment::told::caveats;
use crate::figure::chart::{Body, Chart, Join, Line, Measure, Plot, Point};
use crate::figure::quantity::Quantity;
use crate::figure::unit::Unit;
use crate::model::cost::{Blocks, Report};
use crate::model::even::{CALLS, Even, VIRTIO, largest};
use crate::model::profile::Profile;

use super::found::Priced;

/// The picture of blocks of a kind; nothing where the model does not know what a report of them costs.
pub(super) fn even(
    number: usize,
    unit: Unit,
    profile: &Profile,
    prices: &[Priced],
    evens: &[Even],
) -> Option<Chart> {
    let blocks = prices.first()?.report.blocks;
    let mut lines = Vec::new();
    for (look, rung) in CALLS.into_iter().chain([VIRTIO]).enumerate() {
        lines.extend(of_rung(look, rung, profile, blocks, prices)?);
    }
    let crossings = evens.iter().filter(|even| even.blocks == blocks);
    lines.extend(crossings.enumerate().filter_map(|(place, even)| crossing(place, profile, even)));
    let fewest = prices.iter().map(|cell| cell.a_range.blocks).min().unwrap_or_default();
    let said: Vec<String> = evens
        .iter()
        .filter(|even| even.blocks == blocks)
        .map(|even| format!("than {}: {}", even.against, even.show()))
        .collect();
    Some(Chart {
        id: format!("even-{number}"),
        title: format!("From how many ranges on virtio is no dearer: {}", blocks.title()),
        reading: format!(
            "Marks are measured, with 95 % intervals over blocks; dashed lines are the model's. Where the model's lines cross, the \
             bar is the band of that batch. Ranges from which on virtio is no dearer, {}.",
            said.join(", ")
        ),
        caveats: caveats(unit, fewest)
            .into_iter()
            .chain(["Batches are the model's, by the band of its difference; lines that touch are not told apart by eye.".to_owned()])
            .collect(),
        body: Body::Plot(Plot {
            x: Measure::doublings("ranges a report", Quantity::Count),
            y: Measure::powers("cost of a range, by powers of ten", Quantity::Cost(unit)),
            lines,
        }),
    })
}

fn report(rung: Rung, batch: u16, blocks: Blocks) -> Report {
    Report { rung: Named(rung), batch, blocks }
}

/// What a range costs by the model.
fn a_range(profile: &Profile, rung: Rung, batch: u16, blocks: Blocks) -> Option<f64> {
    let cost = profile.predict(&report(rung, batch, blocks))?.over(f64::from(batch));
    (cost.is_whole() && cost.value > 0.0).then_some(cost.value)
}

/// Measured and modelled; nothing if the model does not know it.
fn of_rung(
    look: usize,
    rung: Rung,
    profile: &Profile,
    blocks: Blocks,
    prices: &[Priced],
) -> Option<[Line; 2]> {
    let own = prices.iter().filter(|cell| cell.report.rung.0 == rung);
    let measured = own.clone().map(|cell| Point::of(f64::from(cell.report.batch), &cell.a_range)).collect();
    let most = own.map(|cell| cell.report.batch).max()?;
    // By halves of a doubling, no further than was measured.
    let batches = (0..=18).map(|half| 2_f64.powf(f64::from(half) / 2.0).round());
    let batches = batches.filter(|batch| *batch <= f64::from(most));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 512")]
    let modelled: Option<Vec<Point>> =
        batches.map(|batch| Some(Point::at(batch, a_range(profile, rung, batch as u16, blocks)?))).collect();
    let line = |name: String, is_second, join, points| Line { name, look, is_second, join, points };
    Some([
        line(Named(rung).to_string(), false, Join::Apart, measured),
        line(format!("{}, model", Named(rung)), true, Join::Straight, modelled?),
    ])
}

/// The batch from which on virtio is no dearer, and its band; nothing if it is dearer up to the largest.
fn crossing(place: usize, profile: &Profile, even: &Even) -> Option<Line> {
    let from = even.from?;
    let y = a_range(profile, VIRTIO, from, even.blocks)?;
    let end = |batch: Option<u16>| f64::from(batch.unwrap_or_else(largest));
    // Beside the end of the bar, where the bar is not.
    let last = Point { label: even.show(), ..Point::at(end(even.most), y) };
    let points = [Point::at(end(even.least), y), Point::at(f64::from(from), y), last];
    Some(Line {
        name: format!("no dearer than {}", even.against),
        look: 6 + place,
        is_second: false,
        join: Join::Straight,
        points: points.to_vec(),
    })
}
