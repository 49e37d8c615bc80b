//! What a Linux guest of ours boots: a kernel, and an initramfs with the agent and the modules it loads.

use std::fs;
use std::path::{Path, PathBuf};

use host::linux::{AGENT, check_kernel};
use tempfile::NamedTempFile;

use super::build;
use super::error::LabError;
use super::initramfs::{Initramfs, read};
use super::kernel::Kernel;
use super::kernel::store::BALLOON;
use super::module::{Modules, canonical};
use crate::trial::linux::choices::Boots;

/// Where modules lie in the guest, and lists of their names in the order to load them: a list for each way to report.
const MODULES: &str = "/modules";

/// A module by its name.
type Module = (String, Vec<u8>);

/// What a guest boots.
pub struct Guest {
    /// A bzImage.
    pub kernel: PathBuf,
    /// The archive, gone when this is dropped.
    pub initramfs: NamedTempFile,
}

impl Guest {
    /// Where it lies.
    #[must_use]
    pub fn boots(&self) -> Boots {
        Boots { kernel: self.kernel.clone(), initramfs: self.initramfs.path().to_owned() }
    }

    /// A kernel of Debian's with its own virtio_balloon, and the module of ours that reports by hypercall, if it is to.
    ///
    /// # Errors
    /// [`LabError`]; [`LabError::Missing`] if this build has no agent.
    pub fn of(kernel: &Kernel, reporter: Option<PathBuf>) -> Result<Self, LabError> {
        let balloon: Result<Vec<Module>, LabError> =
            kernel.balloon.iter().map(|(name, file)| Ok((name.clone(), read(file)?))).collect();
        let reporter = reporter.map(|file| Ok::<_, LabError>((build::GUEST.name.to_owned(), read(&file)?)));
        let reporter = Vec::from_iter(reporter.transpose()?);
        Self::new(kernel.image.clone(), &[("virtio", &balloon?), ("hypercall", &reporter)])
    }

    /// Any kernel, and where its modules are; without them its virtio drivers must be built in.
    ///
    /// # Errors
    /// See [`Guest::of`]; [`LabError::NoModule`] if a driver is not there.
    pub fn of_file(kernel: PathBuf, modules: Option<&Path>) -> Result<Self, LabError> {
        check_kernel(&kernel)?;
        let balloon = modules.map(balloon).transpose()?.unwrap_or_default();
        Self::new(kernel, &[("virtio", &balloon)])
    }

    /// Any kernel, with modules in the order to load them, by what they are for.
    fn new(kernel: PathBuf, modules: &[(&str, &[Module])]) -> Result<Self, LabError> {
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
            for (name, bytes) in *modules {
                archive.file(&format!("{MODULES}/{name}"), bytes, 0o644)?;
            }
            let names: Vec<_> = modules.iter().map(|(name, _)| name.as_str()).collect();
            archive.file(&format!("{MODULES}/order.{what}"), names.join("\n").as_bytes(), 0o644)?;
        }
        archive.finish()?;
        Ok(Self { kernel, initramfs: place })
    }
}

/// What a kernel says of modules that are in it.
const BUILT_IN: &str = "modules.builtin";

/// The drivers of a balloon among the modules of a kernel, in the order to load them, less those that are built in.
fn balloon(directory: &Path) -> Result<Vec<Module>, LabError> {
    let mut modules = Modules::default();
    add(&mut modules, directory)?;
    let built_in = fs::read_to_string(directory.join(BUILT_IN)).unwrap_or_default();
    let mut needed: Vec<Module> = Vec::new();
    for driver in BALLOON {
        let file = |line: &str| Modules::name(line.rsplit('/').next().unwrap_or_default());
        if built_in.lines().any(|line| file(line) == Some(canonical(driver))) {
            continue;
        }
        let found = modules.with_dependencies(driver);
        let found =
            found.map_err(|missing| LabError::NoModule { missing, directory: directory.to_owned() })?;
        for module in found {
            if !needed.iter().any(|(name, _)| *name == module.0) {
                needed.push(module);
            }
        }
    }
    Ok(needed)
}

/// Every module below a directory; no link is followed, such as that to a kernel's sources.
fn add(modules: &mut Modules, directory: &Path) -> Result<(), LabError> {
    let unreadable =
        || LabError::file(format!("{} cannot be read as a directory of modules", directory.display()));
    for entry in directory.read_dir().map_err(unreadable())? {
        let entry = entry.map_err(unreadable())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().map_err(unreadable())?.is_dir() {
            add(modules, &entry.path())?;
        } else if Modules::is_module(&name) {
            modules.add_at(&name, entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_a_module_or_built_in_or_missing() {
        let place = tempfile::tempdir().unwrap();
        let said = || balloon(place.path()).map_err(|error| error.to_string());
        let missing = said().unwrap_err();
        assert!(
            missing.contains("no module virtio_mmio") && missing.contains("/lib/modules/VERSION"),
            "{missing}"
        );
        let built_in = "kernel/drivers/virtio/virtio_mmio.ko\nkernel/drivers/virtio/virtio_balloon.ko\n";
        fs::write(place.path().join(BUILT_IN), built_in).unwrap();
        assert_eq!(said(), Ok(Vec::new()));
        fs::write(place.path().join(BUILT_IN), "kernel/drivers/virtio/virtio_mmio.ko\n").unwrap();
        fs::create_dir_all(place.path().join("kernel/drivers")).unwrap();
        fs::write(place.path().join("kernel/drivers/virtio_balloon.ko"), "no module").unwrap();
        assert!(said().unwrap_err().contains("no readable module virtio_balloon"));
        assert!(balloon(Path::new("/no/such")).unwrap_err().to_string().contains("/no/such cannot be read"));
    }
}
