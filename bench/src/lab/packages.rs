//! What has to be on this machine, and how it gets there: with apt when we are root, else by saying how.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::output;
use super::error::LabError;
use super::supply::Supply;

/// The emulator, and the package that has it.
const EMULATOR: [&str; 2] = ["qemu-system-x86_64", "qemu-system-x86"];

/// The emulator on the path, installed first if that is allowed and possible.
///
/// # Errors
/// [`LabError::Missing`] with the command that installs it.
pub fn emulator(supply: &mut Supply<'_>) -> Result<PathBuf, LabError> {
    let [program, package] = EMULATOR;
    let remedy = format!("apt-get update && apt-get install --no-install-recommends {package}");
    let missing =
        || LabError::Missing { what: format!("{program} is not installed"), remedy: remedy.clone() };
    if let Some(found) = find(program) {
        return Ok(found);
    }
    if !supply.allowed || !is_root() || find("apt-get").is_none() {
        return Err(missing());
    }
    (supply.say)(&format!("installing {package}: {remedy}"));
    supply.fetch(Command::new("apt-get").arg("update"))?;
    // Not to be ended in the middle, by nobody: what is half installed is broken.
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends", package]);
    output(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    find(program).ok_or_else(missing)
}

/// A program on the path.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether apt lets us install.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("ls").is_some_and(|file| file.is_absolute()));
        assert_eq!(find("no-such-program"), None);
    }
}
