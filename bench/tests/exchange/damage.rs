//! Runs and sets that are damaged, and what every command that reads them says: file, line, and never half a result.

use std::fs;
use std::path::Path;

use crate::{copy, expect, path, reference};

/// What is done to a file, and what is to be said of it.
type Damage = (&'static str, &'static str, fn(&str) -> String, &'static str);

/// The third line, changed.
fn third(text: &str, change: impl Fn(&str) -> String) -> String {
    let line = |(at, line): (usize, &str)| if at == 2 { change(line) } else { line.to_owned() };
    text.lines().enumerate().map(line).map(|line| line + "\n").collect()
}

const MILLION: usize = 1_000_000;

const DAMAGES: &[Damage] = &[
    (
        "half a line",
        "trials.jsonl",
        |text| third(text, |line| line[..line.len() / 2].to_owned()),
        "line 3 of ",
    ),
    (
        "another schema",
        "trials.jsonl",
        |text| third(text, |line| line.replace("\"schema_version\":3", "\"schema_version\":2")),
        "line 3 of ",
    ),
    (
        "mixed units",
        "trials.jsonl",
        |text| {
            third(text, |line| {
                line.replace("\"unit\":\"instructions\"", "\"unit\":\"ns\",\"tsc_khz\":1000000")
            })
        },
        "line 3 of ",
    ),
    (
        "no number",
        "trials.jsonl",
        |text| third(text, |line| line.replace("\"p50\":", "\"p50\":NaN,\"x\":")),
        "line 3 of ",
    ),
    (
        "no figure",
        "trials.jsonl",
        |text| third(text, |line| line.replace("\"p50\":", "\"p50\":null,\"x\":")),
        "line 3 of ",
    ),
    (
        "beyond all numbers",
        "trials.jsonl",
        |text| third(text, |line| line.replace("\"p50\":", "\"p50\":1e999,\"x\":")),
        "line 3 of ",
    ),
    (
        "a trial again",
        "trials.jsonl",
        |text| third(text, |line| line.replace("\"trial\":2", "\"trial\":1")),
        "line 3 of ",
    ),
    ("nothing", "trials.jsonl", |_| String::new(), "no trial of "),
    ("a million lines of nothing", "trials.jsonl", |_| "{}\n".repeat(MILLION), "line 1 of "),
    ("bytes", "trials.jsonl", |_| "\u{0}\u{1}\n".to_owned(), "line 1 of "),
    ("nothing", "environment.json", |_| String::new(), "line 1 of "),
    ("half", "environment.json", |text| text[..text.len() / 2].to_owned(), "line 1 of "),
    ("another schema", "environment.json", |text| text.replacen(": 3", ": 4", 1), "schema version 4"),
    ("no histogram", "histograms.hlog", |text| text.replacen("HISTFA", "XISTFA", 1), "line "),
    ("a line cut", "histograms.hlog", |text| text.replacen("HISTFA", "\n", 1), "line "),
    (
        "a million lines before it",
        "histograms.hlog",
        |text| "#\n".repeat(MILLION) + &text.replacen("HISTFA", "X", 1),
        "line 10",
    ),
];

/// What each command is asked of a damaged run; the last of what it would write.
fn commands<'a>(run: &'a str, sound: &'a str, out: &'a str) -> [Vec<&'a str>; 4] {
    [
        vec!["report", run],
        vec!["diff", sound, run],
        vec!["merge", out, sound, run],
        vec!["export", run, "--as", "openmetrics", "--out", out],
    ]
}

