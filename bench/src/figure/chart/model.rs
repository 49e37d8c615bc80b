//! What a chart is made of: whoever has figures fills these in, and draws nothing.

use crate::figure::interval::Interval;
use crate::figure::map::Map;
use crate::figure::quantity::Quantity;

/// A chart without its looks.
#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    /// What it is called in a page: letters, digits and hyphens, no other chart's of the same experiment.
    pub id: String,
    /// What it shows, above it.
    pub title: String,
    /// How it is to be read, in a sentence or two; part of the alternative text, which has the figures as well.
    pub reading: String,
    /// What has to be known before it is believed. They stand with it.
    pub caveats: Vec<String>,
    /// What is drawn.
    pub body: Body,
}

/// What is drawn.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Lines, steps or points over two axes.
    Plot(Plot),
    /// Bars, a row each: costs with their intervals, changes, a waterfall.
    Bars(Bars),
    /// Areas over two axes, and who lies where.
    Map(Map),
}

/// How values go along an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Evenly, with 0 on it.
    Linear,
    /// By powers of ten. What is not positive has no place on it: a point of it is left out, and an end lies at the edge.
    Log,
    /// The same by powers of two.
    Doublings,
    /// Shares of samples that are longer, by nines: 0.01 is the 99th percentile.
    Nines,
}

/// What goes along an axis.
#[derive(Clone, PartialEq, Debug)]
pub struct Measure {
    /// What is along it.
    pub label: String,
    /// What its numbers are.
    pub quantity: Quantity,
    /// How they go along it.
    pub scale: Scale,
}

impl Measure {
    /// Evenly.
    #[must_use]
    pub fn even(label: impl Into<String>, quantity: Quantity) -> Self {
        Self { label: label.into(), quantity, scale: Scale::Linear }
    }

    /// By powers of ten.
    #[must_use]
    pub fn powers(label: impl Into<String>, quantity: Quantity) -> Self {
        Self { label: label.into(), quantity, scale: Scale::Log }
    }

    /// By powers of two.
    #[must_use]
    pub fn doublings(label: impl Into<String>, quantity: Quantity) -> Self {
        Self { label: label.into(), quantity, scale: Scale::Doublings }
    }
}

/// Lines over two axes.
#[derive(Clone, PartialEq, Debug)]
pub struct Plot {
    /// From left to right.
    pub x: Measure,
    /// From bottom to top.
    pub y: Measure,
    /// In the order of the legend.
    pub lines: Vec<Line>,
}

/// How the points of a line belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// By straight lines.
    Straight,
    /// Each holds until the next.
    Steps,
    /// Not at all: labels say which is which.
    Apart,
}

/// A line.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its colour and its marker, by number: lines of the same thing have the same. Numbers go round.
    pub look: usize,
    /// Whether it is the second of two that look alike, and dashed.
    pub is_second: bool,
    /// How its points are joined.
    pub join: Join,
    /// In order.
    pub points: Vec<Point>,
}

/// A point.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Point {
    /// Along the first axis.
    pub x: f64,
    /// Along the second.
    pub y: f64,
    /// The ends of its interval, if it has one that can be relied on.
    pub ends: Option<(f64, f64)>,
    /// What stands beside it, if anything does.
    pub label: String,
}

impl Point {
    /// Without interval and label.
    #[must_use]
    pub fn at(x: f64, y: f64) -> Self {
        Self { x, y, ..Self::default() }
    }

    /// A figure with its interval.
    #[must_use]
    pub fn of(x: f64, interval: &Interval) -> Self {
        Self { x, y: interval.middle, ends: ends(interval), label: String::new() }
    }
}

/// Rows of bars over one axis. Where the axis is by powers of ten a bar has no length that means anything, and a point
/// stands in its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Bars {
    /// From left to right.
    pub along: Measure,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// What a bar is, which decides its colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Tone {
    /// A figure among its like.
    Plain,
    /// The one that others are held against.
    Base,
    /// Where steps begin, and what they come to.
    Whole,
    /// It is more than before, or dearer.
    More,
    /// It is less.
    Less,
    /// Neither is shown.
    Unsaid,
}

impl Tone {
    /// Of a difference: what is not shown to differ has no direction.
    #[must_use]
    pub fn of(change: &Interval) -> Self {
        match change {
            change if !change.shows_difference() => Self::Unsaid,
            change if change.middle > 0.0 => Self::More,
            _ => Self::Less,
        }
    }

    /// What the legend calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Base => "held against",
            Self::Whole => "the whole",
            Self::More => "more",
            Self::Less => "less",
            Self::Unsaid => "no difference shown",
        }
    }
}

/// A row.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// What stands above the first of several rows that belong together; nothing above the others.
    pub heading: String,
    /// Whose it is.
    pub label: String,
    /// Where it begins: 0, or where a waterfall has come to.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// The ends of its interval, if it has one that can be relied on.
    pub ends: Option<(f64, f64)>,
    /// Its figure as it is written, with its interval and its unit.
    pub shown: String,
    /// What it is.
    pub tone: Tone,
}

impl Bar {
    /// A figure with its interval.
    #[must_use]
    pub fn of(label: impl Into<String>, interval: &Interval, shown: impl Into<String>) -> Self {
        Self { ends: ends(interval), ..Self::plain(label, interval.middle, shown) }
    }

    /// A figure without one.
    #[must_use]
    pub fn plain(label: impl Into<String>, value: f64, shown: impl Into<String>) -> Self {
        let (label, shown) = (label.into(), shown.into());
        Self { heading: String::new(), label, from: 0.0, to: value, ends: None, shown, tone: Tone::Plain }
    }

    /// A difference with its interval, coloured by what it shows.
    #[must_use]
    pub fn change(label: impl Into<String>, change: &Interval, shown: impl Into<String>) -> Self {
        Self { tone: Tone::of(change), ..Self::of(label, change, shown) }
    }

    /// The same, of another tone.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// The same below a heading.
    #[must_use]
    pub fn below(self, heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), ..self }
    }
}

/// The ends of an interval, if they can be relied on.
fn ends(interval: &Interval) -> Option<(f64, f64)> {
    interval.is_known().then_some((interval.low, interval.high))
}
