//! `pagehint report`.

use std::io::Write;
use std::path::Path;

use super::exit::Code;
use crate::{report, terminal};

pub(super) fn run(directory: &Path, out: &mut dyn Write) -> anyhow::Result<Code> {
    let summary = report::rebuild(directory)?;
    match summary.cells.as_slice() {
        [cell] if summary.plan.is_none() => terminal::show_one(out, &summary, cell)?,
        _ => terminal::show(out, &summary)?,
    }
    Ok(if report::failed(&summary) { Code::Error } else { Code::Fine })
}
