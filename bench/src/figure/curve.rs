//! Curves over time: as a CSV file, as a chart, and in characters.

use std::fmt::Write as _;

use crate::figure::chart::{Body, Chart, Join, Line, Measure, Plot, Point, Scale};
use crate::figure::number::mib;
use crate::figure::quantity::Quantity;
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

/// How far the curves reach.
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
}

/// The curves as a chart: those of a name in one colour, whatever is not the first thing shown of it dashed.
#[must_use]
pub fn chart(title: &str, series: &[Series]) -> Chart {
    let mut names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    names.dedup();
    let line = |one: &Series| {
        let first = series.iter().find(|other| other.name == one.name);
        Line {
            name: format!("{}, {}", one.name, one.what),
            look: names.iter().position(|name| *name == one.name).unwrap_or_default(),
            is_second: first.is_some_and(|first| first.what != one.what),
            join: Join::Steps,
            points: one.points.iter().map(|(ns, bytes)| Point::at(float(*ns), float(*bytes))).collect(),
        }
    };
    Chart {
        id: "memory".to_owned(),
        title: title.to_owned(),
        reading: "Where the solid line falls with the dashed one rising, what the guest has freed is back on the host."
            .to_owned(),
        caveats: Vec::new(),
        body: Body::Plot(Plot {
            x: Measure {
                label: "time since the measured part began".to_owned(),
                quantity: Quantity::Cost(Unit::Nanoseconds),
                scale: Scale::Linear,
            },
            y: Measure {
                label: "memory: resident on the host (solid), free in the guest (dashed)".to_owned(),
                quantity: Quantity::Bytes,
                scale: Scale::Linear,
            },
            lines: series.iter().map(line).collect(),
        }),
    }
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
    fn the_chart_has_every_curve_and_round_numbers() {
        let chart = chart("a < b", &series());
        let Body::Plot(plot) = &chart.body else { panic!("{chart:?}") };
        assert_eq!(
            plot.lines.iter().map(|line| (line.look, line.is_second)).collect::<Vec<_>>(),
            [(0, false), (0, true)]
        );
        let text = chart.file();
        assert_eq!(text.matches(" dashed\"").count(), 2, "the line, and its sample in the legend");
        for mark in [">100 ms<", ">64 MiB<", ">128 MiB<"] {
            assert!(text.contains(mark), "{mark}: {text}");
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
        assert!(chart("", &[]).file().contains("</svg>"));
    }
}
