//! What a file mentions outside its tests: `use` trees and qualified paths, each with its inline module.

use std::collections::BTreeSet;

use crate::tokens::{Token, tokens};

/// A file as far as the rules look at it.
#[derive(Default, Debug)]
pub(crate) struct Source {
    /// What `use` and qualified paths say.
    pub(crate) mentions: Vec<Mention>,
    /// Modules that are written inside this file, by their path from it.
    pub(crate) inline: BTreeSet<Vec<String>>,
    /// Modules in other files that exist for tests only.
    pub(crate) test_children: BTreeSet<String>,
    /// Lines, and how many of them are tests.
    pub(crate) lines: usize,
    pub(crate) test_lines: usize,
    /// The lines at the top that begin with `//!`, as one.
    pub(crate) doc: String,
}

/// A path, as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mention {
    /// The inline module it stands in.
    pub(crate) inside: Vec<String>,
    pub(crate) path: Vec<String>,
    /// For a `use`: the name it makes.
    pub(crate) bound: Option<String>,
    /// For a `use`: whether it says `pub`, however restricted.
    pub(crate) public: bool,
}

impl Source {
    /// Reads a file.
    pub(crate) fn of(text: &str) -> Self {
        let doc = text.lines().map_while(|line| line.strip_prefix("//!")).collect::<Vec<_>>().join("");
        let source = Self { lines: text.lines().count(), doc, ..Self::default() };
        let tokens = tokens(text);
        Reader { tokens: &tokens, at: 0, braces: Vec::new(), source }.read()
    }
}

/// Goes through a file.
struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// The braces that are open: with a name if they are a module's.
    braces: Vec<Option<String>>,
    source: Source,
}

impl Reader<'_> {
    fn read(mut self) -> Source {
        while self.at < self.tokens.len() {
            if self.begins_test() {
                self.skip_test();
            } else {
                self.step();
            }
        }
        self.source
    }

    /// The text so many tokens on; nothing after the end.
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text)
    }

    /// The text so many tokens back.
    fn before(&self, back: usize) -> &str {
        self.at.checked_sub(back).map_or("", |at| self.tokens[at].text)
    }

    fn is_word(&self) -> bool {
        self.tokens.get(self.at).is_some_and(Token::is_word)
    }

    fn inside(&self) -> Vec<String> {
        self.braces.iter().flatten().cloned().collect()
    }

    /// `mod tests`, or an attribute that asks for `cfg(test)`, alone or with alternatives.
    fn begins_test(&self) -> bool {
        if self.text(0) == "mod" && self.text(1) == "tests" {
            return true;
        }
        let cfg = self.text(0) == "#" && self.text(1) == "[" && self.text(2) == "cfg";
        let said = &self.tokens[self.at..self.closing(self.at + 1)];
        let says = |word| said.iter().any(|token| token.text == word);
        cfg && says("test") && !says("not")
    }

    /// Where the bracket at `open` is closed.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0;
        for at in open..self.tokens.len() {
            match self.tokens[at].text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" if depth <= 1 => return at,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    /// Leaves out what belongs to tests: an item, a field, an arm or a statement, with its attributes.
    fn skip_test(&mut self) {
        let first = self.tokens[self.at].line;
        while self.text(0) == "#" {
            self.at = self.closing(self.at + 1) + 1;
        }
        if self.text(0) == "pub" {
            self.at += 1;
            if self.text(0) == "(" {
                self.at = self.closing(self.at) + 1;
            }
        }
        if self.text(0) == "mod" && self.text(2) == ";" {
            let name = self.text(1).to_owned();
            self.source.test_children.insert(name);
        }
        let item = ITEMS.contains(&self.text(0));
        let last = loop {
            let line = self.tokens.get(self.at).map_or(self.source.lines, |token| token.line);
            match self.text(0) {
                // The brace that closes what this stands in is not ours.
                "" | "}" | ")" | "]" => break line.saturating_sub(1),
                "(" | "[" => self.at = self.closing(self.at) + 1,
                "{" => {
                    self.at = self.closing(self.at);
                    let line = self.tokens[self.at].line;
                    self.at += 1;
                    break line;
                }
                ";" => {
                    self.at += 1;
                    break line;
                }
                "," if !item => {
                    self.at += 1;
                    break line;
                }
                _ => self.at += 1,
            }
        };
        self.source.test_lines += (last + 1).saturating_sub(first);
    }

    /// Reads one thing outside tests.
    fn step(&mut self) {
        match self.text(0) {
            "mod" if self.text(2) == "{" => {
                self.braces.push(Some(self.text(1).to_owned()));
                self.source.inline.insert(self.inside());
                self.at += 3;
            }
            "{" => {
                self.braces.push(None);
                self.at += 1;
            }
            "}" => {
                self.braces.pop();
                self.at += 1;
            }
            // `use<'a>` among bounds imports nothing.
            "use" if self.text(1) != "<" => {
                let public = self.before(1) == "pub" || (self.before(1) == ")" && self.restricted());
                self.at += 1;
                self.tree(&[], public);
            }
            _ if self.is_word() && self.before(1) != "::" && self.text(1) == "::" => self.qualified(),
            _ => self.at += 1,
        }
    }

    /// Whether `pub(…)` stands before this.
    fn restricted(&self) -> bool {
        (3..8).any(|back| self.before(back) == "(" && self.before(back + 1) == "pub")
    }

    /// A path in code. `pub(in …)` says who sees, not what is needed.
    fn qualified(&mut self) {
        let visibility = self.before(1) == "in" && self.before(2) == "(" && self.before(3) == "pub";
        let path = self.path();
        if !visibility {
            self.mention(path, None, false);
        }
    }

    /// The words between `::`; what is after the last one is left.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while self.is_word() {
            path.push(self.text(0).to_owned());
            self.at += 1;
            if self.text(0) != "::" {
                break;
            }
            self.at += 1;
        }
        path
    }

    /// One branch of a `use` tree.
    fn tree(&mut self, stem: &[String], public: bool) {
        if self.text(0) == "::" {
            self.at += 1;
        }
        let mut path = stem.to_vec();
        path.extend(self.path());
        match self.text(0) {
            "{" => {
                self.at += 1;
                while !matches!(self.text(0), "}" | "") {
                    self.tree(&path, public);
                    if self.text(0) == "," {
                        self.at += 1;
                    }
                }
                self.at += 1;
            }
            "*" => {
                self.at += 1;
                self.mention(path, None, public);
            }
            _ => self.leaf(path, public),
        }
    }

    /// The end of a branch: a name, perhaps under another one.
    fn leaf(&mut self, mut path: Vec<String>, public: bool) {
        if path.len() > 1 && path.last().is_some_and(|name| name == "self") {
            path.pop();
        }
        let mut bound = path.last().cloned();
        if self.text(0) == "as" {
            bound = Some(self.text(1).to_owned()).filter(|name| name != "_");
            self.at += 2;
        } else if !matches!(self.text(0), "," | "}" | ";") {
            // Nothing that Rust knows; go on rather than stand still.
            self.at += 1;
        }
        self.mention(path, bound, public);
    }

    fn mention(&mut self, path: Vec<String>, bound: Option<String>, public: bool) {
        let inside = self.inside();
        self.source.mentions.push(Mention { inside, path, bound, public });
    }
}

/// What begins an item, in which a comma ends nothing.
const ITEMS: [&str; 14] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];
