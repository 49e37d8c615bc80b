//! Curves over time: as a CSV file, as an SVG picture, and in characters.

use std::fmt::Write as _;

use crate::figure::number::mib;
use crate::figure::unit::{Unit, float, ratio};

/// What the table of points is called.
pub const CSV: &str = "curve.csv";
/// What the picture is called.
pub const SVG: &str = "curve.svg";

/// A curve: bytes over nanoseconds.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    /// Whose it is.
    pub name: String,
    /// What it shows.
    pub what: &'static str,
    /// Nanoseconds and bytes, in order.
    pub points: Vec<(u64, u64)>,
}

impl Series {
    /// What is resident on the host and what is free in the guest, over nanoseconds.
    #[must_use]
    pub fn of_memory(name: &str, curve: &[[u64; 3]]) -> [Self; 2] {
        [("resident", 1), ("free", 2)].map(|(what, at)| Self {
            name: name.to_owned(),
            what,
            points: curve.iter().map(|point| (point[0], point[at])).collect(),
        })
    }
}

/// A line a point. No field holds a comma or a quote, so none is quoted.
#[must_use]
pub fn csv(series: &[Series]) -> String {
    let mut text = "name,what,ns,bytes\n".to_owned();
    for Series { name, what, points } in series {
        for (at, bytes) in points {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name},{what},{at},{bytes}");
        }
    }
    text
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 160.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 50.0;
/// Told apart by the most common kinds of colour blindness (Okabe and Ito).
pub(super) const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// How far the axes reach.
struct Extent {
    ns: f64,
    bytes: f64,
}

impl Extent {
    fn of(series: &[Series]) -> Self {
        let points = || series.iter().flat_map(|series| &series.points);
        let most =
            |value: fn(&(u64, u64)) -> u64| float(points().map(value).max().unwrap_or_default().max(1));
        Self { ns: most(|point| point.0), bytes: most(|point| point.1) }
    }

    fn x(&self, ns: f64) -> f64 {
        LEFT + ratio(ns, self.ns) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, bytes: f64) -> f64 {
        HEIGHT - BOTTOM - ratio(bytes, self.bytes) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The curves as a picture: those of a name in one colour, whatever is not the first thing shown of it dashed.
#[must_use]
pub fn svg(title: &str, series: &[Series]) -> String {
    let extent = Extent::of(series);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{}</text>\n",
        escaped(title)
    );
    axes(&mut text, &extent);
    let mut names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    names.dedup();
    for one in series {
        let index = names.iter().position(|name| *name == one.name).unwrap_or_default();
        let first = series.iter().find(|other| other.name == one.name);
        let dashed = first.is_some_and(|first| first.what != one.what);
        curve(&mut text, &extent, one, COLOURS[index % COLOURS.len()], dashed);
    }
    for (index, name) in names.iter().enumerate() {
        let (y, colour) = (TOP + 18.0 * float(index as u64) + 10.0, COLOURS[index % COLOURS.len()]);
        let x = WIDTH - RIGHT + 12.0;
        let _ = writeln!(text, "<text x=\"{x}\" y=\"{y:.0}\" fill=\"{colour}\">{}</text>", escaped(name));
    }
    text + "</svg>\n"
}

fn axes(text: &mut String, extent: &Extent) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let _ = writeln!(
        text,
        "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"black\" stroke-width=\"1\"/>"
    );
    for tick in 0..=4_u8 {
        let part = f64::from(tick) / 4.0;
        let (x, y) = (extent.x(extent.ns * part), extent.y(extent.bytes * part));
        let (time, size) = (Unit::Nanoseconds.show(extent.ns * part), mib(extent.bytes * part));
        let below = bottom + 18.0;
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{time}</text>");
        let (beside, middle) = (LEFT - 8.0, y + 4.0);
        let _ = writeln!(text, "<text x=\"{beside}\" y=\"{middle:.1}\" text-anchor=\"end\">{size}</text>");
        let _ = writeln!(text, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\" stroke-width=\"0.5\"/>");
    }
    let foot = HEIGHT - 8.0;
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"{foot}\">time since the measured part began; solid: resident on the host, dashed: free in the guest</text>"
    );
}

