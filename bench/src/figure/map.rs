//! A map over two costs, both by powers of ten: what is the case at every place, and who lies where. It is drawn as any
//! other chart is, and written as CSV.

use std::fmt::Write;

use super::unit::{Unit, float};

/// A map.
#[derive(Clone, PartialEq, Debug)]
pub struct Map {
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

/// An axis of times by powers of ten, whole decades long.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// What it is.
    pub title: String,
    /// Its ends as powers of ten of nanoseconds.
    pub decades: [i32; 2],
}

/// Somebody on the map.
#[derive(Clone, PartialEq, Debug)]
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

    /// Its ends in nanoseconds.
    #[must_use]
    pub fn ends(&self) -> [f64; 2] {
        self.decades.map(|power| 10_f64.powi(power))
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
}

fn decade(power: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "held within what times can be")]
    {
        power.clamp(-3.0, 12.0) as i32
    }
}

impl Place {
    /// Whether it lies on an axis at least.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.x.is_some() || self.y.is_some()
    }

    /// Whether both of its costs are known.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.x.is_some() && self.y.is_some()
    }

    /// Who it is and where.
    #[must_use]
    pub fn said(&self) -> String {
        let remark = if self.remark.is_empty() { String::new() } else { format!(", {}", self.remark) };
        if self.is_on() {
            format!("{}: {} / {}{remark}", self.name, shown(self.x), shown(self.y))
        } else {
            format!("{}{remark}", self.name)
        }
    }
}

/// A cost, or a question mark.
#[must_use]
pub fn shown(cost: Option<f64>) -> String {
    cost.map_or_else(|| "?".to_owned(), |cost| Unit::Nanoseconds.show(cost))
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

    #[test]
    fn axes_are_whole_decades() {
        let axis = Axis::over("a", [100.0, 1000.0], [25_000.0].into_iter());
        assert_eq!((axis.decades, axis.ends()), ([2, 5], [1e2, 1e5]));
        assert!((axis.middle(0, 3) - 10_f64.powf(2.5)).abs() < 1e-9);
    }

    #[test]
    fn every_cell_and_host_is_a_row() {
        let axis = || Axis::over("a", [100.0, 1000.0], std::iter::empty());
        let place = |name: &str, x, y| Place { name: name.to_owned(), x, y, remark: String::new() };
        let map = Map {
            x: axis(),
            y: axis(),
            kinds: vec!["one".to_owned(), "two".to_owned()],
            columns: 4,
            cells: [vec![Some(0); 8], vec![Some(1); 7], vec![None]].concat(),
            places: vec![
                place("here", Some(300.0), Some(200.0)),
                place("edge", Some(300.0), None),
                place("off", None, None),
            ],
        };
        let csv = csv(&map);
        assert_eq!(csv.lines().count(), 1 + 16 + 3);
        assert!(csv.contains("cannot be said") && csv.ends_with(",,\"host: off\"\n"), "{csv}");
        let said: Vec<String> = map.places.iter().map(Place::said).collect();
        assert_eq!(said, ["here: 300 ns / 200 ns", "edge: 300 ns / ?", "off"]);
    }
}
