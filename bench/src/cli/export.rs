//! `pagehint export`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit::Code;
use crate::archive::{Archive, file};
use crate::exchange::export::{Format, export};
use crate::report::ReportError;

/// What is exported, and how.
#[derive(Args, Clone, Debug)]
pub(super) struct ExportOptions {
    /// The run directory.
    run: PathBuf,
    /// The format.
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    format: Format,
    /// One cell of the run, by its name as the tables of `pagehint diff` have it.
    #[arg(long, value_name = "NAME")]
    cell: Option<String>,
    /// Where it goes. [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(options: &ExportOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    let archive = Archive::open(&options.run)?;
    for remark in &archive.remarks {
        // What is read by a program has no place for it.
        let _ = writeln!(anstream::stderr(), "pagehint: remark: {remark}");
    }
    let bytes = export(&archive, options.format, options.cell.as_deref())?;
    match &options.out {
        Some(path) => {
            let failed = |source| ReportError::Write { path: path.clone(), source };
            file::write(path, &bytes).map_err(failed)?;
        }
        None => out.write_all(&bytes)?,
    }
    Ok(Code::Fine)
}
