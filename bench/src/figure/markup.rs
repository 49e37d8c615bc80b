//! Trees of elements, for pictures and pages: what is written is well-formed both as XML and as HTML, whatever names are
//! put into it. Text is escaped here and nowhere else.

use std::fmt;

/// An element with its attributes and what it holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

#[derive(Clone, PartialEq, Debug)]
enum Node {
    Text(String),
    Element(Element),
}

/// Elements that HTML closes itself.
const VOID: [&str; 4] = ["br", "img", "link", "meta"];
/// Elements whose white space is part of what they say.
const VERBATIM: [&str; 2] = ["code", "pre"];

impl Element {
    /// An empty one.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), children: Vec::new() }
    }

    /// One that holds text.
    #[must_use]
    pub fn of(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(name).text(text)
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// The same with an attribute that is a length or a place, to a tenth.
    #[must_use]
    pub fn at(self, name: &'static str, value: f64) -> Self {
        let value = tenth(value);
        self.with(name, value)
    }

    /// The same with text at its end.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// The same with an element at its end.
    #[must_use]
    pub fn holding(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// The same with elements at its end.
    #[must_use]
    pub fn all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        children.into_iter().for_each(|child| self.push(child));
        self
    }

    /// Puts an element at its end.
    pub fn push(&mut self, child: Self) {
        self.children.push(Node::Element(child));
    }
}

/// A length or a place as pictures have it. What is no number is none of a picture's: `0` stands for it.
#[must_use]
pub fn tenth(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, attributes, children } = self;
        write!(f, "<{name}")?;
        for (name, value) in attributes {
            write!(f, " {name}=\"{}\"", escaped(value).replace('"', "&quot;"))?;
        }
        if VOID.contains(name) {
            return f.write_str("/>");
        }
        f.write_str(">")?;
        let apart =
            !VERBATIM.contains(name) && children.iter().all(|child| matches!(child, Node::Element(_)));
        for child in children {
            match child {
                Node::Text(text) => f.write_str(&escaped(text))?,
                Node::Element(element) if apart => write!(f, "\n{element}")?,
                Node::Element(element) => write!(f, "{element}")?,
            }
        }
        let end = if apart && !children.is_empty() { "\n" } else { "" };
        write!(f, "{end}</{name}>")
    }
}

/// Text in which nothing is markup, and nothing that no XML may hold.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let element = Element::of("p", "a < b & c").with("title", "\"x\" > y").holding(Element::new("br"));
        assert_eq!(element.to_string(), "<p title=\"&quot;x&quot; &gt; y\">a &lt; b &amp; c<br/></p>");
        assert_eq!(Element::of("p", "a\u{0}b\u{1b}").to_string(), "<p>a\u{fffd}b\u{fffd}</p>");
        assert_eq!(Element::new("p").to_string(), "<p></p>", "HTML knows no <p/>");
    }

    #[test]
    fn numbers_are_short_and_always_numbers() {
        let shown = [1.0, -0.04, 2.26, f64::NAN, f64::INFINITY].map(tenth);
        assert_eq!(shown, ["1", "-0", "2.3", "0", "0"]);
    }
}
