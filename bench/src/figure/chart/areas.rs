//! A map over two axes by powers of ten: areas by colour and letter, and numbered marks for who lies where.

use super::model::Measure;
use super::scale::{Ruler, width};
use super::sheet::{EDGE, LINE, Sheet, wrapped};
use crate::figure::map::{Axis, Map, Place};
use crate::figure::markup::Element;
use crate::figure::quantity::Quantity;
use crate::figure::unit::{Unit, float};

/// What areas are called, on the map and in the legend.
pub(super) const LETTERS: [&str; 5] = ["A", "B", "C", "D", "E"];
/// Radius of a mark, and how far apart middles are.
const MARK: f64 = 8.0;
const APART: f64 = 19.0;

/// A place on the sheet.
type Spot = (f64, f64);

/// Draws it below what is on the sheet.
pub(super) fn draw(sheet: &mut Sheet, map: &Map) {
    legend(sheet, map);
    let (along, up) = (measure(&map.x), measure(&map.y));
    for line in wrapped(&up.label, sheet.size.width() - 2.0 * EDGE) {
        sheet.text("soft", "start", EDGE, sheet.y + 12.0, &line);
        sheet.y += LINE;
    }
    let (top, bottom) = (sheet.y + 8.0, sheet.y + 8.0 + 1.2 * sheet.size.height());
    let ruler = |axis: &Measure, ends: [f64; 2], most| Ruler::over(axis, ends.into_iter(), most);
    let y = ruler(&up, map.y.ends(), 8).between(bottom, top);
    let gutter = y.marks().iter().map(|(_, text)| width(text)).fold(0.0, f64::max) + EDGE + 6.0;
    let x = ruler(&along, map.x.ends(), sheet.size.marks());
    let x = x.between(gutter, sheet.size.width() - 24.0);
    for (place, text) in y.marks() {
        let path = format!("M{gutter:.1} {place:.1}H{:.1}", sheet.size.width() - 24.0);
        sheet.draw(Element::new("path").with("class", "grid").with("d", path));
        sheet.text("soft", "end", gutter - 6.0, place + 4.0, &text);
    }
    let frame = [gutter, top, sheet.size.width() - 24.0, bottom];
    let runs = fill(sheet, map, frame);
    let spots = marks(sheet, map, (&x, &y), frame);
    letters(sheet, &runs, &spots);
    sheet.y = bottom;
    sheet.below(&x, top, &along.label);
    list(sheet, map);
}

/// An axis of the map as one of a chart.
pub(super) fn measure(axis: &Axis) -> Measure {
    Measure::powers(axis.title.clone(), Quantity::Cost(Unit::Nanoseconds))
}

fn legend(sheet: &mut Sheet, map: &Map) {
    let entries = map.kinds.iter().enumerate().map(|(kind, name)| {
        let sample = move |x: f64, y: f64| {
            let block = area(kind, [x, y - 8.0, x + 20.0, y + 7.0]);
            let letter = Element::of("text", LETTERS[kind % LETTERS.len()]).with("class", "ink strong");
            vec![block, letter.with("text-anchor", "middle").at("x", x + 10.0).at("y", y + 4.0)]
        };
        (name.clone(), Box::new(sample) as Box<dyn Fn(f64, f64) -> Vec<Element>>)
    });
    sheet.legend(entries.collect(), 20.0);
}

fn area(kind: usize, [left, top, right, bottom]: [f64; 4]) -> Element {
    let rectangle = Element::new("rect").with("class", format!("pale f{kind}"));
    rectangle.at("x", left).at("y", top).at("width", right - left).at("height", bottom - top)
}

/// The areas, as runs of like cells; for every kind the middles of its runs, the longest first.
fn fill(sheet: &mut Sheet, map: &Map, [left, top, right, bottom]: [f64; 4]) -> Vec<Vec<Spot>> {
    let columns = map.columns.max(1);
    let rows = map.cells.len().div_ceil(columns).max(1);
    let at = |cell: usize, cells: usize, from: f64, to: f64| {
        from + (to - from) * float(cell as u64) / float(cells as u64)
    };
    let mut runs: Vec<Vec<(usize, Spot)>> = vec![Vec::new(); map.kinds.len()];
    for (row, cells) in map.cells.chunks(columns).enumerate() {
        let (high, low) = (at(row + 1, rows, bottom, top), at(row, rows, bottom, top));
        let mut start = 0;
        for run in cells.chunk_by(|one, other| one == other) {
            let (from, to) = (at(start, columns, left, right), at(start + run.len(), columns, left, right));
            start += run.len();
            let Some(kind) = run[0].filter(|kind| *kind < map.kinds.len()) else { continue };
            sheet.draw(area(kind, [from, high, to, low]));
            runs[kind].push((run.len(), (f64::midpoint(from, to), f64::midpoint(high, low))));
        }
    }
    let longest_first = |mut runs: Vec<(usize, Spot)>| {
        let longest = runs.iter().map(|(length, _)| *length).max().unwrap_or_default();
        // Of those that are nearly as long the middle one, and then the others.
        runs.retain(|(length, _)| 10 * length >= 8 * longest);
        let middle = runs.len() / 2;
        runs.rotate_left(middle);
        runs.into_iter().map(|(_, place)| place).collect()
    };
    runs.into_iter().map(longest_first).collect()
}

