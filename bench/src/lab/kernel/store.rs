//! Kernels as they are kept: found, fetched once, and taken out of their packages.

mod headers;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::package::{IMAGE, Package};
use super::{Choice, Kernel, PREFIX, by_version, is_of_series, is_package, missing, none_of};
use crate::lab::command::output;
use crate::lab::error::LabError;
use crate::lab::packages;
use crate::lab::processor;
use crate::lab::supply::Supply;
use crate::site::emulated::LabCpu;

/// What a kept kernel's files are called, beside its image.
const MANIFEST: &str = "kernel.json";
const MODULES: &str = "modules";
/// Where modules of ours are kept.
const BUILT: &str = "built";
/// What the names of directories begin with that are gone once they have served.
const PARTIAL: &str = ".partial-";

/// What a guest of ours loads: the bus on which its device is, and the driver.
pub const BALLOON: [&str; 2] = ["virtio-mmio", "virtio-balloon"];

/// What a module of ours for the host's kernel is loaded upon.
const VHOST: &str = "vhost";

/// What a kept kernel is: its manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Manifest {
    package: String,
    version: String,
    /// By the module of a processor's KVM: it and those it needs, in the order to load them.
    modules: BTreeMap<String, Vec<String>>,
}

pub use headers::Headers;
pub use source::VHOST_HEADER;

/// Where kernels are kept.
pub struct Store {
    directory: PathBuf,
    cpu: LabCpu,
}

