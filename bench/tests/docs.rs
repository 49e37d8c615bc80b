//! Docs that cannot drift. In README.md and docs/answers, tables and figures are from files under `results/reference`:
//!
//! - `<!-- from: FILE, columns 1-4 7, table TITLE -->` … `<!-- end -->` holds a table of a `report.md`, and
//!   `<!-- from: FILE, number /json/pointer as FORMAT -->` … `<!-- end -->` a figure of a JSON file; [`fill`] says of what
//!   formats. `make docs` fills both in; the test fails if that would change anything.
//! - `<!-- figures: FILE … -->` says where the figures of the text below stand, up to the next of these. A directory is its
//!   `report.md` and `environment.json`. `A = B - C` after a semicolon is a figure that follows from two of
//!   them; `none, WHY` is for text whose figures are not measured. [`figures`] says what a figure is, and when it stands in a file.

#[path = "docs/figures.rs"]
mod figures;
#[path = "docs/fill.rs"]
mod fill;

use std::fs;
use std::path::{Path, PathBuf};

/// With this set to `write`, docs are filled in rather than looked at: `make docs`.
const WRITE: &str = "PAGEHINT_DOCS";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file under the root, by its name in a marker.
fn file(name: &str) -> Result<String, String> {
    fs::read_to_string(root().join(name)).map_err(|error| format!("{name} cannot be read: {error}"))
}

/// Every document with its name.
fn documents() -> Vec<(PathBuf, String)> {
    let answers = fs::read_dir(root().join("docs/answers")).unwrap().map(|entry| entry.unwrap().path());
    let paths = answers.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut paths: Vec<PathBuf> = paths.chain([root().join("README.md")]).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn what_docs_have_from_files_is_what_stands_in_them() {
    for (path, text) in documents() {
        let filled = fill::filled(&text, &file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if std::env::var_os(WRITE).is_some_and(|word| word == "write") {
            fs::write(&path, &filled).unwrap();
            continue;
        }
        let same = text.lines().zip(filled.lines()).take_while(|(is, should)| is == should).count();
        let [is, should] = [&text, &filled].map(|text| text.lines().nth(same).unwrap_or_default());
        assert!(
            text == filled,
            "{} has drifted in line {}; make docs:\n{is}\n{should}",
            path.display(),
            same + 1
        );
    }
}

#[test]
fn every_figure_stands_in_a_file_that_is_named_beside_it() {
    let faults: Vec<String> = documents()
        .iter()
        .flat_map(|(path, text)| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            figures::faults(text, &file).into_iter().map(move |fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
