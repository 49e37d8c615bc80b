//! `pagehint report`, and what every run ends with.

use std::io::Write;
use std::path::Path;

use super::exit::Code;
use crate::archive::hlog;
use crate::report::summary::Summary;
use crate::report::{Report, terminal};

pub(super) fn run(directory: &Path, out: &mut dyn Write) -> anyhow::Result<Code> {
    let report = Report::of(directory)?;
    show(&report, directory, out)?;
    Ok(code(&report.shown.summary))
}

/// Prints a report and then writes it down: what cannot be written has been read at least, and the other way round.
pub(super) fn show(report: &Report, directory: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let printed = print(report, out);
    write(report, directory, out)?;
    printed
}

pub(super) fn print(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    terminal::show(out, &report.shown)?;
    Ok(out.flush()?)
}

pub(super) fn write(report: &Report, directory: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    report.write(directory)?;
    let names = report.files.iter().map(|(name, _)| *name).chain([hlog::FILE]).collect::<Vec<_>>();
    writeln!(out, "\n{}: {}", directory.display(), names.join(", "))?;
    Ok(out.flush()?)
}

/// Whether everything that must hold does, and whether the run knows what it was asked to know.
pub(super) fn code(summary: &Summary) -> Code {
    if summary.failed() {
        Code::Error
    } else if summary.is_wanting() {
        Code::Wanting
    } else {
        Code::Fine
    }
}