impl Store {
    /// In the user's cache directory (XDG base directory specification), or in `target/` if there is no home. Kernels
    /// are kept for every processor, and come with the modules for this one.
    #[must_use]
    pub fn of_user(cpu: LabCpu) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        Self { directory: cache.unwrap_or_else(|| PathBuf::from("target")).join("pagehint/lab"), cpu }
    }

    /// The kernel that was asked for, fetched first if it is not kept and that is allowed.
    ///
    /// # Errors
    /// [`LabError`] with the command that fetches it.
    pub fn kernel(&self, choice: &Choice, supply: &mut Supply<'_>) -> Result<Kernel, LabError> {
        let package = match choice {
            Choice::File(file) => return self.keep(file),
            Choice::Package(package) => package.clone(),
            Choice::Series(series) => self.newest(series, supply)?,
        };
        match self.kept(&package) {
            Some(kernel) => Ok(kernel),
            None if supply.allowed => self.fetch(&package, supply),
            None => Err(missing(&package).without_offline()),
        }
    }

    /// The newest package of a series: of those apt knows if something may be fetched, else of those kept.
    fn newest(&self, series: &str, supply: &Supply<'_>) -> Result<String, LabError> {
        let kept = || {
            let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let newest = |names: Vec<String>| {
            names.into_iter().filter(|name| is_of_series(name, series)).max_by(|a, b| by_version(a, b))
        };
        let offered = || {
            if !supply.allowed || packages::find("apt-cache").is_none() {
                return Vec::new();
            }
            let names = output(Command::new("apt-cache").args(["pkgnames", PREFIX]));
            let names = names.unwrap_or_default();
            String::from_utf8_lossy(&names).lines().map(str::to_owned).collect()
        };
        // The lists may be missing: a fresh machine has none.
        let offered_after_update = || {
            let may = supply.allowed && packages::is_root() && packages::find("apt-get").is_some();
            let updated = may && supply.fetch(Command::new("apt-get").arg("update")).is_ok();
            if updated { offered() } else { Vec::new() }
        };
        let known = newest(offered()).or_else(|| newest(kept())).or_else(|| newest(offered_after_update()));
        known.ok_or_else(|| {
            let unknown = none_of(series);
            if supply.allowed { unknown } else { unknown.without_offline() }
        })
    }

    /// The kernel as it was kept; `None` if any of its files is gone, so that it is fetched again.
    fn kept(&self, package: &str) -> Option<Kernel> {
        let directory = self.directory.join(package);
        let mut manifest: Manifest =
            serde_json::from_slice(&fs::read(directory.join(MANIFEST)).ok()?).ok()?;
        let mut listed = |of: &str| -> Option<Vec<(String, PathBuf)>> {
            let module = |name: String| {
                let file = directory.join(MODULES).join(&name);
                (name, file)
            };
            Some(manifest.modules.remove(of)?.into_iter().map(module).collect())
        };
        let modules = listed(processor::module(self.cpu))?;
        let vhost = listed(VHOST)?;
        let mut balloon = Vec::new();
        for module in BALLOON {
            let new = listed(module)?;
            balloon.extend(new.into_iter().filter(|one| !balloon.contains(one)).collect::<Vec<_>>());
        }
        let kernel = Kernel {
            package: manifest.package,
            version: manifest.version,
            image: directory.join(IMAGE),
            modules,
            vhost,
            balloon,
        };
        kernel.is_whole().then_some(kernel)
    }

    fn fetch(&self, package: &str, supply: &mut Supply<'_>) -> Result<Kernel, LabError> {
        if packages::find("apt-get").is_none() {
            return Err(missing(package));
        }
        (supply.say)(&format!("fetching {package}"));
        let place = self.scratch()?;
        self.keep(&download(package, place.path(), supply, || missing(package))?)
    }

    /// Takes out of a package what the lab needs.
    fn keep(&self, file: &Path) -> Result<Kernel, LabError> {
        let unreadable = LabError::file(format!("the kernel package {} cannot be read", file.display()));
        let Package { name, version, image, modules } = Package::read(file).map_err(unreadable)?;
        let incomplete = |what: String| LabError::Incomplete { package: name.clone(), what };
        if !is_package(&name) {
            return Err(LabError::NoSuchKernel { choice: file.display().to_string() });
        }
        let image = image.ok_or_else(|| incomplete("kernel".to_owned()))?;

        let place = self.scratch()?;
        let unwritable = || LabError::file(self.unwritable());
        let write =
            |name: &str, bytes: &[u8]| fs::write(place.path().join(name), bytes).map_err(unwritable());
        write(IMAGE, &image)?;
        fs::create_dir(place.path().join(MODULES)).map_err(unwritable())?;
        let mut kept = BTreeMap::new();
        for module in processor::modules().chain(BALLOON).chain([VHOST]) {
            let needed = modules.with_dependencies(module).map_err(incomplete)?;
            for (name, bytes) in &needed {
                write(&format!("{MODULES}/{name}"), bytes)?;
            }
            kept.insert(module.to_owned(), needed.into_iter().map(|(name, _)| name).collect());
        }
        let manifest = Manifest { package: name.clone(), version, modules: kept };
        write(MANIFEST, crate::figure::json::pretty(&manifest).as_bytes())?;

        self.put(&place, &name).map_err(unwritable())?;
        self.kept(&name).ok_or_else(|| incomplete("manifest".to_owned()))
    }

    /// Where a module of ours is kept that has been built from such sources.
    #[must_use]
    pub fn module(&self, hash: &str, name: &str) -> PathBuf {
        self.directory.join(BUILT).join(hash).join(name).with_extension("ko")
    }

    /// Copies a module that has been built to where it is kept.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn keep_module(&self, built: &Path, kept: &Path) -> Result<(), LabError> {
        let keep = || {
            let directory = kept.parent().unwrap_or(&self.directory);
            fs::create_dir_all(directory)?;
            let mut copy = tempfile::NamedTempFile::new_in(directory)?;
            std::io::copy(&mut fs::File::open(built)?, copy.as_file_mut())?;
            copy.persist(kept).map(drop).map_err(|error| error.error)
        };
        keep().map_err(LabError::file(self.unwritable()))
    }

    /// Moves what has been prepared to where it is kept: whoever looks sees all of it or nothing. Somebody else may
    /// be doing the same; whose it is in the end makes no difference.
    fn put(&self, prepared: &tempfile::TempDir, package: &str) -> std::io::Result<()> {
        let kept = self.directory.join(package);
        let before = self.scratch_directory()?;
        match fs::rename(&kept, before.path().join(package)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match fs::rename(prepared.path(), &kept) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            put => put,
        }
    }

    /// A directory that is gone when it is dropped. Those of runs that were killed are cleared away first.
    fn scratch(&self) -> Result<tempfile::TempDir, LabError> {
        let unwritable = || LabError::file(self.unwritable());
        fs::create_dir_all(&self.directory).map_err(unwritable())?;
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if is_abandoned(&entry.file_name().to_string_lossy()) {
                // Somebody else may be clearing it away too.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        self.scratch_directory().map_err(unwritable())
    }

    fn unwritable(&self) -> String {
        format!("{} cannot be written (XDG_CACHE_HOME names another cache)", self.directory.display())
    }

    fn scratch_directory(&self) -> std::io::Result<tempfile::TempDir> {
        let prefix = format!("{PARTIAL}{}-", std::process::id());
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.directory)
    }
}

/// Fetches a package into a directory of its own; the file. What is `missing` is said where that cannot be done.
fn download(
    package: &str,
    place: &Path,
    supply: &Supply<'_>,
    missing: impl Fn() -> LabError,
) -> Result<PathBuf, LabError> {
    let download = || supply.fetch(Command::new("apt-get").args(["download", package]).current_dir(place));
    match download() {
        Ok(()) => {}
        Err(LabError::Stopped) => return Err(LabError::Stopped),
        Err(_) if !packages::is_root() => return Err(missing()),
        Err(refused) => {
            // The lists may be missing or old.
            supply.fetch(Command::new("apt-get").arg("update"))?;
            download().map_err(|_| refused)?;
        }
    }
    let entries = fs::read_dir(place).map_err(LabError::file("the download cannot be looked at"))?;
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    entries.flatten().map(|entry| entry.path()).find(is_package).ok_or_else(missing)
}

