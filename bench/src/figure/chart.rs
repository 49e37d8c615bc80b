//! Charts: one way to draw everything that is drawn, for pages and for files of their own.
//!
//! Whoever has figures makes a [`Chart`] of them: a title, how it is read, what to know before it is believed, and a
//! [`Plot`] (lines, steps, points over two axes), [`Bars`] (costs with intervals, changes, a waterfall) or a
//! [`Map`](crate::figure::map::Map) (who is where, and what is the case there). What is drawn is
//! an SVG element with its alternative text, a value under the pointer for every mark, round numbers beside its axes, and
//! no colour that has to be seen to read it; light and dark follow the reader's choice. Values that are no numbers, or have
//! no place on an axis by powers, are left out.
//!
//! ```
//! use bench::figure::chart::{Bar, Bars, Body, Chart, Measure, Size};
//! use bench::figure::quantity::Quantity;
//!
//! let along = Measure::even("how many", Quantity::Count);
//! let bars = vec![Bar::plain("these", 12.0, "12"), Bar::plain("those", 7.0, "7")];
//! let chart = Chart {
//!     id: "counts".into(),
//!     title: "How many there are".into(),
//!     reading: "A bar for each kind.".into(),
//!     caveats: Vec::new(),
//!     body: Body::Bars(Bars { along, bars }),
//! };
//! assert!(chart.svg(Size::Wide).to_string().starts_with("<svg"));
//! assert!(chart.table().to_markdown().contains("those"));
//! ```

mod areas;
mod bars;
pub mod model;
mod plot;
mod scale;
pub mod sheet;
pub mod style;
mod words;

pub use model::{Bar, Bars, Body, Chart, Join, Line, Measure, Plot, Point, Scale, Tone};
pub use sheet::Size;

use crate::figure::markup::{Element, tenth};
use crate::figure::table::Grid;
use sheet::Sheet;

impl Chart {
    /// The picture for a page, which has [`style::rules`] and writes the title above it.
    #[must_use]
    pub fn svg(&self, size: Size) -> Element {
        let mut sheet = Sheet::new(size);
        self.draw(&mut sheet);
        self.around(sheet, None)
    }

    /// The picture as a file, with its title and its own rules.
    #[must_use]
    pub fn file(&self) -> String {
        let mut sheet = Sheet::new(Size::Wide);
        sheet.paragraph("ink strong", &self.title);
        sheet.y += 4.0;
        self.draw(&mut sheet);
        let rules = Element::of("style", style::rules());
        format!("{}\n", self.around(sheet, Some(rules)).with("xmlns", "http://www.w3.org/2000/svg"))
    }

    /// Its figures.
    #[must_use]
    pub fn table(&self) -> Grid {
        words::table(self)
    }

    /// What it shows, in words.
    #[must_use]
    pub fn description(&self) -> String {
        words::description(self)
    }

    fn draw(&self, sheet: &mut Sheet) {
        match &self.body {
            Body::Plot(plot) => plot::draw(sheet, plot),
            Body::Bars(bars) => bars::draw(sheet, bars),
            Body::Map(map) => areas::draw(sheet, map),
        }
    }

    fn around(&self, sheet: Sheet, rules: Option<Element>) -> Element {
        let (wide, high) = (sheet.size.width(), sheet.y);
        let size = if sheet.size == Size::Wide { "wide" } else { "narrow" };
        let [title, text] = ["title", "text"].map(|part| format!("{}-{size}-{part}", self.id));
        let ground = Element::new("rect").with("class", "ground").at("width", wide).at("height", high);
        Element::new("svg")
            .with("class", format!("chart {size}"))
            .with("role", "img")
            .with("aria-labelledby", format!("{title} {text}"))
            .with("viewBox", format!("0 0 {} {}", tenth(wide), tenth(high)))
            .holding(Element::of("title", self.title.clone()).with("id", title))
            .holding(Element::of("desc", self.description()).with("id", text))
            .all(rules)
            .holding(ground)
            .all(sheet.drawn)
    }
}

#[cfg(test)]
mod tests;
