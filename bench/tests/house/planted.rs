//! Small trees with one fault each, which has to be found, and with what looks like one, which must not be.

use std::collections::BTreeMap;

use crate::rules::{EXCUSE, Fault, House, LINES, Step, TEST_LINES, faults};

const HOUSE: House =
    House { directory: "small", name: "small", rows: &[&["low"], &["beside", "middle"], &["high"]] };

/// A sound tree with the given files added or replaced, and what is wrong with it.
fn found(changed: &[(&str, &str)]) -> Vec<Fault> {
    let sound =
        [("lib.rs", "pub mod low;"), ("low.rs", ""), ("beside.rs", ""), ("middle.rs", ""), ("high.rs", "")];
    let texts = sound.iter().chain(changed).map(|&(path, text)| (path.to_owned(), text.to_owned()));
    faults(&HOUSE, &texts.collect::<BTreeMap<_, _>>())
}

fn upward(from: &str, to: &str, name: &str) -> Fault {
    let folder = |path: &str| path.split(['/', '.']).next().unwrap().to_owned();
    Fault::Upward {
        house: "small".to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        names: vec![name.to_owned()],
        below: folder(from),
        above: folder(to),
    }
}

/// A circle of these files and names, from each to the next.
fn circle(steps: &[(&str, &str)]) -> Fault {
    let next = steps.iter().cycle().skip(1);
    let step = |(&(from, name), &(to, _)): (&(&str, &str), &(&str, &str))| Step {
        from: from.to_owned(),
        to: to.to_owned(),
        names: vec![name.to_owned()],
    };
    Fault::Circle { house: "small".to_owned(), steps: steps.iter().zip(next).map(step).collect() }
}

fn lines(count: usize) -> String {
    "const X: u8 = 0;\n".repeat(count)
}

#[test]
fn imports_downward_and_within_a_folder_are_sound() {
    let high = "use crate::{low, middle::{self, Thing as Other}};\nuse own::Own;\nfn f() { middle::run() }";
    let tree =
        [("high.rs", high), ("high/own.rs", "use crate::low::Thing;"), ("middle.rs", "use super::low::X;")];
    assert_eq!(found(&tree), []);
    assert_eq!(found(&[("main.rs", "use small::high::Thing;"), ("lib.rs", "fn f() { high::run() }")]), []);
}

#[test]
fn an_import_from_above_is_found_however_it_is_written() {
    for (text, name) in [
        ("use crate::high::own::Thing;", "crate::high::own::Thing"),
        ("pub(crate) use crate::{low::X, high::{own::Thing as Y}};", "crate::high::own::Thing"),
        ("use small::high::own::*;", "small::high::own"),
        ("use super::high::own::{self};", "super::high::own"),
        ("fn f() -> u8 { let x = 'x'; crate::high::own::run(x) }", "crate::high::own::run"),
        (
            "mod inner { fn f<'a>() -> super::super::high::own::Thing<'a> {} }",
            "super::super::high::own::Thing",
        ),
        ("#[arg(value_parser = crate::high::own::parse)] struct S;", "crate::high::own::parse"),
        ("#[cfg(not(test))] use crate::high::own::Thing;", "crate::high::own::Thing"),
        (
            "#[cfg(test)] mod tests { use crate::high::own::Y; }\nuse crate::high::own::X;",
            "crate::high::own::X",
        ),
        ("#[cfg(test)] use crate::low::{A, B};\nuse crate::high::own::X;", "crate::high::own::X"),
        ("enum E { #[cfg(test)] A(u8), B(crate::high::own::X) }", "crate::high::own::X"),
    ] {
        let tree = [("middle.rs", text), ("high/own.rs", "")];
        assert_eq!(found(&tree), [upward("middle.rs", "high/own.rs", name)], "{text}");
    }
}

#[test]
fn folders_in_one_row_know_nothing_of_each_other() {
    let tree = [("middle.rs", "use crate::beside::Thing;")];
    assert_eq!(found(&tree), [upward("middle.rs", "beside.rs", "crate::beside::Thing")]);
}

#[test]
fn nothing_that_ships_imports_from_testing() {
    let tree = [("high.rs", "use crate::testing::rig;"), ("testing.rs", ""), ("testing/rig.rs", "")];
    assert_eq!(found(&tree), [upward("high.rs", "testing/rig.rs", "crate::testing::rig")]);
}

#[test]
fn comments_strings_and_tests_import_nothing() {
    for text in [
        "// use crate::high::Thing;",
        "/// See [`crate::high::Thing`].\nfn f() {}",
        "/* use crate::high::X; /* nested */ use crate::high::Y; */",
        "const X: &str = \"use crate::high::Thing;\";",
        "const X: &str = r#\"\" use crate::high::Thing;\"#;",
        "const X: &[u8] = b\"\\\" crate::high::Thing\";",
        "const X: char = '\"'; const Y: &str = \"crate::high::X\"; const Z: char = '\\'';",
        "#[cfg(test)]\nmod tests {\n    use crate::high::Thing;\n    fn f() { { crate::high::run() } }\n}",
        "#[cfg(any(test, feature = \"fuzz\"))]\n#[must_use]\npub(crate) fn f() { crate::high::run() }",
        "#[cfg(test)]\npub(crate) use crate::high::{Thing, Other};",
        "struct S { #[cfg(test)] pub(crate) x: crate::high::Thing }",
        "pub(in crate::high) fn f() {}",
    ] {
        assert_eq!(found(&[("low.rs", text)]), [], "{text}");
    }
}