/// Whether a directory was left by a process that is no more.
fn is_abandoned(name: &str) -> bool {
    let process =
        name.strip_prefix(PARTIAL).and_then(|rest| rest.split_once('-')).map(|(process, _)| process);
    process.is_some_and(|process| !Path::new("/proc").join(process).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::kernel::SUFFIX;
    use std::sync::atomic::AtomicBool;

    /// Where nothing may be fetched.
    fn with_nothing<T>(run: impl FnOnce(&mut Supply<'_>) -> T) -> T {
        run(&mut Supply { allowed: false, stop: &AtomicBool::new(false), say: &mut |_| () })
    }

    #[test]
    fn what_a_dead_process_left_is_abandoned() {
        assert!(!is_abandoned(&format!("{PARTIAL}{}-abc", std::process::id())));
        // Above the largest number a process can have.
        assert!(is_abandoned(&format!("{PARTIAL}4194305-abc")));
        assert!(!is_abandoned("linux-image-6.1.0-56-cloud-amd64"));
    }

    fn store(directory: &Path) -> Store {
        Store { directory: directory.to_owned(), cpu: LabCpu::Amd }
    }

    /// A kernel as [`Store::keep`] prepares it, with so many bytes.
    fn prepared(store: &Store, size: usize) -> tempfile::TempDir {
        let place = store.scratch().unwrap();
        let manifest = Manifest {
            package: "p".into(),
            version: "1".into(),
            modules: BTreeMap::from(
                ["kvm-amd", "vhost", "virtio-mmio", "virtio-balloon"]
                    .map(|name| (name.into(), vec!["kvm".into()])),
            ),
        };
        fs::create_dir(place.path().join(MODULES)).unwrap();
        for file in [IMAGE, "modules/kvm"] {
            fs::write(place.path().join(file), vec![0; size]).unwrap();
        }
        fs::write(place.path().join(MANIFEST), crate::figure::json::pretty(&manifest)).unwrap();
        place
    }

    #[test]
    fn a_kernel_is_kept_whole_or_not_at_all() {
        let cache = tempfile::tempdir().unwrap();
        let store = store(cache.path());
        for missing in [IMAGE, MANIFEST, "modules/kvm"] {
            store.put(&prepared(&store, 1), "p").unwrap();
            assert!(store.kept("p").is_some());
            fs::remove_file(cache.path().join("p").join(missing)).unwrap();
            assert_eq!(store.kept("p"), None, "{missing}");
        }
    }

    #[test]
    fn a_kernel_kept_without_modules_for_this_processor_is_fetched_again() {
        let cache = tempfile::tempdir().unwrap();
        let amd = store(cache.path());
        amd.put(&prepared(&amd, 1), "p").unwrap();
        let intel = Store { cpu: LabCpu::Intel, ..amd };
        assert_eq!(intel.kept("p"), None);
    }

    #[test]
    fn a_kernel_that_is_kept_already_is_replaced_and_nothing_else_is_left() {
        let cache = tempfile::tempdir().unwrap();
        let store = store(cache.path());
        for size in [1, 2] {
            store.put(&prepared(&store, size), "p").unwrap();
            assert_eq!(fs::read(store.kept("p").unwrap().image).unwrap().len(), size);
        }
        let names: Vec<_> =
            cache.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["p"]);
    }

    #[test]
    fn of_the_kernels_kept_the_newest_of_the_series_is_taken() {
        let cache = tempfile::tempdir().unwrap();
        let store = store(cache.path());
        for version in ["6.1.0-9", "6.1.0-56", "6.1.0-10", "6.12.1"] {
            fs::create_dir(cache.path().join(format!("{PREFIX}{version}{SUFFIX}"))).unwrap();
        }
        assert_eq!(
            with_nothing(|supply| store.newest("6.1", supply)).unwrap(),
            "linux-image-6.1.0-56-cloud-amd64"
        );
    }

    #[test]
    fn what_is_not_kept_and_may_not_be_fetched_is_missing_with_a_command() {
        let empty = tempfile::tempdir().unwrap();
        let store = store(&empty.path().join("none"));
        let choice = Choice::Package("linux-image-6.1.0-1-cloud-amd64".into());
        for choice in [choice, Choice::Series("6.1".into())] {
            let error = with_nothing(|supply| store.kernel(&choice, supply)).unwrap_err();
            assert!(
                matches!(&error, LabError::Missing { remedy, .. }
                    if remedy.contains("apt-get update") && remedy.contains("--offline")),
                "{error}"
            );
        }
    }
}
