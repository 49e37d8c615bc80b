//! Kernel modules of ours: their sources are in this program, and they are built for the kernel that is to load them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use host::axes::{KVMHINT, VHOST_PAGEHINT};
use sha2::{Digest, Sha256};

use super::error::LabError;
use super::kernel::Kernel;
use super::kernel::store::{Store, VHOST_HEADER};
use super::packages::{Software, find};
use super::supply::Supply;

/// What builds them. The compiler is the one that Debian built its kernels with, by name.
pub static TOOLS: Software = Software {
    packages: &["make", "gcc-12", "libelf1"],
    elsewhere: "modules for Debian's kernels are built on Debian",
};
const LIBELF: &str = "/usr/lib/x86_64-linux-gnu/libelf.so.1";
/// How many of the last lines are shown of a build that failed.
const LINES: usize = 15;

/// A module's sources: `NAME.c`, and headers it includes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// The module's name.
    pub name: &'static str,
    /// Names and texts of its files.
    pub files: &'static [(&'static str, &'static str)],
    /// Whether it is made upon vhost's core: with its header, and loaded after it.
    pub needs_vhost: bool,
}

/// The modules for the host's kernel.
pub static HOST: [Source; 2] = [
    Source {
        name: KVMHINT,
        files: &[("kvmhint.c", include_str!("../../../host/kernel/kvmhint.c")), ZAP],
        needs_vhost: false,
    },
    Source {
        name: VHOST_PAGEHINT,
        files: &[("vhost_pagehint.c", include_str!("../../../host/kernel/vhost_pagehint.c")), ZAP],
        needs_vhost: true,
    },
];
/// What both include.
const ZAP: (&str, &str) = ("zap.h", include_str!("../../../host/kernel/zap.h"));

/// The module for a guest's kernel: reports by hypercall.
pub static GUEST: Source = Source {
    name: "pagehint_report",
    files: &[("pagehint_report.c", include_str!("../../../guest-payload/linux/pagehint_report.c"))],
    needs_vhost: false,
};

impl Source {
    /// What this module for this kernel is kept by.
    fn hash(&self, kernel: &Kernel) -> String {
        let mut hash = Sha256::new();
        let files = self.files.iter().flat_map(|(name, text)| [*name, *text]);
        for word in [kernel.package.as_str(), kernel.version.as_str(), self.name].into_iter().chain(files) {
            // With its length, so that no two lists of words are one text.
            hash.update((word.len() as u64).to_le_bytes());
            hash.update(word.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A module built for a kernel; the file. It is built only if it is not kept.
///
/// # Errors
/// [`LabError::Build`] with what the compiler said; [`LabError::Missing`] with what has to be installed.
pub fn module(
    source: &Source,
    kernel: &Kernel,
    store: &Store,
    supply: &mut Supply<'_>,
) -> Result<PathBuf, LabError> {
    let kept = store.module(&source.hash(kernel), source.name);
    if kept.is_file() {
        return Ok(kept);
    }
    TOOLS.provide(supply, tools)?;
    let headers = store.headers(&kernel.package, supply)?;
    let place =
        tempfile::tempdir().map_err(LabError::file("no directory to build in (TMPDIR names another)"))?;
    if source.needs_vhost {
        let header = store.vhost_header(kernel, supply)?;
        fs::copy(&header, place.path().join(VHOST_HEADER))
            .map_err(LabError::file(format!("{} cannot be copied", header.display())))?;
    }
    (supply.say)(&format!("building {} for {}", source.name, kernel.package));
    let built = make(source, &kernel.package, &headers.directory, place.path(), supply)?;
    store.keep_module(&built, &kept)?;
    Ok(kept)
}

/// Builds a module against a directory of headers, in a directory of its own.
fn make(
    source: &Source,
    kernel: &str,
    headers: &Path,
    place: &Path,
    supply: &Supply<'_>,
) -> Result<PathBuf, LabError> {
    let unwritable = || LabError::file(format!("{} cannot be written", place.display()));
    fs::write(place.join("Kbuild"), format!("obj-m := {}.o\n", source.name)).map_err(unwritable())?;
    for (name, text) in source.files {
        fs::write(place.join(name), text).map_err(unwritable())?;
    }
    let mut command = Command::new("make");
    command.arg("-C").arg(headers).arg(format!("M={}", place.display()));
    // Nothing of where it was built is in it.
    command.args(["KCFLAGS=-g0 -Werror", "modules"]).env("LC_ALL", "C");
    match supply.fetch(&mut command) {
        Ok(()) => Ok(place.join(format!("{}.ko", source.name))),
        Err(LabError::Command { said, .. }) => Err(LabError::Build {
            module: source.name.to_owned(),
            kernel: kernel.to_owned(),
            said: last_lines(&said),
        }),
        Err(other) => Err(other),
    }
}

fn tools() -> Result<(), String> {
    ["make", "gcc-12"].into_iter().try_for_each(|tool| {
        find(tool).map(drop).ok_or_else(|| format!("{tool}, which builds kernel modules, is not installed"))
    })?;
    // For objtool of Debian's kbuild package.
    if Path::new(LIBELF).exists() { Ok(()) } else { Err(format!("{LIBELF}, of libelf1, is not installed")) }
}

fn last_lines(said: &str) -> String {
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn kernel(version: &str) -> Kernel {
        Kernel {
            package: "linux-image-6.1.0-1-cloud-amd64".into(),
            version: version.into(),
            image: PathBuf::new(),
            modules: Vec::new(),
            vhost: Vec::new(),
            balloon: Vec::new(),
        }
    }

    #[test]
    fn a_module_is_kept_by_its_text_and_its_kernel() {
        let source = |files| Source { name: "x", files, needs_vhost: false };
        let one = source(&[("x.c", "int a;")]);
        let hash = one.hash(&kernel("1"));
        assert_eq!((hash.len(), &hash), (64, &one.hash(&kernel("1"))));
        assert_ne!(hash, one.hash(&kernel("2")));
        assert_ne!(hash, source(&[("x.c", "int b;")]).hash(&kernel("1")));
        assert_ne!(hash, source(&[("x.", "cint a;")]).hash(&kernel("1")));
    }

    #[test]
    fn of_a_build_that_fails_the_last_lines_are_told() {
        let headers = tempfile::tempdir().unwrap();
        let said = "modules:\n\t@for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo line $$i >&2; done; exit 1\n";
        fs::write(headers.path().join("Makefile"), said).unwrap();
        let place = tempfile::tempdir().unwrap();
        let supply = Supply { allowed: false, stop: &AtomicBool::new(false), say: &mut |_| () };
        let source = Source { name: "x", files: &[], needs_vhost: false };
        let error =
            make(&source, "linux-image-x", headers.path(), place.path(), &supply).unwrap_err().to_string();
        assert!(error.contains("the module x does not build for linux-image-x"), "{error}");
        assert!(error.contains("line 16") && !error.contains("line 1\n"), "{error}");
    }
}
