//! Runs as others have them: held against each other, put together, exported, damaged. Needs no KVM: the runs are those of
//! `results/reference`.

#[path = "exchange/damage.rs"]
mod damage;
#[path = "exchange/fleet.rs"]
mod fleet;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run cannot be read without, and its histograms.
const FILES: [&str; 4] = ["environment.json", "plan.toml", "trials.jsonl", "histograms.hlog"];

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference").join(name)
}

/// A copy of a reference run.
fn copy(name: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in FILES {
        fs::copy(reference(name).join(file), to.join(file)).unwrap();
    }
}

fn pagehint<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Output {
    Command::new(assert_cmd::cargo::cargo_bin("pagehint")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs, expects the code, and returns both what was said and complained of.
fn expect(code: i32, arguments: &[&str]) -> String {
    let output = pagehint(arguments);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    said
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_longer_path_is_code_3_and_a_shorter_one_is_shown() {
    let [old, new] = ["lab-6.1", "lab-6.12"].map(reference);
    let [old, new] = [&old, &new].map(|run| path(run));
    let said = expect(2, &["diff", old, new]);
    assert!(said.contains("--allow kernel,settings") && said.contains("6.12"), "{said}");
    let allowed = ["--allow", "kernel,settings"];
    let said = expect(3, &[&["diff", old, new][..], &allowed].concat());
    assert!(
        said.contains("+7.06 %") && said.contains("geometric mean") && said.contains("12 are worse"),
        "{said}"
    );
    // One that nothing is beyond; and read the other way round paths are shorter.
    expect(0, &[&["diff", old, new, "--threshold", "20"][..], &allowed].concat());
    let json = expect(3, &[&["diff", new, old, "--json"][..], &allowed].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["unit"], json["cells"].as_array().unwrap().len()), (&"instructions".into(), 18));
    assert!(json["cells"][0]["change"].as_f64().unwrap() < 0.0, "{json}");
    assert!(expect(2, &["diff", old, new, "--threshold", "-1"]).contains("use 0 or more"));
    assert!(expect(2, &["diff", old, path(&reference("kvm_pvm"))]).contains("in ns"));
}

#[test]
fn a_run_held_against_itself_says_nothing() {
    for name in ["lab-check", "kvm_pvm", "kvm_pvm-engine/walk"] {
        let run = reference(name);
        let said = expect(0, &["diff", path(&run), path(&run)]);
        assert!(said.contains(", 0 are shown to differ; 0 are worse"), "{name}: {said}");
    }
}

#[test]
fn a_set_adds_histograms_up_without_loss_and_shows_them_by_host_and_across() {
    let place = tempfile::tempdir().unwrap();
    let (set, runs) = (place.path().join("set"), ["lab-6.1", "lab-check", "lab-intel-6.1"].map(reference));
    let arguments: Vec<&str> =
        ["merge", path(&set)].into_iter().chain(runs.iter().map(|run| path(run))).collect();
    expect(0, &arguments);
    assert!(expect(1, &arguments).contains("not empty"));
    let said = expect(0, &["report", path(&set)]);
    for part in ["3 runs on 2 kinds of host", "across hosts", "kvm_intel", "most/least"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(fs::read_to_string(set.join("report.md")).unwrap().contains("| virtio.none.b32 "));
    let csv = fs::read_to_string(set.join("by-host.csv")).unwrap();
    let row =
        csv.lines().find(|line| line.contains("kvm_amd") && line.contains("virtio.dontneed.b32")).unwrap();
    // Six trials and one, of 32 reports each.
    assert!(row.contains(",instructions,2,7,0,224,"), "{row}");
    let twice = [path(&set), path(&runs[0]), path(&runs[0])];
    assert!(expect(1, &["merge", &format!("{}2", twice[0]), twice[1], twice[2]]).contains("named twice"));
    let other = reference("kvm_pvm");
    let mixed = place.path().join("mixed");
    assert!(expect(1, &["merge", path(&mixed), path(&runs[0]), path(&other)]).contains("make a set of each"));
    assert!(
        !mixed.exists() && fs::read_dir(place.path()).unwrap().count() == 1,
        "nothing is left of what failed"
    );
}

/// What independent readers make of them is seen by `.ci/read-exports.py`.
#[test]
fn every_format_is_written_and_what_cannot_be_is_said() {
    let place = tempfile::tempdir().unwrap();
    let run = reference("lab-check");
    let run = path(&run);
    for (format, part) in [
        ("hlog", "Tag=virtio.none.b32.total,"),
        ("csv", "virtio.none.b32,virtio,none,"),
        ("json", "\"answer\""),
        ("go", "BenchmarkLadder/rung=virtio/discard=none/batch=32 1024 672.875 instr"),
        ("openmetrics", "# EOF"),
        ("trace", "\"traceEvents\""),
    ] {
        let said = expect(0, &["export", run, "--as", format]);
        assert!(said.contains(part), "{format}: {said}");
        let file = place.path().join(format);
        expect(0, &["export", run, "--as", format, "--out", path(&file)]);
        assert_eq!(fs::read_to_string(&file).unwrap(), said);
    }
    let hgrm = expect(0, &["export", run, "--as", "hgrm", "--cell", "virtio.none.b32"]);
    assert!(hgrm.contains("1/(1-Percentile)") && hgrm.contains("Total count    =           32"), "{hgrm}");
    let several = expect(2, &["export", run, "--as", "hgrm"]);
    assert!(several.contains("--cell one of ") && several.contains(" in-kernel.none.b32"), "{several}");
    assert!(expect(2, &["export", run, "--as", "go", "--cell", "x"]).contains("no cell x"));
    assert!(expect(2, &["export", run, "--as", "xml"]).contains("openmetrics"));
    assert!(
        expect(1, &["export", run, "--as", "go", "--out", "/proc/no/such/file"])
            .contains("cannot be written")
    );
    let engine = reference("kvm_pvm-engine/walk");
    assert!(expect(0, &["export", path(&engine), "--as", "go"]).contains("op/s"));
    assert!(expect(1, &["export", path(&engine), "--as", "trace"]).contains("no phases"));
}
