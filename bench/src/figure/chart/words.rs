//! A chart without a picture: for those who cannot see it, and for those who want its figures.

use super::model::{Bars, Body, Chart, Join, Line, Plot, Point, Scale};
use super::plot::is_drawn;
use crate::figure::map::{self, Map, Place};
use crate::figure::table::Grid;
use crate::figure::unit::{float, percent, ratio};

/// Figures of an alternative text: what has more is in the table.
const SAID: usize = 24;
/// Rows of a table of lines that have many points.
const ROWS: usize = 12;

/// The alternative text: how it is read, and what it shows.
pub(super) fn description(chart: &Chart) -> String {
    let figures: Vec<String> = match &chart.body {
        Body::Bars(Bars { bars, .. }) => {
            bars.iter().map(|bar| format!("{}: {}", bar.label, bar.shown)).collect()
        }
        Body::Plot(plot) => plot.lines.iter().filter_map(|line| of_line(plot, line)).collect(),
        Body::Map(map) => areas(map).chain(map.places.iter().map(Place::said)).collect(),
    };
    if figures.is_empty() {
        return format!("{} There is nothing to draw.", chart.reading);
    }
    let more = figures.len().saturating_sub(SAID);
    let rest = if more > 0 { format!("; and {more} more in the table") } else { String::new() };
    format!("{} {}{rest}.", chart.reading, figures[..figures.len().min(SAID)].join("; "))
}

fn of_line(plot: &Plot, line: &Line) -> Option<String> {
    let drawn: Vec<&Point> = line.points.iter().filter(|point| is_drawn(plot, point)).collect();
    let (first, last) = (drawn.first()?, drawn.last()?);
    let at = |point: &Point| format!("{} at {}", plot.y.show(point.y), plot.x.show(point.x));
    let name = if line.name.is_empty() { "the line" } else { &line.name };
    Some(match drawn.len() {
        1 => format!("{name}: {}", at(first)),
        _ => format!("{name} from {} to {}", at(first), at(last)),
    })
}

/// Its figures.
pub(super) fn table(chart: &Chart) -> Grid {
    match &chart.body {
        Body::Bars(bars) => of_bars(chart, bars),
        Body::Map(map) => of_map(chart, map),
        Body::Plot(plot) if plot.lines.iter().all(|line| line.join == Join::Apart) => of_points(chart, plot),
        Body::Plot(plot) => of_lines(chart, plot),
    }
}

/// How much of a map each kind has.
fn areas(map: &Map) -> impl Iterator<Item = String> {
    let all = float(map.cells.len() as u64);
    map.kinds.iter().enumerate().map(move |(kind, name)| {
        let cells = map.cells.iter().filter(|cell| **cell == Some(kind)).count();
        format!("{name}: {} of the map", percent(ratio(float(cells as u64), all)))
    })
}

fn of_map(chart: &Chart, map: &Map) -> Grid {
    Grid::of(
        chart.title.clone(),
        &map.places,
        &[
            ("", &|place| place.name.clone()),
            (&map.x.title, &|place| map::shown(place.x)),
            (&map.y.title, &|place| map::shown(place.y)),
            ("remark", &|place| place.remark.clone()),
        ],
    )
}

fn of_bars(chart: &Chart, Bars { along, bars }: &Bars) -> Grid {
    let mut heading = "";
    let mut rows = Vec::new();
    for bar in bars {
        heading = if bar.heading.is_empty() { heading } else { &bar.heading };
        rows.push((heading.to_owned(), bar));
    }
    Grid::of(
        chart.title.clone(),
        rows,
        &[
            ("of", &|(heading, _)| heading.clone()),
            ("", &|(_, bar)| bar.label.clone()),
            (&along.label, &|(_, bar)| bar.shown.clone()),
        ],
    )
}

fn of_points(chart: &Chart, plot: &Plot) -> Grid {
    let points = plot.lines.iter().flat_map(|line| line.points.iter().map(move |point| (line, point)));
    Grid::of(
        chart.title.clone(),
        points,
        &[
            ("", &|(line, _)| line.name.clone()),
            ("", &|(_, point)| point.label.clone()),
            (&plot.x.label, &|(_, point)| plot.x.show(point.x)),
            (&plot.y.label, &|(_, point)| plot.y.show(point.y)),
        ],
    )
}

/// A row a place along the first axis, a column a line; of many places some. By nines
/// a row a nine, and one for the last point of each line.
fn of_lines(chart: &Chart, plot: &Plot) -> Grid {
    let is_nines = plot.x.scale == Scale::Nines;
    let drawn = plot.lines.iter().flat_map(|line| &line.points).filter(|point| is_drawn(plot, point));
    let mut places: Vec<f64> = drawn.map(|point| point.x).filter(|x| !is_nines || is_round(*x)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup_by(|one, other| (*one - *other).abs() <= 1e-9 * other.abs());
    if places.len() > 2 * ROWS {
        let every = places.len() - 1;
        places = (0..ROWS).map(|row| places[row * every / (ROWS - 1)]).collect();
    }
    if is_nines {
        places.reverse();
    }
    let header = std::iter::once(plot.x.label.clone()).chain(plot.lines.iter().map(|line| line.name.clone()));
    let row = |name: String, of: &dyn Fn(&Line) -> Option<f64>| {
        let shown =
            plot.lines.iter().map(|line| of(line).map_or_else(String::new, |value| plot.y.show(value)));
        std::iter::once(name).chain(shown).collect::<Vec<String>>()
    };
    let at = |place: &f64| row(plot.x.show(*place), &|line| Some(seen(plot, line, *place)?.y));
    let mut rows: Vec<Vec<String>> = places.iter().map(at).collect();
    if is_nines {
        rows.push(row("longest".to_owned(), &|line| line.points.last().map(|point| point.y)));
    }
    Grid::new(chart.title.clone(), header.collect(), rows)
}

/// Whether a share is a half, or one of a power of ten.
fn is_round(share: f64) -> bool {
    let nines = share.log10();
    (share - 0.5).abs() < 1e-9 || (nines - nines.round()).abs() < 1e-9
}

/// The point of a line there; where each holds until the next, the last before, and nothing beyond its end.
fn seen<'a>(plot: &Plot, line: &'a Line, place: f64) -> Option<&'a Point> {
    let mut drawn = line.points.iter().filter(|point| is_drawn(plot, point));
    if line.join != Join::Steps {
        return drawn.find(|point| (point.x - place).abs() <= 1e-9 * place.abs());
    }
    let end = line.points.iter().map(|point| point.x).fold(f64::MIN, f64::max);
    drawn.rfind(|point| point.x <= place).filter(|_| place <= end)
}
