//! What the command says, held as transcripts in `bench/tests/said`. Where it is meant to be otherwise:
//! `TRYCMD=overwrite cargo test -p pagehint --test said`, and the difference is part of the commit.

#[test]
fn the_command_says_what_it_said() {
    trycmd::TestCases::new()
        .case("tests/said/*.md")
        // Help is wrapped at the width of a terminal, of which there is none here.
        .env("COLUMNS", "110");
}
