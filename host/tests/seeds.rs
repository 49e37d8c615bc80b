//! What fuzzers began from, and what they found, is played again: every file under `fuzz/seeds` and `fuzz/corpus`, to the
//! function that its folder is named after.

use std::path::{Path, PathBuf};
use std::{fs, io};

use host::testing::fuzzing;

/// A function of bytes that panics if an invariant does not hold.
type Function = fn(&[u8]);

/// By the names of the fuzz targets.
const FUNCTIONS: &[(&str, Function)] = &[
    ("abi", fuzzing::abi),
    ("balloon", fuzzing::balloon),
    ("calls", fuzzing::calls),
    ("foreign", fuzzing::foreign),
    ("frames", fuzzing::frames),
    ("log", fuzzing::log),
    ("packed", fuzzing::packed),
    ("pairing", fuzzing::pairing),
    ("request", fuzzing::request),
    ("status", fuzzing::status),
    ("stores", fuzzing::stores),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// What is in a folder, in the order of names; nothing if it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("{}: {error}", folder.display()),
    };
    entries.sort();
    entries
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|name| name.to_str()).expect("names here are plain")
}

#[test]
fn every_seed_is_played_and_holds() {
    for (target, function) in FUNCTIONS {
        let seeds = entries(&fuzz().join("seeds").join(target));
        assert!(!seeds.is_empty(), "fuzz/seeds/{target} is empty");
        for file in seeds.iter().chain(&entries(&fuzz().join("corpus").join(target))) {
            // Shown if the function panics.
            println!("{}", file.display());
            function(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_function_here() {
    let functions: Vec<_> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    for folder in ["fuzz_targets", "seeds"] {
        let there = entries(&fuzz().join(folder));
        assert_eq!(there.iter().map(|path| name(path)).collect::<Vec<_>>(), functions, "fuzz/{folder}");
    }
}
