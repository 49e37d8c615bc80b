//! What a Linux guest of ours boots: a kernel, and an initramfs with the agent and the modules it loads.

use std::path::PathBuf;

use host::linux::{AGENT, check_kernel};
use tempfile::NamedTempFile;

use super::build;
use super::error::LabError;
use super::initramfs::{Initramfs, read};
use super::kernel::Kernel;

/// Where modules lie in the guest, and lists of their names in the order to load them: a list for each way to report.
const MODULES: &str = "/modules";

/// What a guest boots.
pub struct Guest {
    /// A bzImage.
    pub kernel: PathBuf,
    /// The archive, gone when this is dropped.
    pub initramfs: NamedTempFile,
}

impl Guest {
    /// A kernel of Debian's with its own virtio_balloon, and the module of ours that reports by hypercall, if it is to.
    ///
    /// # Errors
    /// [`LabError`]; [`LabError::Missing`] if this build has no agent.
    pub fn of(kernel: &Kernel, reporter: Option<PathBuf>) -> Result<Self, LabError> {
        let reporter = reporter.map(|file| (build::GUEST.name.to_owned(), file));
        Self::new(kernel.image.clone(), &[("virtio", &kernel.balloon), ("hypercall", reporter.as_slice())])
    }

    /// Any kernel, with modules in the order to load them, by what they are for.
    ///
    /// # Errors
    /// See [`Guest::of`].
    pub fn new(kernel: PathBuf, modules: &[(&str, &[(String, PathBuf)])]) -> Result<Self, LabError> {
        check_kernel(&kernel)?;
        if AGENT.is_empty() {
            return Err(LabError::Missing {
                what: "this build has no agent for Linux guests: no static C library was found when it was built".into(),
                remedy: "apt-get install libc6-dev (Fedora: dnf install glibc-static), then build again".into(),
            });
        }
        let place = NamedTempFile::new()
            .map_err(LabError::file("no temporary file can be made (TMPDIR names another directory)"))?;
        let file = place.reopen().map_err(LabError::file("the guest's initramfs cannot be written"))?;
        let mut archive = Initramfs::new(file);
        archive.file("/init", AGENT, 0o755)?;
        for (what, modules) in modules {
            for (name, file) in *modules {
                archive.file(&format!("{MODULES}/{name}"), &read(file)?, 0o644)?;
            }
            let names: Vec<_> = modules.iter().map(|(name, _)| name.as_str()).collect();
            archive.file(&format!("{MODULES}/order.{what}"), names.join("\n").as_bytes(), 0o644)?;
        }
        archive.finish()?;
        Ok(Self { kernel, initramfs: place })
    }
}
