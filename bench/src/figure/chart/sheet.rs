//! The paper of a chart: how wide it is, what has been drawn so far, and how far down.

use super::scale::{Ruler, width};
use crate::figure::markup::Element;

/// For which kind of page a chart is laid out: text has the same size on both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// A telephone's.
    Narrow,
    /// A desk's.
    Wide,
}

impl Size {
    /// Its width.
    #[must_use]
    pub const fn width(self) -> f64 {
        match self {
            Self::Narrow => 360.0,
            Self::Wide => 840.0,
        }
    }

    /// How high the middle of a plot is.
    pub(super) const fn height(self) -> f64 {
        match self {
            Self::Narrow => 220.0,
            Self::Wide => 300.0,
        }
    }

    /// How many numbers an axis from left to right has at most.
    pub(super) const fn marks(self) -> u32 {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }
}

/// Height of a line of text.
pub(super) const LINE: f64 = 18.0;
/// What is left free at the edges.
pub(super) const EDGE: f64 = 6.0;

/// A name, and what stands for it at a place.
pub(super) type Entry<'a> = (String, Box<dyn Fn(f64, f64) -> Vec<Element> + 'a>);

/// Paper, drawn on from the top.
pub(super) struct Sheet {
    pub(super) size: Size,
    /// How far down it is filled.
    pub(super) y: f64,
    pub(super) drawn: Vec<Element>,
}

impl Sheet {
    pub(super) const fn new(size: Size) -> Self {
        Self { size, y: EDGE, drawn: Vec::new() }
    }

    pub(super) fn draw(&mut self, element: Element) {
        self.drawn.push(element);
    }

    /// Text at a place; `anchor` says which end of it is there.
    pub(super) fn text(&mut self, class: &str, anchor: &'static str, x: f64, y: f64, text: &str) {
        let element = Element::of("text", text).with("class", class).at("x", x).at("y", y);
        self.draw(if anchor == "start" { element } else { element.with("text-anchor", anchor) });
    }

    /// Lines of text as wide as the paper, below what is there.
    pub(super) fn paragraph(&mut self, class: &str, text: &str) {
        for line in wrapped(text, self.size.width() - 2.0 * EDGE) {
            self.text(class, "start", EDGE, self.y + 12.0, &line);
            self.y += LINE;
        }
    }

    /// A legend: what stands for each name, `sample` wide, and the name.
    pub(super) fn legend(&mut self, entries: Vec<Entry<'_>>, sample: f64) {
        if entries.is_empty() {
            return;
        }
        let (mut x, right) = (EDGE, self.size.width() - EDGE);
        for (name, draw) in entries {
            let name = cut(&name, right - EDGE - sample - 6.0);
            let wide = sample + 6.0 + width(&name);
            if x > EDGE && x + wide > right {
                (x, self.y) = (EDGE, self.y + LINE);
            }
            draw(x, self.y + 8.0).into_iter().for_each(|element| self.draw(element));
            self.text("ink", "start", x + sample + 6.0, self.y + 12.0, &name);
            x += wide + 16.0;
        }
        self.y += LINE + 4.0;
    }

    /// An axis from left to right below what is there, its grid upwards to `top`.
    pub(super) fn below(&mut self, ruler: &Ruler, top: f64, label: &str) {
        let mut free = f64::MIN;
        for (x, text) in ruler.marks() {
            let line = Element::new("path").with("class", "grid");
            let path = format!("M{x:.1} {top:.1}V{:.1}", self.y);
            self.drawn.insert(0, line.with("d", path));
            let half = width(&text) / 2.0;
            let middle = x.clamp(half + 1.0, self.size.width() - half - 1.0);
            if middle - half > free {
                self.text("soft", "middle", middle, self.y + 18.0, &text);
                free = middle + half + 8.0;
            }
        }
        self.y += 25.0;
        self.paragraph("soft", label);
        self.y += EDGE;
    }
}

/// Lines that are no wider, broken between words; a word that is wider has one to itself, and is cut.
pub(super) fn wrapped(text: &str, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + width(word) + width(" ") <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, most)),
        }
    }
    lines
}

/// Text that is no wider: what is too much of it is left out, and said to be.
pub(super) fn cut(text: &str, most: f64) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let kept = text.chars().count();
    let shorter = (1..kept).rev().map(|count| text.chars().take(count).collect::<String>() + "…");
    shorter.into_iter().find(|text| width(text) <= most).unwrap_or_else(|| "…".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_cut_where_it_must_be() {
        let lines = wrapped("one two three four five", 70.0);
        assert_eq!(lines.join(" "), "one two three four five");
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line) <= 70.0));
        assert_eq!(wrapped(&"x".repeat(99), 70.0), ["xxxxxxxx…"]);
        assert_eq!((cut("short", 70.0), wrapped("", 70.0)), ("short".to_owned(), Vec::<String>::new()));
    }
}
