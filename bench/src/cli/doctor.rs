//! `pagehint doctor`.

use std::io::Write;

use super::exit::Code;
use crate::figure::json;
use crate::report::terminal::bullet;
use crate::site::doctor::Examination;

pub(super) fn run(as_json: bool, out: &mut dyn Write) -> anyhow::Result<Code> {
    let examination = Examination::of(&host::probe::probe()?);
    if as_json {
        out.write_all(json::pretty(&examination).as_bytes())?;
        return Ok(Code::Fine);
    }
    writeln!(out, "{}", examination.environment.host)?;
    for finding in &examination.findings {
        bullet(out, &format!("{:<28}", finding.what), &finding.found)?;
        if let Some(change) = &finding.change {
            bullet(out, "    to change:", change)?;
        }
    }
    writeln!(out, "Nothing was changed.")?;
    Ok(Code::Fine)
}
