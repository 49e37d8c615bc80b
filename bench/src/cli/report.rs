//! `pagehint report`.

use std::io::Write;
use std::path::Path;

use super::exit::Code;
use crate::report::{self, terminal};

pub(super) fn run(directory: &Path, out: &mut dyn Write) -> anyhow::Result<Code> {
    let shown = report::rebuild(directory)?;
    terminal::show(out, &shown)?;
    Ok(if shown.summary.failed() { Code::Error } else { Code::Fine })
}
