//! Tells the command which revision it was built from, and with which compiler, if that can be known.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| said("git", arguments);
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=PAGEHINT_REVISION={revision}");
    // Cargo names the compiler it uses.
    let rustc = std::env::var("RUSTC").ok().and_then(|rustc| said(&rustc, &["--version"]));
    println!("cargo::rustc-env=PAGEHINT_RUSTC={}", rustc.unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
    // The log of HEAD changes with every commit; a path that does not exist would rebuild every time.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    if let Some(log) = log.filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// What a command prints if it succeeds.
fn said(command: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(command).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