#[test]
fn files_of_tests_import_what_they_like() {
    let text = "use crate::high::Thing;";
    let declared = [("low.rs", "#[cfg(test)]\npub mod fake;\nmod tests;"), ("low/fake.rs", text)];
    assert_eq!(found(&declared), []);
    assert_eq!(found(&[("low/tests.rs", text), ("low/tests/more.rs", text), ("testing/rig.rs", text)]), []);
}

#[test]
fn a_folder_has_a_place_and_a_place_a_folder() {
    let folder = "new".to_owned();
    assert_eq!(found(&[("new/part.rs", "")]), [Fault::Unknown { house: "small".to_owned(), folder }]);
    let folder = "high".to_owned();
    let texts =
        ["lib.rs", "low.rs", "beside.rs", "middle/part.rs"].map(|path| (path.to_owned(), String::new()));
    assert_eq!(faults(&HOUSE, &texts.into()), [Fault::Gone { house: "small".to_owned(), folder }]);
}

#[test]
fn files_that_need_each_other_are_found() {
    let two = [("low/a.rs", "use super::b::B;"), ("low/b.rs", "fn f() { crate::low::a::run() }")];
    assert_eq!(found(&two), [circle(&[("low/a.rs", "super::b::B"), ("low/b.rs", "crate::low::a::run")])]);
    let three = [
        ("low/a.rs", "use crate::low::b::B;"),
        ("low/b.rs", "use crate::low::c::C;"),
        ("low/c.rs", "use crate::low::a::A;"),
        ("low/d.rs", "use crate::low::a::A;"),
    ];
    let steps = [
        ("low/a.rs", "crate::low::b::B"),
        ("low/b.rs", "crate::low::c::C"),
        ("low/c.rs", "crate::low::a::A"),
    ];
    assert_eq!(found(&three), [circle(&steps)]);
}

#[test]
fn an_import_from_above_is_one_fault_though_it_closes_a_circle() {
    let tree = [("low.rs", "use crate::high::Thing;"), ("high.rs", "use crate::low::Thing;")];
    assert_eq!(found(&tree), [upward("low.rs", "high.rs", "crate::high::Thing")]);
}

#[test]
fn a_face_that_uses_its_files_may_not_be_used_by_them() {
    let used = [("low.rs", "mod part;\nfn f() { part::run() }"), ("low/part.rs", "use super::Thing;")];
    assert_eq!(found(&used), [circle(&[("low.rs", "part::run"), ("low/part.rs", "super::Thing")])]);
    let shown =
        [("low.rs", "mod part;\npub(crate) use part::{Part, run};"), ("low/part.rs", "use super::Thing;")];
    assert_eq!(found(&shown), []);
}

#[test]
fn a_name_of_a_face_is_the_file_that_has_it() {
    let face = ("low.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B as C;");
    let sound = [face, ("low/a.rs", "use super::C;"), ("low/b.rs", "")];
    assert_eq!(found(&sound), []);
    let circular =
        [face, ("low/a.rs", "use super::C;"), ("low/b.rs", "use crate::low;\nfn f() { low::A::new() }")];
    assert_eq!(found(&circular), [circle(&[("low/a.rs", "super::C"), ("low/b.rs", "low::A::new")])]);
}

#[test]
fn a_file_over_the_limit_says_why() {
    let long = |file: &str, lines, limit| vec![Fault::Long { file: file.to_owned(), lines, limit }];
    assert_eq!(found(&[("low.rs", &lines(LINES))]), []);
    assert_eq!(found(&[("low.rs", &lines(LINES + 1))]), long("small/src/low.rs", LINES + 1, LINES));
    let said = format!("//! A table.\n//!\n//! {EXCUSE}: it is one table.\n{}", lines(LINES));
    assert_eq!(found(&[("low.rs", &said)]), []);
    let elsewhere = format!("{}// {EXCUSE}\n", lines(LINES));
    assert_eq!(found(&[("low.rs", &elsewhere)]), long("small/src/low.rs", LINES + 1, LINES));
}

#[test]
fn tests_are_counted_apart() {
    let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(LINES), lines(LINES));
    assert_eq!(found(&[("low.rs", &tests)]), []);
    let after = format!("#[cfg(test)]\nmod tests {{\n{}}}\n{}", lines(LINES), lines(LINES + 1));
    assert_eq!(found(&[("low.rs", &after)]).len(), 1);
    assert_eq!(found(&[("low/tests.rs", &lines(TEST_LINES))]), []);
    assert_eq!(found(&[("low/tests.rs", &lines(TEST_LINES + 1))]).len(), 1);
}

#[test]
fn a_fault_says_who_needs_whom_and_the_way_out() {
    let said = |tree: &[(&str, &str)]| found(tree)[0].to_string();
    let upward = said(&[("low.rs", "use crate::high::Thing;")]);
    for part in [
        "low.rs imports from high.rs",
        "crate::high::Thing",
        "`high` does not stand below `low`",
        "hand it in",
    ] {
        assert!(upward.contains(part), "{upward}");
    }
    let circle = said(&[("low/a.rs", "use super::b::B;"), ("low/b.rs", "use super::a::A;")]);
    for part in ["low/a.rs -> low/b.rs: super::b::B", "low/b.rs -> low/a.rs: super::a::A", "do without"] {
        assert!(circle.contains(part), "{circle}");
    }
    assert!(said(&[("low.rs", &lines(LINES + 1))]).contains(EXCUSE));
    assert!(said(&[("new.rs", "")]).contains("`new` has no place"));
}
