//! `pagehint modules`.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::exit::Code;
use crate::lab::build;
use crate::lab::kernel::Choice;
use crate::lab::kernel::store::Store;
use crate::lab::supply::Supply;
use crate::run::signals;
use crate::site::emulated::LabCpu;

/// Flags of `modules`.
#[derive(Args)]
pub(super) struct ModulesOptions {
    /// Debian's kernel to build for: a series (6.1, 6.12), a package, or a .deb file.
    #[arg(long, default_value = "6.1")]
    kernel: Choice,
    /// Install and download nothing.
    #[arg(long)]
    offline: bool,
}

/// Builds the modules for the host's kernel and says where they are. None is loaded.
pub(super) fn run(options: &ModulesOptions, out: &mut dyn Write) -> anyhow::Result<Code> {
    let stop: &AtomicBool = &*signals::stop_flag("ended at once".to_owned())?;
    // Standard error may be closed; that is no reason not to go on.
    let mut say = |line: &str| drop(writeln!(io::stderr(), "modules: {line}"));
    let mut supply = Supply { allowed: !options.offline, stop, say: &mut say };
    let store = Store::of_user(LabCpu::Amd);
    let kernel = store.kernel(&options.kernel, &mut supply)?;
    for source in &build::HOST {
        writeln!(out, "{}", build::module(source, &kernel, &store, &mut supply)?.display())?;
    }
    Ok(Code::Fine)
}
