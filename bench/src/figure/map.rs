//! A map over two costs, both on logarithmic axes: what is the case at every place, and who lies where. As SVG and as CSV.
//!
//! Colours are light ones of Okabe and Ito's, which the colour-blind tell apart, and every area bears its number besides.

use std::fmt::Write;

use super::unit::{Unit, float};

/// A map.
pub struct Map {
    /// What it shows.
    pub title: String,
    /// By what.
    pub subtitle: String,
    /// From left to right.
    pub x: Axis,
    /// From below to above.
    pub y: Axis,
    /// What can be the case.
    pub kinds: Vec<String>,
    /// Cells in a row.
    pub columns: usize,
    /// What is the case in each cell, from the left below, row by row; `None` where nothing can be said.
    pub cells: Vec<Option<usize>>,
    /// Who lies where.
    pub places: Vec<Place>,
}

/// A logarithmic axis of times, whole decades long.
pub struct Axis {
    /// What it is.
    pub title: String,
    /// Its ends as powers of ten of nanoseconds.
    pub decades: [i32; 2],
}

/// Somebody on the map.
pub struct Place {
    /// Who.
    pub name: String,
    /// Where, in nanoseconds; absent if that is not known.
    pub x: Option<f64>,
    /// Likewise.
    pub y: Option<f64>,
    /// What else is to be said, such as why it is on no axis.
    pub remark: String,
}

impl Axis {
    /// An axis that holds these ends and values.
    pub fn over(title: &str, ends: [f64; 2], values: impl Iterator<Item = f64>) -> Self {
        let [low, high] = values.fold(ends, |[low, high], value| [low.min(value), high.max(value)]);
        Self { title: title.to_owned(), decades: [decade(low.log10().floor()), decade(high.log10().ceil())] }
    }

    /// The middle of a cell, in nanoseconds.
    #[must_use]
    pub fn middle(&self, cell: usize, cells: usize) -> f64 {
        let share = (float(cell as u64) + 0.5) / float(cells as u64);
        10_f64.powf(f64::from(self.decades[0]) + share * self.length())
    }

    fn length(&self) -> f64 {
        f64::from(self.decades[1] - self.decades[0]).max(1.0)
    }

    /// How far along it a value is, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.decades[0])) / self.length()
    }
}

fn decade(power: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "held within what times can be")]
    {
        power.clamp(-3.0, 12.0) as i32
    }
}

const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 640.0;
const LEFT: f64 = 86.0;
const TOP: f64 = 66.0;
const SIDE: [f64; 2] = [560.0, 500.0];
const KEY: f64 = LEFT + SIDE[0] + 40.0;
const FILLS: [&str; 4] = ["#f3c98b", "#a9d3f0", "#9fdcc8", "#e9e4ef"];

/// The map as a figure that stands for itself.
#[must_use]
pub fn svg(map: &Map) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\" aria-labelledby=\"t d\">\n\
         <title id=\"t\">{}</title>\n<desc id=\"d\">{}</desc>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        escaped(&map.title),
        escaped(&map.subtitle)
    );
    text(&mut svg, (LEFT, 26.0), "font-size=\"17\" font-weight=\"600\"", &map.title);
    text(&mut svg, (LEFT, 47.0), "fill=\"#444444\"", &map.subtitle);
    areas(&mut svg, map);
    axes(&mut svg, map);
    key(&mut svg, map);
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, (x, y): (f64, f64), how: &str, what: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {how}>{}</text>", escaped(what));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn at(map: &Map, x: f64, y: f64) -> (f64, f64) {
    (LEFT + map.x.share(x) * SIDE[0], TOP + (1.0 - map.y.share(y)) * SIDE[1])
}