#[test]
fn what_is_damaged_is_named_with_its_line_and_nothing_is_written() {
    for (what, file, damage, said) in DAMAGES {
        let place = tempfile::tempdir().unwrap();
        let [run, out] = ["run", "out"].map(|name| place.path().join(name));
        copy("lab-check", &run);
        let sound = reference("lab-check");
        fs::write(run.join(file), damage(&fs::read_to_string(sound.join(file)).unwrap())).unwrap();
        for arguments in commands(path(&run), path(&sound), path(&out)) {
            let complained = expect(1, &arguments);
            assert!(complained.contains(said), "{what} of {file}, {arguments:?}: {complained}");
            // A run without trials is named by its directory.
            assert!(complained.contains(file) || *said == "no trial of ", "{what} of {file}: {complained}");
            assert!(!out.exists(), "{what} of {file}: {arguments:?}");
        }
        assert!(!run.join("summary.json").exists(), "{what} of {file}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "{what} of {file}: something is left");
    }
}

#[test]
fn a_plan_that_is_none_is_named_where_a_plan_is_read() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    copy("lab-check", &run);
    let sound = reference("lab-check");
    let not_a_number = "schema-version = 3\nexperiment = \"ladder\"\nname = \"x\"\n[choices]\nblocks = nan\n";
    for text in ["", not_a_number] {
        fs::write(run.join("plan.toml"), text).unwrap();
        for arguments in [
            &["report", path(&run)][..],
            &["diff", path(&sound), path(&run)],
            &["export", path(&run), "--as", "go"],
        ] {
            let said = expect(1, arguments);
            assert!(said.contains("plan.toml") && said.contains("line "), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn a_run_that_was_killed_is_read_as_far_as_it_goes_and_that_is_said() {
    let place = tempfile::tempdir().unwrap();
    let [run, set] = ["run", "set"].map(|name| place.path().join(name));
    copy("lab-check", &run);
    for (file, cut) in [("trials.jsonl", 100), ("histograms.hlog", 100)] {
        let text = fs::read(run.join(file)).unwrap();
        fs::write(run.join(file), &text[..text.len() - cut]).unwrap();
    }
    let sound = reference("lab-check");
    let torn = "the last line of trials.jsonl is torn";
    for arguments in [
        &["report", path(&run)][..],
        &["diff", path(&sound), path(&run)],
        &["export", path(&run), "--as", "csv"],
    ] {
        let said = expect(0, arguments);
        assert!(said.contains(torn), "{arguments:?}: {said}");
    }
    expect(0, &["merge", path(&set), path(&run), path(&sound)]);
    let said = expect(0, &["report", path(&set)]);
    assert!(
        said.contains(&format!("of 1 runs: {torn}")) && said.contains("2 runs on 1 kinds of host"),
        "{said}"
    );
}

/// What is done to a file of a set, and what is to be said of it.
const OF_A_SET: &[Damage] = &[
    ("nothing", "set.jsonl", |_| String::new(), "ends in line 1"),
    ("a torn end", "set.jsonl", |text| text[..text.len() - 9].to_owned(), "ends in line 3"),
    (
        "another schema",
        "set.jsonl",
        |text| third(text, |line| line.replace("\"schema_version\":3", "\"schema_version\":2")),
        "line 3 of ",
    ),
    (
        "no number",
        "set.jsonl",
        |text| third(text, |line| line.replace("\"median\":", "\"median\":NaN,\"x\":")),
        "line 3 of ",
    ),
    (
        "a host that is none",
        "set.jsonl",
        |text| third(text, |line| line.replace("\"host\":\"h1\"", "\"host\":\"h7\"")),
        "line 3 of ",
    ),
    ("no histogram", "histograms.hlog", |text| text.replacen("HISTFA", "XISTFA", 1), "line "),
    (
        "a cell that is none",
        "histograms.hlog",
        |text| text.replacen("Tag=h0.floor", "Tag=h0.flor", 1),
        "line ",
    ),
    (
        "a million lines that are none",
        "set.jsonl",
        |text| text.to_owned() + &"{}\n".repeat(MILLION),
        "line 4 of ",
    ),
];

#[test]
fn a_damaged_set_is_named_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let set = place.path().join("set");
    expect(0, &["merge", path(&set), path(&reference("lab-check")), path(&reference("lab-intel-6.1"))]);
    for (what, file, damage, said) in OF_A_SET {
        let sound = fs::read_to_string(set.join(file)).unwrap();
        fs::write(set.join(file), damage(&sound)).unwrap();
        let complained = expect(1, &["report", path(&set)]);
        assert!(complained.contains(said) && complained.contains(file), "{what} of {file}: {complained}");
        assert!(!Path::new(&set).join("report.md").exists(), "{what} of {file}");
        fs::write(set.join(file), sound).unwrap();
    }
    expect(0, &["report", path(&set)]);
}
