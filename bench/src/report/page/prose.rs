//! What is written elsewhere in Markdown or JSON, for a page.

use serde_json::Value;

use crate::figure::markup::Element;

/// A list in Markdown, of one level or two, with emphasis and code.
pub(super) fn list(markdown: &str) -> Element {
    let mut items: Vec<(String, Vec<String>)> = Vec::new();
    for line in markdown.lines().filter(|line| !line.trim().is_empty()) {
        match (line.strip_prefix("- "), line.strip_prefix("  - "), items.last_mut()) {
            (Some(item), _, _) => items.push((item.to_owned(), Vec::new())),
            (_, Some(item), Some((_, below))) => below.push(item.to_owned()),
            (_, _, Some((item, below))) => {
                let last = below.last_mut().unwrap_or(item);
                last.push(' ');
                last.push_str(line.trim());
            }
            (_, _, None) => items.push((line.trim().to_owned(), Vec::new())),
        }
    }
    let item = |(text, below): (String, Vec<String>)| {
        let item = inline(Element::new("li"), &text);
        let below: Vec<Element> = below.iter().map(|text| inline(Element::new("li"), text)).collect();
        if below.is_empty() { item } else { item.holding(Element::new("ul").all(below)) }
    };
    Element::new("ul").all(items.into_iter().map(item))
}

/// Text with `*emphasis*` and code between backticks.
fn inline(mut element: Element, text: &str) -> Element {
    let mut rest = text;
    while let Some(at) = rest.find(['*', '`']) {
        let (mark, name) = if rest[at..].starts_with('*') { ('*', "em") } else { ('`', "code") };
        let Some(end) = rest[at + 1..].find(mark) else { break };
        element = element.text(&rest[..at]).holding(Element::of(name, &rest[at + 1..at + 1 + end]));
        rest = &rest[at + end + 2..];
    }
    element.text(rest)
}

/// Every value of a tree with the way to it, a row each.
pub(super) fn flatten(way: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let below = |key: &str| if way.is_empty() { key.to_owned() } else { format!("{way}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&below(key), value, rows)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| flatten(&below(&index.to_string()), item, rows));
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            rows.push(vec![way.to_owned(), items.join(" ")]);
        }
        value => rows.push(vec![way.to_owned(), shown(value)]),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_words() {
        let text = list("- *a* is `~`\n  and more:\n  - below *it*\n- an odd * star\n").to_string();
        let flat = text.replace('\n', "");
        assert!(
            flat.contains(
                "<li><em>a</em> is <code>~</code> and more:<ul><li>below <em>it</em></li></ul></li>"
            ),
            "{flat}"
        );
        assert!(flat.contains("<li>an odd * star</li>"), "{flat}");
    }

    #[test]
    fn a_tree_becomes_rows() {
        let mut rows = Vec::new();
        flatten("", &serde_json::json!({"a": {"b": 1, "c": ["x", "y"]}, "d": [{"e": true}]}), &mut rows);
        assert_eq!(rows, [["a.b", "1"], ["a.c", "x y"], ["d.0.e", "true"]]);
    }
}