/// Runs of like cells, and in the middle of each kind's longest its number.
fn areas(svg: &mut String, map: &Map) {
    let rows = map.cells.len() / map.columns.max(1);
    let [width, height] = [SIDE[0] / float(map.columns as u64), SIDE[1] / float(rows as u64)];
    let mut runs: Vec<Vec<(usize, (f64, f64))>> = vec![Vec::new(); map.kinds.len()];
    for (row, cells) in map.cells.chunks(map.columns.max(1)).enumerate() {
        let mut start = 0;
        for run in cells.chunk_by(|a, b| a == b) {
            let (x, y) = (LEFT + float(start as u64) * width, TOP + SIDE[1] - float(row as u64 + 1) * height);
            start += run.len();
            let Some(kind) = run[0].filter(|kind| *kind < map.kinds.len()) else { continue };
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                float(run.len() as u64) * width + 0.4,
                height + 0.4,
                FILLS[kind % FILLS.len()]
            );
            let middle = (x + float(run.len() as u64) * width / 2.0, y + height / 2.0);
            runs[kind].push((run.len(), middle));
        }
    }
    for (kind, runs) in runs.iter().enumerate() {
        // In the middle of those that are nearly the longest.
        let longest = runs.iter().map(|(length, _)| *length).max().unwrap_or_default();
        let wide: Vec<(f64, f64)> =
            runs.iter().filter(|(length, _)| 10 * length >= 9 * longest).map(|(_, middle)| *middle).collect();
        if let Some(middle) = wide.get(wide.len() / 2) {
            let how = "text-anchor=\"middle\" font-weight=\"700\" font-size=\"20\" fill=\"#333333\"";
            text(svg, (middle.0, middle.1 + 7.0), how, LETTERS[kind % 4]);
        }
    }
}

const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

/// Frame, a line and a label a decade, titles.
fn axes(svg: &mut String, map: &Map) {
    let (bottom, right) = (TOP + SIDE[1], LEFT + SIDE[0]);
    for power in map.x.decades[0]..=map.x.decades[1] {
        let (x, _) = at(map, 10_f64.powi(power), 1.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"#00000033\"/>",
            bottom + 5.0
        );
        text(svg, (x, bottom + 21.0), "text-anchor=\"middle\"", &round(power));
    }
    for power in map.y.decades[0]..=map.y.decades[1] {
        let (_, y) = at(map, 1.0, 10_f64.powi(power));
        let _ = writeln!(
            svg,
            "<line x1=\"{:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#00000033\"/>",
            LEFT - 5.0
        );
        text(svg, (LEFT - 9.0, y + 4.5), "text-anchor=\"end\"", &round(power));
    }
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#333333\"/>",
        SIDE[0], SIDE[1]
    );
    text(svg, (LEFT + SIDE[0] / 2.0, bottom + 46.0), "text-anchor=\"middle\"", &map.x.title);
    let middle = TOP + SIDE[1] / 2.0;
    let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 20 {middle})\"");
    text(svg, (20.0, middle), &turned, &map.y.title);
}

/// A power of ten of nanoseconds without decimals.
fn round(power: i32) -> String {
    let (size, unit) = match power {
        ..3 => (0, "ns"),
        3..6 => (3, "µs"),
        6..9 => (6, "ms"),
        _ => (9, "s"),
    };
    format!("{} {unit}", 10_f64.powi(power - size))
}

/// What colours are, and who the numbers are. Who is on one axis only lies at its edge; who is on none is said to be.
fn key(svg: &mut String, map: &Map) {
    let mut y = TOP + 12.0;
    for (kind, name) in map.kinds.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<rect x=\"{KEY}\" y=\"{:.1}\" width=\"22\" height=\"16\" fill=\"{}\" stroke=\"#555555\"/>",
            y - 12.0,
            FILLS[kind % 4]
        );
        text(svg, (KEY + 11.0, y + 0.5), "text-anchor=\"middle\" font-weight=\"700\"", LETTERS[kind % 4]);
        text(svg, (KEY + 30.0, y), "", name);
        y += 23.0;
    }
    y += 10.0;
    text(svg, (KEY, y), "font-weight=\"600\"", "hosts (an edge: the other cost is not known)");
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mut number = 0;
    for place in &map.places {
        let (x_known, y_known) = (place.x.is_some(), place.y.is_some());
        if !x_known && !y_known {
            continue;
        }
        number += 1;
        y += 20.0;
        let edge = |axis: &Axis| 10_f64.powi(axis.decades[0]);
        let spot = at(map, place.x.unwrap_or(edge(&map.x)), place.y.unwrap_or(edge(&map.y)));
        let spot = free(spot, &taken, x_known && !y_known);
        taken.push(spot);
        mark(svg, spot, number, x_known && y_known);
        mark(svg, (KEY + 9.0, y - 4.5), number, x_known && y_known);
        let show =
            |cost: Option<f64>| cost.map_or_else(|| "?".to_owned(), |cost| Unit::Nanoseconds.show(cost));
        let remark = if place.remark.is_empty() { String::new() } else { format!(", {}", place.remark) };
        text(
            svg,
            (KEY + 24.0, y),
            "",
            &format!("{}: {} / {}{remark}", place.name, show(place.x), show(place.y)),
        );
    }
    let off = map.places.iter().filter(|place| place.x.is_none() && place.y.is_none());
    let off: Vec<String> = off.map(|place| format!("{} {}", place.name, place.remark)).collect();
    if !off.is_empty() {
        text(svg, (KEY, y + 30.0), "fill=\"#444444\"", "neither cost is known, as a time, of");
        for (line, name) in off.iter().enumerate() {
            text(svg, (KEY, y + 48.0 + 17.0 * float(line as u64)), "fill=\"#444444\"", name);
        }
    }
}

