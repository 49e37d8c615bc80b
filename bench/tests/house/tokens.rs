//! Rust as words and marks, without comments and strings.

/// A word, `::`, or one other character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Whether it is a name, a keyword or a number.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(in_word)
    }
}

/// The tokens of a file. Comments, documentation, strings and characters are none.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let blank = blank(rest);
        let length = if blank > 0 { blank } else { token(rest) };
        if blank == 0 {
            found.push(Token { text: &rest[..length], line });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    found
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Bytes of the token that `rest` begins with.
fn token(rest: &str) -> usize {
    match rest.find(|c| !in_word(c)).unwrap_or(rest.len()) {
        0 if rest.starts_with("::") => 2,
        0 => rest.chars().next().map_or(0, char::len_utf8),
        word => word,
    }
}

/// Bytes at the beginning of `rest` that are no token: white space, a comment, a literal, a lifetime.
fn blank(rest: &str) -> usize {
    let space = rest.len() - rest.trim_start().len();
    if space > 0 {
        space
    } else if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else {
        literal(rest)
    }
}

/// Bytes of a block comment, with those inside it.
fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < rest.len() {
        let step = if rest[at..].starts_with("/*") {
            depth += 1;
            2
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        at += step;
    }
    at
}

/// Bytes of a string, a character or a lifetime; 0 if `rest` begins with none.
fn literal(rest: &str) -> usize {
    let raw = ["br", "cr", "r"].into_iter().find_map(|prefix| rest.strip_prefix(prefix));
    if let Some(raw) = raw.filter(|raw| raw.trim_start_matches('#').starts_with('"')) {
        return rest.len() - raw.len() + raw_string(raw);
    }
    let bare = rest.strip_prefix(['b', 'c']).filter(|bare| bare.starts_with(['"', '\'']));
    let quoted = bare.unwrap_or(rest);
    let prefix = rest.len() - quoted.len();
    match quoted.chars().next() {
        Some('"') => prefix + closed(quoted, '"'),
        Some('\'') => prefix + character(quoted),
        _ => 0,
    }
}

/// Bytes of `#"…"#`.
fn raw_string(rest: &str) -> usize {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let end = format!("\"{}", &rest[..hashes]);
    rest[hashes + 1..].find(&end).map_or(rest.len(), |at| hashes + 1 + at + end.len())
}

/// Bytes up to the next `quote` that is not escaped, with both.
fn closed(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// Bytes of `'x'`, or of `'lifetime`.
fn character(rest: &str) -> usize {
    let mut next = rest.chars().skip(1);
    let (first, second) = (next.next(), next.next());
    if first == Some('\\') || second == Some('\'') {
        closed(rest, '\'')
    } else {
        1 + rest[1..].find(|c| !in_word(c)).unwrap_or(rest.len() - 1)
    }
}
