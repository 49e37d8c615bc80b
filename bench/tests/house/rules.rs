//! The rules, and what is wrong where one is broken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use crate::source::Source;
use crate::tree::{Tree, module};

/// Lines a file may have; tests are not counted.
pub(crate) const LINES: usize = 400;
/// Lines a file of tests may have.
pub(crate) const TEST_LINES: usize = 700;
/// What the documentation of a longer file has to say, with the reason.
pub(crate) const EXCUSE: &str = "in one file because";

/// A crate and the order of its folders.
pub(crate) struct House {
    /// Its directory, under the workspace.
    pub(crate) directory: &'static str,
    /// What it is called in Rust.
    pub(crate) name: &'static str,
    /// Its folders, which are the modules in its root, from the ground up. `testing` is above all of them and is in
    /// no row.
    pub(crate) rows: &'static [&'static [&'static str]],
}

/// A rule that is broken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A folder that has no place.
    #[error(
        "{house}: the folder `{folder}` has no place; give it one in the table at the top of \
         bench/tests/house.rs, above everything it imports and below everything that imports it"
    )]
    Unknown { house: String, folder: String },
    /// A place without a folder.
    #[error(
        "{house}: the table in bench/tests/house.rs has `{folder}`, but there is no such folder; take it out"
    )]
    Gone { house: String, folder: String },
    /// An import from a folder that does not stand below the file's own.
    #[error(
        "{house}: {from} imports from {to}: {}; a file imports only from its own folder and from those below it, \
         and `{above}` does not stand below `{below}`. Let the caller hand it in, move it down, or do without",
        names.join(", ")
    )]
    Upward { house: String, from: String, to: String, names: Vec<String>, below: String, above: String },
    /// Files that need each other.
    #[error(
        "{house}: these files need each other:{}\n  Move what both need into a file of its own below them, hand it \
         in, or do without; a face may re-export what its files have (`pub use`), but not use it if they use the \
         face",
        lines(steps)
    )]
    Circle { house: String, steps: Vec<Step> },
    /// A file that is too long.
    #[error(
        "{file} has {lines} lines, and {limit} are allowed (tests in a file of code are not counted); split it by \
         what it is about, or let its `//!` say why, with the words \"{EXCUSE}\""
    )]
    Long { file: String, lines: usize, limit: usize },
}

/// One file's need of the next in a circle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) names: Vec<String>,
}

fn lines(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |mut text, Step { from, to, names }| {
        let _ = write!(text, "\n    {from} -> {to}: {}", names.join(", "));
        text
    })
}

/// Which file needs which, and by which names.
type Needs = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Every rule on a crate's sources.
pub(crate) fn faults(house: &House, texts: &BTreeMap<String, String>) -> Vec<Fault> {
    let tree = Tree::of(house.name, texts);
    let mut faults = places(house, &tree);
    let upward = upward(house, &tree);
    faults.extend(circles(house, &needs(&tree, &upward)));
    faults.extend(upward);
    faults.extend(tree.files.iter().filter_map(|(path, source)| {
        let file = format!("{}/src/{path}", house.directory);
        too_long(&file, source, tree.is_test(path))
    }));
    faults
}

/// Whether a file is too long.
pub(crate) fn too_long(file: &str, source: &Source, is_test: bool) -> Option<Fault> {
    let (lines, limit) =
        if is_test { (source.lines, TEST_LINES) } else { (source.lines - source.test_lines, LINES) };
    let file = file.to_owned();
    (lines > limit && !source.doc.contains(EXCUSE)).then_some(Fault::Long { file, lines, limit })
}

/// The row of a folder, from the ground up.
fn place(house: &House, folder: &str) -> Option<usize> {
    match folder {
        "testing" => Some(house.rows.len()),
        _ => house.rows.iter().position(|row| row.contains(&folder)),
    }
}

