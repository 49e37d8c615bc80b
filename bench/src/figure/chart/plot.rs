//! Lines, steps and points over two axes.

use super::model::{Join, Line, Plot, Point};
use super::scale::{Ruler, width};
use super::sheet::{EDGE, LINE, Sheet, wrapped};
use super::style;
use crate::figure::markup::{Element, tenth};

/// The most points of a line that can be pointed at.
const TOUCHED: usize = 40;
/// The most points of a line that all have their marker.
const MARKED: usize = 30;
/// Markers of a line that has more points than that.
const A_FEW: usize = 6;

/// Draws it below what is on the sheet.
pub(super) fn draw(sheet: &mut Sheet, plot: &Plot) {
    legend(sheet, plot);
    for line in wrapped(&plot.y.label, sheet.size.width() - 2.0 * EDGE) {
        sheet.text("soft", "start", EDGE, sheet.y + 12.0, &line);
        sheet.y += LINE;
    }
    let points = || plot.lines.iter().flat_map(|line| &line.points).filter(|point| is_drawn(plot, point));
    let ys = points().flat_map(|point| {
        let (low, high) = point.ends.unwrap_or((point.y, point.y));
        [point.y, low, high]
    });
    let top = sheet.y + 8.0;
    let bottom = top + sheet.size.height();
    let y = Ruler::over(&plot.y, ys, 6).between(bottom, top);
    let gutter = y.marks().iter().map(|(_, text)| width(text)).fold(0.0, f64::max) + EDGE + 6.0;
    let x = Ruler::over(&plot.x, points().map(|point| point.x), sheet.size.marks());
    let x = x.between(gutter, sheet.size.width() - 24.0);
    for (place, text) in y.marks() {
        let path = format!("M{gutter:.1} {place:.1}H{:.1}", sheet.size.width() - 24.0);
        sheet.draw(Element::new("path").with("class", "grid").with("d", path));
        sheet.text("soft", "end", gutter - 6.0, place + 4.0, &text);
    }
    let mut taken = Vec::new();
    for line in &plot.lines {
        let group = of_line(plot, line, &x, &y);
        sheet.draw(group);
        labels(sheet, plot, line, (&x, &y), &mut taken);
    }
    sheet.y = bottom;
    sheet.below(&x, top, &plot.x.label);
}

/// Whether a point has a place on both axes.
pub(super) fn is_drawn(plot: &Plot, point: &Point) -> bool {
    plot.x.has(point.x) && plot.y.has(point.y)
}

fn legend(sheet: &mut Sheet, plot: &Plot) {
    let named = plot.lines.iter().filter(|line| !line.name.is_empty());
    let entries = named.map(|line| {
        let sample = move |x: f64, y: f64| {
            let path = format!("M{} {}h26", tenth(x), tenth(y));
            let stroke =
                Element::new("path").with("class", style::line(line.look, line.is_second)).with("d", path);
            let marker = style::marker(line.look, line.is_second, x + 13.0, y);
            if line.join == Join::Apart { vec![marker] } else { vec![stroke, marker] }
        };
        (line.name.clone(), Box::new(sample) as Box<dyn Fn(f64, f64) -> Vec<Element>>)
    });
    let entries = entries.collect();
    sheet.legend(entries, 26.0);
}

fn of_line(plot: &Plot, line: &Line, x: &Ruler, y: &Ruler) -> Element {
    let drawn: Vec<&Point> = line.points.iter().filter(|point| is_drawn(plot, point)).collect();
    let mut group = Element::new("g");
    let class = style::line(line.look, line.is_second);
    if line.join != Join::Apart && !drawn.is_empty() {
        let path = path(line.join, drawn.iter().map(|point| (x.end(point.x), y.end(point.y))));
        group.push(Element::new("path").with("class", class).with("d", path));
    }
    let every = drawn.len().div_ceil(TOUCHED).max(1);
    let marked = if drawn.len() <= MARKED { 1 } else { drawn.len().div_ceil(A_FEW) };
    for (index, point) in drawn.iter().enumerate() {
        if index % every != 0 && index + 1 != drawn.len() && index % marked != 0 {
            continue;
        }
        let (px, py) = (x.end(point.x), y.end(point.y));
        let mut mark = Element::new("g").holding(Element::of("title", said(plot, line, point)));
        if let Some((low, high)) = point.ends {
            let path = format!("M{} {}V{}", tenth(px), tenth(y.end(low)), tenth(y.end(high)));
            mark.push(
                Element::new("path")
                    .with("class", format!("end s{}", line.look % style::COLOURS.len()))
                    .with("d", path),
            );
        }
        if index % marked == 0 || line.join == Join::Apart {
            mark.push(style::marker(line.look, line.is_second, px, py));
        }
        mark.push(Element::new("circle").with("class", "touch").at("cx", px).at("cy", py).at("r", 7.0));
        group.push(mark);
    }
    group
}

/// A point in words.
fn said(plot: &Plot, line: &Line, point: &Point) -> String {
    let names = [line.name.as_str(), point.label.as_str()];
    let names = names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
    let ends = point
        .ends
        .map_or_else(String::new, |(low, high)| format!(" [{}, {}]", plot.y.show(low), plot.y.show(high)));
    format!("{names}: {} at {}{ends}", plot.y.show(point.y), plot.x.show(point.x))
}

/// Through all points, leaving out such as would be drawn upon the one before.
fn path(join: Join, points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    let mut last: Option<(f64, f64)> = None;
    let mut skipped = None;
    for (x, y) in points {
        let near = last.is_some_and(|(px, py)| (x - px).abs() < 0.5 && (y - py).abs() < 0.5);
        if near {
            skipped = Some((x, y));
            continue;
        }
        skipped = None;
        text.push_str(&match (last, join) {
            (None, _) => format!("M{} {}", tenth(x), tenth(y)),
            (_, Join::Steps) => format!("H{}V{}", tenth(x), tenth(y)),
            _ => format!("L{} {}", tenth(x), tenth(y)),
        });
        last = Some((x, y));
    }
    if let Some((x, y)) = skipped {
        text.push_str(&format!("L{} {}", tenth(x), tenth(y)));
    }
    text
}

/// A box on the sheet: left, top, right, bottom.
type Place = [f64; 4];

/// What stands beside points: to the right, to the left, above or below, where nothing else does. One that has no such
/// place is only seen under the pointer, and in the table.
fn labels(sheet: &mut Sheet, plot: &Plot, line: &Line, (x, y): (&Ruler, &Ruler), taken: &mut Vec<Place>) {
    for point in line.points.iter().filter(|point| !point.label.is_empty() && is_drawn(plot, point)) {
        let (px, py, wide) = (x.end(point.x), y.end(point.y), width(&point.label));
        taken.push([px - 4.0, py - 4.0, px + 4.0, py + 4.0]);
        let places = [
            ("start", px + 8.0, py + 4.0, px + 8.0),
            ("end", px - 8.0, py + 4.0, px - 8.0 - wide),
            ("middle", px, py - 9.0, px - wide / 2.0),
            ("middle", px, py + 18.0, px - wide / 2.0),
        ];
        let free = places.into_iter().find(|(_, _, base, left)| {
            let place = [*left, base - 11.0, left + wide, base + 3.0];
            let is_inside = place[0] > 0.0 && place[2] < sheet.size.width();
            is_inside && taken.iter().all(|other| !overlap(&place, other))
        });
        if let Some((anchor, at, base, left)) = free {
            taken.push([left, base - 11.0, left + wide, base + 3.0]);
            sheet.text("ink", anchor, at, base, &point.label);
        }
    }
}

fn overlap(one: &Place, other: &Place) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}