/// Where somebody lies; at an edge if one of both is not known, and nowhere if neither is.
fn spot(place: &Place, (x, y): (&Ruler, &Ruler), [left, _, _, bottom]: [f64; 4]) -> Option<Spot> {
    place
        .is_on()
        .then(|| (place.x.map_or(left, |value| x.end(value)), place.y.map_or(bottom, |value| y.end(value))))
}

/// Numbered marks, moved beside each other where they would lie upon one another; where they are.
fn marks(sheet: &mut Sheet, map: &Map, rulers: (&Ruler, &Ruler), frame: [f64; 4]) -> Vec<Spot> {
    let mut taken: Vec<Spot> = Vec::new();
    let placed = map.places.iter().filter_map(|place| Some((place, spot(place, rulers, frame)?)));
    for (number, (place, spot)) in placed.enumerate() {
        let spot = free(spot, &taken, place.x.is_none(), frame);
        taken.push(spot);
        let mark = mark(spot, number + 1, place.is_whole());
        sheet.draw(mark.holding(Element::of("title", place.said())));
    }
    taken
}

fn mark((x, y): Spot, number: usize, is_whole: bool) -> Element {
    let (disc, ink) = if is_whole { ("f7", "knocked") } else { ("ground", "ink") };
    let circle =
        Element::new("circle").with("class", format!("mark {disc}")).at("cx", x).at("cy", y).at("r", MARK);
    let text = Element::of("text", number.to_string()).with("class", format!("small {ink}"));
    let text = text.with("text-anchor", "middle").at("x", x).at("y", y + 3.6);
    Element::new("g").holding(circle).holding(text)
}

/// A place near `spot`, within the frame, where no other mark is: upwards along the left edge, else to the right.
fn free(spot: Spot, taken: &[Spot], is_low: bool, [left, top, right, bottom]: [f64; 4]) -> Spot {
    let is_free =
        |place: &Spot| taken.iter().all(|other| (other.0 - place.0).hypot(other.1 - place.1) >= APART);
    let step = |times: u32| {
        let by = APART * f64::from(times);
        let moved =
            if is_low { [(0.0, -by), (by, 0.0), (-by, 0.0)] } else { [(by, 0.0), (0.0, -by), (-by, 0.0)] };
        moved.map(|(dx, dy)| (spot.0 + dx, spot.1 + dy))
    };
    let is_inside = |place: &Spot| (left..=right).contains(&place.0) && (top..=bottom).contains(&place.1);
    let near = (0..64).flat_map(step).find(|place| is_inside(place) && is_free(place));
    near.unwrap_or(spot)
}

/// The letter of each area in the middle of it, where no mark is.
fn letters(sheet: &mut Sheet, runs: &[Vec<Spot>], spots: &[Spot]) {
    for (kind, middles) in runs.iter().enumerate() {
        let is_free = |middle: &&Spot| {
            spots.iter().all(|spot| (spot.0 - middle.0).hypot(spot.1 - middle.1) > 2.0 * APART)
        };
        if let Some((x, y)) = middles.iter().find(is_free) {
            sheet.text("ink large", "middle", *x, y + 7.0, LETTERS[kind % LETTERS.len()]);
        }
    }
}

/// Who the marks are.
fn list(sheet: &mut Sheet, map: &Map) {
    let (on, off): (Vec<&Place>, Vec<&Place>) = map.places.iter().partition(|place| place.is_on());
    for (number, place) in on.into_iter().enumerate() {
        let lines = wrapped(&place.said(), sheet.size.width() - 2.0 * EDGE - 24.0);
        sheet.draw(mark((EDGE + MARK, sheet.y + 8.0), number + 1, place.is_whole()));
        for line in lines {
            sheet.text("ink", "start", EDGE + 24.0, sheet.y + 12.0, &line);
            sheet.y += LINE;
        }
        sheet.y += 2.0;
    }
    if !off.is_empty() {
        let names: Vec<String> = off.into_iter().map(Place::said).collect();
        sheet.paragraph("soft", &format!("On neither axis: {}.", names.join("; ")));
    }
    sheet.y += EDGE;
}