/// Folders without a place, places without a folder.
fn places(house: &House, tree: &Tree) -> Vec<Fault> {
    let folders: BTreeSet<String> = tree
        .files
        .keys()
        .filter(|path| !tree.is_test(path))
        .filter_map(|path| module(path).into_iter().next())
        .collect();
    let name = || house.directory.to_owned();
    let unknown = folders.iter().filter(|folder| place(house, folder).is_none());
    let gone = house.rows.iter().copied().flatten().filter(|&&folder| !folders.contains(folder));
    unknown
        .map(|folder| Fault::Unknown { house: name(), folder: folder.clone() })
        .chain(gone.map(|&folder| Fault::Gone { house: name(), folder: folder.to_owned() }))
        .collect()
}

/// Imports from folders that do not stand below the file's own. The root imports what it likes.
fn upward(house: &House, tree: &Tree) -> Vec<Fault> {
    let mut found: BTreeMap<(String, String, String), BTreeSet<String>> = BTreeMap::new();
    for (path, source) in tree.files.iter().filter(|(path, _)| !tree.is_test(path)) {
        let Some(own) = module(path).into_iter().next() else { continue };
        for mention in &source.mentions {
            let Some(need) = tree.need(path, mention) else { continue };
            let written = need.written.and_then(|path| path.into_iter().next());
            let reached = module(&need.file).into_iter().next();
            for folder in [written, reached].into_iter().flatten() {
                if folder != own
                    && place(house, &own).zip(place(house, &folder)).is_some_and(|(own, other)| own <= other)
                {
                    let names = found.entry((path.clone(), need.file.clone(), folder)).or_default();
                    names.insert(mention.path.join("::"));
                }
            }
        }
    }
    found
        .into_iter()
        .map(|((from, to, above), names)| {
            let below = module(&from).swap_remove(0);
            let names = names.into_iter().collect();
            Fault::Upward { house: house.directory.to_owned(), from, to, names, below, above }
        })
        .collect()
}

/// Files that need each other: of all that hang together, the shortest way round.
fn circles(house: &House, needs: &Needs) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for file in needs.keys() {
        if seen.contains(file) {
            continue;
        }
        let Some(circle) = way_back(needs, file) else { continue };
        seen.extend(circle.iter().cloned());
        let steps = circle.iter().zip(circle.iter().cycle().skip(1)).map(|(from, to)| Step {
            from: from.clone(),
            to: to.clone(),
            names: needs[from][to].iter().cloned().collect(),
        });
        found.push(Fault::Circle { house: house.directory.to_owned(), steps: steps.collect() });
    }
    found
}

/// The needs of all files that are not tests. That a face re-exports what is in its own files is none, and an import
/// that is known to be wrong is left out: every circle that it closes would be found, though it is one fault.
fn needs(tree: &Tree, wrong: &[Fault]) -> Needs {
    let is_wrong = |path: &str, file: &str| {
        wrong
            .iter()
            .any(|fault| matches!(fault, Fault::Upward { from, to, .. } if from == path && to == file))
    };
    let mut needs = Needs::new();
    for (path, source) in tree.files.iter().filter(|(path, _)| !tree.is_test(path)) {
        for mention in &source.mentions {
            let Some(need) = tree.need(path, mention).filter(|need| need.file != *path) else { continue };
            let face = mention.public && module(&need.file).starts_with(&module(path));
            if !face && !is_wrong(path, &need.file) {
                let names = needs.entry(path.clone()).or_default().entry(need.file).or_default();
                names.insert(mention.path.join("::"));
            }
        }
    }
    needs
}

/// The shortest way from a file to itself.
fn way_back(needs: &Needs, start: &str) -> Option<Vec<String>> {
    let mut came: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for next in needs.get(file).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut way = vec![file];
                while way[way.len() - 1] != start {
                    way.push(came[way[way.len() - 1]]);
                }
                return Some(way.into_iter().rev().map(str::to_owned).collect());
            }
            if !came.contains_key(next.as_str()) {
                came.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}
