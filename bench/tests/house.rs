//! The house keeps its rule: in every crate the folders have an order, a file imports only from its own folder and from
//! those that stand before it, and no two files need each other.
//!
//! What is read are `use` trees and paths that begin with `crate`, `super` or `self`, outside comments, strings and tests.
//! A name that a folder's face hands on from one of its files counts as that file's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The folders of each crate, from the ground up; those in one row know nothing of each other.
const CRATES: [(&str, &[&[&str]]); 4] = [
    (
        "abi",
        &[
            &["addr"],
            &["digest", "step", "tally", "violation"],
            &["axes", "calls", "control", "layout"],
            &["boot", "notes", "wire"],
            &["engine", "timed"],
        ],
    ),
    ("guest-payload", &[&["metal"], &["transport"], &["engine", "timed"], &["program"], &["bare"]]),
    (
        "host",
        &[
            &["axes"],
            &["memory"],
            &["fault"],
            &["kvm"],
            &["reclaim"],
            &["balloon"],
            &["transport"],
            &["serve"],
            &["probe"],
            &["trial"],
            &["engine", "timed"],
            &["testing"],
        ],
    ),
    (
        "bench",
        &[
            &["figure"],
            &["axes"],
            &["site"],
            &["trial"],
            &["plan"],
            &["archive"],
            &["run"],
            &["experiment"],
            &["report"],
            &["schema"],
            &["lab"],
            &["cli"],
            &["testing"],
        ],
    ),
];

/// Lines of code a file may have, its tests left out, without a sentence in its head that says why it has more.
const LINES: usize = 400;
/// Such a sentence has these words.
const EXCUSE: &str = "in one file because";

/// A crate as it is read: module path (`a::b`, the root is empty) to text.
type Sources = BTreeMap<String, String>;

fn read(root: &Path, module: &str, sources: &mut Sources) {
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let inside =
            |name: &str| if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
        if path.is_dir() {
            if name != "tests" {
                read(&path, &inside(&name), sources);
            }
        } else if let Some(stem) = name.strip_suffix(".rs") {
            let module = match stem {
                "lib" if module.is_empty() => String::new(),
                "main" | "tests" => continue,
                stem => inside(stem),
            };
            sources.insert(module, code(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The text without comments and without what only tests have; strings are emptied.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if let Some(raw) = ["r\"", "r#\"", "br\"", "br#\""].iter().find(|raw| rest.starts_with(**raw))
        {
            let close = if raw.contains('#') { "\"#" } else { "\"" };
            let body = &rest[raw.len()..];
            code.push_str("\"\"");
            rest = body.find(close).map_or("", |end| &body[end + close.len()..]);
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            code.push_str("\"\"");
            rest = end.map_or("", |end| &rest[end + 2..]);
        } else if rest.starts_with("'\"'") || rest.starts_with("'{'") || rest.starts_with("'}'") {
            rest = &rest[3..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    without_tests(&code)
}

/// Cuts every item behind `#[cfg(test)]`, or behind a `cfg` that asks for test support.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    loop {
        let markers = ["#[cfg(test)]", "#[cfg(any(test,", "#[cfg(feature = \"\")]"];
        let Some((at, marker)) =
            markers.iter().filter_map(|marker| Some((rest.find(marker)?, *marker))).min()
        else {
            return kept + rest;
        };
        kept.push_str(&rest[..at]);
        rest = &rest[at + marker.len()..];
        rest = &rest[rest.find(']').map_or(0, |end| if marker.ends_with(']') { 0 } else { end + 1 })..];
        let end = rest.find([';', '{']).unwrap_or(rest.len());
        rest = if rest[end..].starts_with('{') {
            &rest[end + block(&rest[end..])..]
        } else {
            &rest[(end + 1).min(rest.len())..]
        };
    }
}

/// The length of a block, braces included.
fn block(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Every path that a module names, from the root of its crate; and those it only hands on.
fn paths(module: &str, code: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut named, mut handed_on) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = code.to_owned();
    // Use declarations first, and out of the text, so that what is left are paths in code.
    while let Some(at) = find_word(&rest, "use ") {
        let end = rest[at..].find(';').map_or(rest.len(), |end| at + end);
        let tree: String = rest[at + 4..end].split_whitespace().collect::<Vec<_>>().join(" ");
        let is_public =
            rest[..at].trim_end().ends_with("pub") || rest[..at].trim_end().ends_with("pub(crate)");
        let mut leaves = Vec::new();
        expand("", &tree, &mut leaves);
        let absolute: Vec<String> = leaves.iter().filter_map(|leaf| absolute(module, leaf, code)).collect();
        for path in absolute {
            let is_own = module.is_empty() || path.starts_with(&format!("{module}::"));
            if is_public && is_own {
                handed_on.insert(path)
            } else {
                named.insert(path)
            };
        }
        rest.replace_range(at..end, "");
    }
    for start in ["crate::", "super::", "self::"] {
        let mut from = 0;
        while let Some(at) = rest[from..].find(start).map(|at| from + at) {
            let before = rest[..at].chars().next_back();
            let end = rest[at..]
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .map_or(rest.len(), |end| at + end);
            if before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '$')) {
                named.extend(absolute(module, rest[at..end].trim_end_matches(':'), code));
            }
            from = end;
        }
    }
    (named, handed_on)
}

/// Where a keyword begins a word.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(word)?;
        if text[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ';' || c == '}') {
            return Some(at);
        }
        from = at + word.len();
    }
}

