//! The gate on path length: `pagehint lab --against`.

use std::io::{self, Write};
use std::path::Path;

use super::exit::Code;
use crate::archive::Archive;
use crate::experiment::ladder::gate::{self, Change, TOLERANCE};
use crate::figure::unit::percent;
use crate::report::terminal;

/// What the gate says.
pub(super) struct Gate {
    /// A path has grown.
    grown: bool,
    /// A path has grown or shrunk: the reference no longer describes the code.
    changed: bool,
}

impl Gate {
    /// Holds a run against the reference, rung by rung, and shows what it finds.
    pub(super) fn of(reference: &Archive, now: &Archive, out: &mut dyn Write) -> anyhow::Result<Self> {
        let changes = gate::changes(reference, now)?;
        terminal::show_growth(out, &changes)?;
        for ((what, then), (_, now)) in
            reference.environment.made_by().into_iter().zip(now.environment.made_by())
        {
            // An old reference does not say all of it.
            if then != now && !then.is_empty() {
                let sentence = format!("{what} is not the reference's: {then} there, {now} here");
                terminal::bullet(out, "note:", &sentence)?;
            }
        }
        let count = |which: fn(&Change) -> bool| changes.iter().filter(|change| which(change)).count();
        let (grown, shrunk, limit) =
            (count(Change::has_grown), count(Change::has_shrunk), percent(TOLERANCE));
        writeln!(
            out,
            "\nof {} paths, {grown} grew by more than {limit} and {shrunk} shrank by more",
            changes.len()
        )?;
        Ok(Self { grown: grown > 0, changed: grown + shrunk > 0 })
    }

    pub(super) fn code(&self) -> Code {
        if self.grown { Code::Grown } else { Code::Fine }
    }

    /// Says how the run becomes the reference, if that no longer describes the code.
    pub(super) fn advise(&self, reference: &Path, run: &Path, out: &mut dyn Write) -> io::Result<()> {
        if self.changed {
            let (old, new) = (reference.display(), run.display());
            writeln!(out, "If that is meant to be, make this run the reference and say why in the commit:")?;
            writeln!(out, "  cp -R {new} {old}.new && rm -r {old} && mv {old}.new {old}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::timed::counted;

    #[test]
    fn the_gate_is_shut_to_a_longer_path_and_open_to_a_shorter() {
        for (total, code, changed) in
            [(10_000, Code::Fine, false), (10_200, Code::Grown, true), (9_800, Code::Fine, true)]
        {
            let now = counted(total);
            let mut out = Vec::new();
            let gate = Gate::of(&counted(10_000), &now, &mut out).unwrap();
            assert_eq!(
                (gate.code(), gate.changed),
                (code, changed),
                "{total}: {}",
                String::from_utf8_lossy(&out)
            );
        }
    }
}
