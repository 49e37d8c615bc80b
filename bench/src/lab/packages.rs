//! What has to be on this machine, and how it gets there: with apt when we are root, else by saying how.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::output;
use super::error::LabError;
use super::supply::Supply;

/// Something to be installed.
#[derive(Clone, Copy, Debug)]
pub struct Software {
    /// Debian's packages that have it.
    pub packages: &'static [&'static str],
    /// The lines to type on other systems.
    pub elsewhere: &'static str,
}

impl Software {
    /// What `look` finds; installed first if it is not there, and that is allowed and possible.
    ///
    /// # Errors
    /// [`LabError::Missing`] with the command that installs it.
    pub fn provide<T>(
        &self,
        supply: &mut Supply<'_>,
        look: impl Fn() -> Result<T, String>,
    ) -> Result<T, LabError> {
        let missing = |what| LabError::Missing { what, remedy: self.remedy() };
        let lacking = match look() {
            Ok(found) => return Ok(found),
            Err(what) => what,
        };
        if !supply.allowed || !is_root() || find("apt-get").is_none() {
            return Err(missing(lacking));
        }
        (supply.say)(&format!("installing {}: {}", self.packages.join(" "), self.line()));
        supply.fetch(Command::new("apt-get").arg("update"))?;
        // Not to be ended in the middle, by nobody: what is half installed is broken.
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--no-install-recommends"]).args(self.packages);
        output(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
        look().map_err(missing)
    }

    /// How it is had, on whatever system.
    #[must_use]
    pub fn remedy(&self) -> String {
        format!("{} ({})", self.line(), self.elsewhere)
    }

    /// As root types it on Debian.
    fn line(&self) -> String {
        format!("apt-get update && apt-get install --no-install-recommends {}", self.packages.join(" "))
    }
}

/// A program on the path.
#[must_use]
pub fn find(program: impl AsRef<Path>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(&program)).find(|file| is_program(file))
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
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn what_is_missing_comes_with_the_lines_to_type() {
        let software = Software { packages: &["one", "two"], elsewhere: "Fedora: dnf install one" };
        let mut supply = Supply { allowed: false, stop: &AtomicBool::new(false), say: &mut |_| () };
        assert_eq!(software.provide(&mut supply, || Ok(7)).unwrap(), 7);
        let error = software.provide(&mut supply, || Err::<(), _>("no one".to_owned())).unwrap_err();
        assert!(matches!(error, LabError::Missing { .. }));
        let said = error.to_string();
        assert!(said.contains("no one") && said.contains("recommends one two (Fedora: dnf"), "{said}");
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("ls").is_some_and(|file| file.is_absolute()));
        assert_eq!(find("no-such-program"), None);
    }
}