/// The leaves of a use tree.
fn expand(prefix: &str, tree: &str, leaves: &mut Vec<String>) {
    let tree = tree.trim();
    let join = |tail: &str| if prefix.is_empty() { tail.to_owned() } else { format!("{prefix}::{tail}") };
    match tree.find('{') {
        None => {
            let name = tree.split(" as ").next().unwrap_or(tree).trim();
            leaves.push(if name == "self" { prefix.to_owned() } else { join(name) });
        }
        Some(open) => {
            let head = tree[..open].trim_end_matches("::").trim();
            let prefix = if head.is_empty() { prefix.to_owned() } else { join(head) };
            let inner = &tree[open + 1..open + block(&tree[open..]) - 1];
            let (mut depth, mut from) = (0, 0);
            for (at, c) in inner.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        expand(&prefix, &inner[from..at], leaves);
                        from = at + 1;
                    }
                    _ => {}
                }
            }
            if !inner[from..].trim().is_empty() {
                expand(&prefix, &inner[from..], leaves);
            }
        }
    }
}

/// A path from the root of the crate, if it is of the crate at all.
fn absolute(module: &str, path: &str, code: &str) -> Option<String> {
    let own: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts: Vec<&str> = path.split("::").collect();
    let mut at = own.clone();
    match parts[0] {
        "crate" => at.clear(),
        "self" => {}
        "super" => {
            while parts.first() == Some(&"super") {
                at.pop();
                parts.remove(0);
            }
            at.extend(parts);
            return Some(at.join("::"));
        }
        // A child of this module, by its name alone.
        child if code.contains(&format!("mod {child};")) => {
            at.extend(parts);
            return Some(at.join("::"));
        }
        _ => return None,
    }
    at.extend(&parts[1..]);
    Some(at.join("::"))
}

/// The file that a path leads to: the longest module that it begins with; of a name that a face hands on, the file it
/// comes from.
fn file<'a>(path: &str, sources: &'a Sources, handed_on: &BTreeMap<String, BTreeSet<String>>) -> &'a str {
    let parts: Vec<&str> = path.split("::").collect();
    let (found, used) = (0..=parts.len())
        .rev()
        .find_map(|used| Some((sources.get_key_value(&parts[..used].join("::"))?.0, used)))
        .unwrap_or_else(|| panic!("{path} leads nowhere"));
    let Some(name) = parts.get(used) else { return found };
    let from = handed_on.get(found).and_then(|paths| {
        paths.iter().find(|path| {
            path.rsplit("::").next() == Some(name) && path.as_str() != format!("{found}::{name}")
        })
    });
    from.map_or(found, |from| file(from, sources, handed_on))
}

/// What is wrong with a crate, a sentence each.
fn faults(name: &str, floors: &[&[&str]], sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    let floor = |module: &str| {
        let folder = module.split("::").next().unwrap_or_default();
        floors.iter().position(|row| row.contains(&folder))
    };
    let read: BTreeMap<&String, _> =
        sources.iter().map(|(module, code)| (module, paths(module, code))).collect();
    let handed_on: BTreeMap<String, BTreeSet<String>> =
        read.iter().map(|(module, (_, handed_on))| ((*module).clone(), handed_on.clone())).collect();
    let mut arrows: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for (module, (named, _)) in &read {
        if module.is_empty() || floor(module).is_none() {
            if !module.is_empty() {
                faults.push(format!("{name}: {module} is in no row of the table in bench/tests/house.rs: give its folder a place"));
            }
            continue;
        }
        for path in named {
            let to = file(path, sources, &handed_on);
            if to.is_empty() || to == module.as_str() {
                continue;
            }
            arrows.entry(module).or_default().entry(to).or_insert_with(|| path.clone());
            let [from_folder, to_folder] = [module.as_str(), to].map(|module| module.split("::").next());
            if from_folder != to_folder && floor(to) >= floor(module) {
                faults.push(format!(
                    "{name}: {module} imports {path}, which stands above it: hand it in, move it down, or do without"
                ));
            }
        }
    }
    faults.extend(circles(name, &arrows));
    faults
}