fn curve(text: &mut String, extent: &Extent, series: &Series, colour: &str, dashed: bool) {
    let at = |(ns, bytes): &(u64, u64)| format!("{:.1},{:.1}", extent.x(float(*ns)), extent.y(float(*bytes)));
    let points: Vec<String> = series.points.iter().map(at).collect();
    let dashes = if dashed { " stroke-dasharray=\"4 3\" opacity=\"0.5\"" } else { "" };
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dashes}/>",
        points.join(" ")
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Columns of a curve in characters.
const COLUMNS: u64 = 76;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The curves in characters, a line each, all of them to the same scale.
#[must_use]
pub fn lines(series: &[Series]) -> Vec<String> {
    let (width, extent) =
        (series.iter().map(|one| one.name.len()).max().unwrap_or_default(), Extent::of(series));
    let filled: Vec<&Series> = series.iter().filter(|one| !one.points.is_empty()).collect();
    let mut lines: Vec<String> = filled
        .iter()
        .map(|one| {
            let label = format!("{:<width$}  {:<8}", one.name, one.what);
            format!("{label} {}", one.characters(&extent))
        })
        .collect();
    if !lines.is_empty() {
        let (most, last) = (mib(extent.bytes), Unit::Nanoseconds.show(extent.ns));
        lines.push(format!("full height {most}, full width {last}"));
    }
    lines
}

impl Series {
    /// The last value in each of [`COLUMNS`] spans of time, by height.
    fn characters(&self, extent: &Extent) -> String {
        let mut points = self.points.iter().peekable();
        let mut value = 0;
        (1..=COLUMNS)
            .map(|column| {
                let until = extent.ns * float(column) / float(COLUMNS);
                while let Some((_, bytes)) = points.next_if(|(at, _)| float(*at) <= until) {
                    value = *bytes;
                }
                let height = (ratio(float(value), extent.bytes) * 8.0).ceil().clamp(0.0, 8.0);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
                {
                    BLOCKS[height as usize]
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Vec<Series> {
        let up = (0..=100).map(|at| (at * 1_000_000, at << 20)).collect();
        let down = (0..=100).map(|at| (at * 1_000_000, (100 - at) << 20)).collect();
        vec![
            Series { name: "virtio".into(), what: "resident", points: up },
            Series { name: "virtio".into(), what: "free", points: down },
        ]
    }

    #[test]
    fn every_point_is_a_line_of_the_table() {
        let text = csv(&series());
        assert_eq!(text.lines().count(), 1 + 2 * 101);
        assert!(text.lines().all(|line| line.split(',').count() == 4));
        assert!(text.contains("virtio,free,100000000,0"));
    }

    #[test]
    fn the_picture_has_every_curve_in_its_frame() {
        let text = svg("a < b", &series());
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n") && text.contains("a &lt; b"));
        assert_eq!(text.matches("<polyline").count(), 2);
        assert_eq!(text.matches("stroke-dasharray").count(), 1);
        let points = text.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=HEIGHT - BOTTOM).contains(&y), "{point}");
        }
    }

    #[test]
    fn characters_rise_with_the_curve_and_nothing_is_drawn_of_nothing() {
        let lines = lines(&series());
        assert_eq!(lines.len(), 3);
        let heights = |line: &str| -> Vec<usize> {
            let drawn = line.chars().rev().take(76).collect::<Vec<_>>();
            drawn.iter().rev().map(|c| BLOCKS.iter().position(|block| block == c).unwrap()).collect()
        };
        assert!(heights(&lines[0]).is_sorted() && heights(&lines[0]).last() == Some(&8), "{}", lines[0]);
        assert!(heights(&lines[1]).iter().rev().is_sorted(), "{}", lines[1]);
        assert_eq!(self::lines(&[]), Vec::<String>::new());
        assert!(svg("", &[]).contains("</svg>"));
    }
}