/// A place near `spot` where no other mark is.
fn free(spot: (f64, f64), taken: &[(f64, f64)], along_x: bool) -> (f64, f64) {
    let mut spot = spot;
    let near = |a: &(f64, f64), b: (f64, f64)| (a.0 - b.0).hypot(a.1 - b.1) < 19.0;
    while taken.iter().any(|other| near(other, spot)) {
        if along_x { spot.1 -= 20.0 } else { spot.0 += 20.0 }
    }
    spot
}

fn mark(svg: &mut String, (x, y): (f64, f64), number: usize, is_whole: bool) {
    let (fill, ink) = if is_whole { ("#222222", "#ffffff") } else { ("#ffffff", "#222222") };
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\" fill=\"{fill}\" stroke=\"#222222\" stroke-width=\"1.3\"/>"
    );
    let how = format!("text-anchor=\"middle\" font-size=\"11\" font-weight=\"600\" fill=\"{ink}\"");
    text(svg, (x, y + 4.0), &how, &number.to_string());
}

/// The map as rows: what is the case at every cell, then who lies where.
#[must_use]
pub fn csv(map: &Map) -> String {
    let mut csv = String::from("x_ns,y_ns,what\n");
    let rows = map.cells.len() / map.columns.max(1);
    for (row, cells) in map.cells.chunks(map.columns.max(1)).enumerate() {
        for (column, kind) in cells.iter().enumerate() {
            let what = kind.and_then(|kind| map.kinds.get(kind)).map_or("cannot be said", String::as_str);
            let (x, y) = (map.x.middle(column, map.columns), map.y.middle(row, rows));
            let _ = writeln!(csv, "{x:.1},{y:.1},\"{what}\"");
        }
    }
    for place in &map.places {
        let show = |cost: Option<f64>| cost.map_or_else(String::new, |cost| format!("{cost:.1}"));
        let remark = if place.remark.is_empty() { String::new() } else { format!(", {}", place.remark) };
        let name = place.name.replace('"', "'");
        let _ = writeln!(csv, "{},{},\"host: {name}{remark}\"", show(place.x), show(place.y));
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> Map {
        let axis = |values: &[f64]| Axis::over("a & b", [100.0, 1000.0], values.iter().copied());
        let place = |name: &str, x, y| Place { name: name.to_owned(), x, y, remark: String::new() };
        Map {
            title: "t <1>".to_owned(),
            subtitle: "s".to_owned(),
            x: axis(&[25_000.0]),
            y: axis(&[]),
            kinds: vec!["one".to_owned(), "two".to_owned()],
            columns: 4,
            cells: [vec![Some(0); 8], vec![Some(1); 7], vec![None]].concat(),
            places: vec![
                place("here", Some(300.0), Some(200.0)),
                place("edge", Some(300.0), None),
                place("off", None, None),
            ],
        }
    }

    #[test]
    fn axes_are_whole_decades_with_round_labels() {
        let map = map();
        assert_eq!(map.x.decades, [2, 5]);
        assert_eq!([2, 3, 4, 5, 6, 9].map(round), ["100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "1 s"]);
        assert!((map.x.middle(0, 3) - 10_f64.powf(2.5)).abs() < 1e-9);
        let svg = svg(&map);
        for text in [
            "t &lt;1&gt;",
            "a &amp; b",
            ">100 µs<",
            "1 µs",
            "here: 300 ns / 200 ns",
            "edge: 300 ns / ?",
            "neither cost is known",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn every_cell_and_host_is_a_row() {
        let csv = csv(&map());
        assert_eq!(csv.lines().count(), 1 + 16 + 3);
        assert!(csv.contains("cannot be said") && csv.ends_with(",,\"host: off\"\n"), "{csv}");
    }

    #[test]
    fn marks_do_not_lie_on_each_other() {
        let taken = [(10.0, 10.0), (30.0, 10.0)];
        assert_eq!(free((10.0, 10.0), &taken, false), (50.0, 10.0));
        assert_eq!(free((10.0, 10.0), &taken, true), (10.0, -10.0));
    }
}