/// Files that need each other, each circle once.
fn circles(name: &str, arrows: &BTreeMap<&str, BTreeMap<&str, String>>) -> Vec<String> {
    let reaches = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            for to in arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(*to) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<&str>> = arrows.keys().map(|from| (*from, reaches(from))).collect();
    let mut told = BTreeSet::new();
    let mut faults = Vec::new();
    for from in all.keys() {
        let circle: Vec<&str> =
            all.keys().copied().filter(|to| all[from].contains(to) && all[to].contains(from)).collect();
        if all[from].contains(from) && told.insert(circle.clone()) {
            let ties: Vec<String> = circle
                .iter()
                .flat_map(|a| {
                    arrows[a]
                        .iter()
                        .filter(|(b, _)| circle.contains(b))
                        .map(move |(_, path)| format!("{a} -> {path}"))
                })
                .collect();
            faults.push(format!(
                "{name}: files need each other: {}: move what ties them, or hand it in",
                ties.join(", ")
            ));
        }
    }
    faults
}

#[test]
fn no_file_imports_upwards_and_no_two_need_each_other() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = Vec::new();
    for (name, floors) in CRATES {
        let mut sources = Sources::new();
        read(&workspace.join(name).join("src"), "", &mut sources);
        all.extend(faults(name, floors, &sources));
    }
    assert!(all.is_empty(), "\n{}\n", all.join("\n"));
}

#[test]
fn no_file_is_long_without_a_reason() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut long = Vec::new();
    for (name, _) in CRATES {
        let mut directories = vec![workspace.join(name).join("src")];
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
                    let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
                    if lines > LINES && !head.contains(EXCUSE) {
                        long.push(format!("{} has {lines} lines", path.display()));
                    }
                }
            }
        }
    }
    assert!(long.is_empty(), "over {LINES} lines, and no \"{EXCUSE}\" in the head: {}", long.join(", "));
}

mod planted {
    //! The checks find what is planted, and nothing else.

    use super::*;

    const FLOORS: &[&[&str]] = &[&["low"], &["middle"], &["high"]];

    fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
        let mut sources: Sources = [(String::new(), String::new())].into();
        sources.extend(files.iter().map(|(module, text)| ((*module).to_owned(), code(text))));
        faults("toy", FLOORS, &sources)
    }

    #[test]
    fn innocents_pass() {
        let files = [
            ("low", "pub struct Low;"),
            ("low::deep", "use super::Low;"),
            ("middle", "mod part;\npub use part::Part;\nuse crate::low::{deep::Deep, Low};"),
            (
                "middle::part",
                "// use crate::high::High;\npub struct Part; const TEXT: &str = \"crate::high::High\";",
            ),
            ("high", "use crate::middle::Part;\n#[cfg(test)]\nmod tests { use crate::high::Other; }"),
        ];
        assert_eq!(faults_of(&files), Vec::<String>::new());
    }

    #[test]
    fn an_import_upwards_is_found_in_a_use_and_in_a_path() {
        for text in
            ["use crate::high::High;", "fn f() { crate::high::f() }", "use crate::{high::High, low::Low};"]
        {
            let found = faults_of(&[("low", ""), ("middle", text), ("high", "pub struct High;")]);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains("stands above"), "{found:?}");
        }
    }

    #[test]
    fn files_that_need_each_other_are_found_though_a_face_stands_between() {
        let found = faults_of(&[
            ("low", "mod a;\nmod b;\npub use a::A;\npub use b::B;"),
            ("low::a", "use super::B;"),
            ("low::b", "use crate::low::A;"),
        ]);
        assert!(found.len() == 1 && found[0].contains("need each other"), "{found:?}");
        let found = faults_of(&[("low", "mod a;\nuse a::A; pub struct L;"), ("low::a", "use super::L;")]);
        assert!(found.len() == 1 && found[0].contains("need each other"), "{found:?}");
    }

    #[test]
    fn a_folder_without_a_place_is_found() {
        let found = faults_of(&[("attic", "")]);
        assert!(found.len() == 1 && found[0].contains("give its folder a place"), "{found:?}");
    }
}
