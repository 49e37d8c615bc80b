//! The order of the house: which folder of a crate may import from which, that no two files need each other, and
//! that a file is short enough to be read in one go.
//!
//! | module | what |
//! |---|---|
//! | `tokens` | a file as words and marks |
//! | `source` | what a file mentions outside its tests |
//! | `tree` | the files of a crate, and which of them a path leads to |
//! | `rules` | the rules, and what is said where one is broken |
//! | `planted` | small trees with faults, all of which have to be found |

#[path = "house/planted.rs"]
mod planted;
#[path = "house/rules.rs"]
mod rules;
#[path = "house/source.rs"]
mod source;
#[path = "house/tokens.rs"]
mod tokens;
#[path = "house/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rules::{Fault, House, faults, too_long};
use source::Source;

/// The folders of every crate, from the ground up; those in one row know nothing of each other.
const HOUSES: [House; 4] = [
    House {
        directory: "abi",
        name: "abi",
        rows: &[
            &["addr"],
            &["digest", "step", "tally", "violation"],
            &["axes", "calls", "control", "layout"],
            &["boot", "notes", "wire"],
            &["engine", "timed"],
        ],
    },
    House {
        directory: "guest-payload",
        name: "guest_payload",
        rows: &[&["metal"], &["transport"], &["engine", "timed"], &["program"], &["bare"]],
    },
    House {
        directory: "host",
        name: "host",
        rows: &[
            &["axes"],
            &["memory"],
            &["kvm"],
            &["fault"],
            &["reclaim"],
            &["balloon"],
            &["transport"],
            &["serve"],
            &["probe"],
            &["trial"],
            &["engine", "linux", "timed"],
        ],
    },
    House {
        directory: "bench",
        name: "bench",
        rows: &[
            &["figure"],
            &["axes"],
            &["site"],
            &["trial"],
            &["plan"],
            &["archive"],
            &["run"],
            &["model"],
            &["experiment"],
            &["report"],
            &["exchange"],
            &["schema"],
            &["lab"],
            &["cli"],
        ],
    },
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust files under a directory, by their paths from it.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn demand_none(faults: &[Fault]) {
    let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{} broken rules of the house:\n\n{}\n", faults.len(), text.join("\n\n"));
}

#[test]
fn the_house_is_in_order() {
    let all = HOUSES.iter().flat_map(|house| {
        let texts = files(&workspace().join(house.directory).join("src"));
        assert!(texts.contains_key("lib.rs"), "{}: no sources found", house.directory);
        faults(house, &texts)
    });
    demand_none(&all.collect::<Vec<_>>());
}

#[test]
fn tests_and_benches_are_short_enough() {
    let folders =
        HOUSES.iter().flat_map(|house| ["tests", "benches"].map(|folder| (house.directory, folder)));
    let all = folders.flat_map(|(house, folder)| {
        let long = |(path, text): (String, String)| {
            too_long(&format!("{house}/{folder}/{path}"), &Source::of(&text), true)
        };
        files(&workspace().join(house).join(folder)).into_iter().filter_map(long).collect::<Vec<_>>()
    });
    demand_none(&all.collect::<Vec<_>>());
}
