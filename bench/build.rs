//! Tells the command which revision it was built from, if that can be known.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=PAGEHINT_REVISION={revision}");
    println!("cargo::rerun-if-changed=build.rs");
    // The log of HEAD changes with every commit; a path that does not exist would rebuild every time.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    if let Some(log) = log.filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}
