//! `pagehint report`.

use std::io::Write;
use std::path::Path;

use super::exit::Code;
use crate::engine;
use crate::{report, terminal};

pub(super) fn run(directory: &Path, out: &mut dyn Write) -> anyhow::Result<Code> {
    if engine::archive::is_engine(directory) {
        let summary = engine::report::rebuild(directory)?;
        engine::report::show(out, &summary)?;
        return Ok(if summary.failed() { Code::Error } else { Code::Fine });
    }
    let summary = report::rebuild(directory)?;
    match summary.cells.as_slice() {
        [cell] if summary.plan.is_none() => terminal::show_one(out, &summary, cell)?,
        _ => terminal::show(out, &summary)?,
    }
    Ok(if report::failed(&summary) { Code::Error } else { Code::Fine })
}
