//! Debian's kernel for cloud machines, and the modules of the very same package: found, fetched once and kept.

use std::cmp::Ordering;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::command::output;
use super::error::LabError;
use super::module::Modules;
use super::packages;
use super::supply::Supply;

/// The module that makes `/dev/kvm` on the emulated processor.
const KVM: &str = "kvm-amd";
const PREFIX: &str = "linux-image-";
const SUFFIX: &str = "-cloud-amd64";
/// What a kept kernel's files are called.
const IMAGE: &str = "vmlinuz";
const MANIFEST: &str = "kernel.json";
const MODULES: &str = "modules";
/// What the names of directories begin with that are gone once they have served.
const PARTIAL: &str = ".partial-";

/// Which kernel to boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice {
    /// The newest of a series, such as `6.1`.
    Series(String),
    /// A package by name.
    Package(String),
    /// A package file.
    File(PathBuf),
}

impl FromStr for Choice {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        let is_series = text.split('.').count() == 2
            && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if Path::new(text).extension().is_some_and(|extension| extension == "deb") {
            Ok(Self::File(PathBuf::from(text)))
        } else if text.starts_with(PREFIX) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        {
            Ok(Self::Package(text.to_owned()))
        } else if is_series {
            Ok(Self::Series(text.to_owned()))
        } else {
            Err(LabError::NoSuchKernel { choice: text.to_owned() })
        }
    }
}

/// What a kept kernel is: its manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Manifest {
    package: String,
    version: String,
    modules: Vec<String>,
}

/// A kernel ready to boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// The package it came in.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The kernel itself.
    pub image: PathBuf,
    /// Its modules for KVM, in the order to load them: name and file.
    pub modules: Vec<(String, PathBuf)>,
}

impl Kernel {
    fn is_whole(&self) -> bool {
        self.image.is_file() && self.modules.iter().all(|(_, file)| file.is_file())
    }
}

/// Where kernels are kept.
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// In the user's cache directory (XDG base directory specification), or in `target/` if there is no home.
    #[must_use]
    pub fn of_user() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        Self { directory: cache.unwrap_or_else(|| PathBuf::from("target")).join("pagehint/lab") }
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
            let unknown = LabError::Missing {
                what: format!("no Debian kernel {PREFIX}{series}.…{SUFFIX} is known here"),
                remedy: format!(
                    "apt-get update && apt-cache pkgnames {PREFIX}{series}, or name another with --kernel"
                ),
            };
            if supply.allowed { unknown } else { unknown.without_offline() }
        })
    }

    /// The kernel as it was kept; `None` if any of its files is gone, so that it is fetched again.
    fn kept(&self, package: &str) -> Option<Kernel> {
        let directory = self.directory.join(package);
        let manifest: Manifest = serde_json::from_slice(&fs::read(directory.join(MANIFEST)).ok()?).ok()?;
        let module = |name: String| {
            let file = directory.join(MODULES).join(&name);
            (name, file)
        };
        let kernel = Kernel {
            package: manifest.package,
            version: manifest.version,
            image: directory.join(IMAGE),
            modules: manifest.modules.into_iter().map(module).collect(),
        };
        kernel.is_whole().then_some(kernel)
    }

    fn fetch(&self, package: &str, supply: &mut Supply<'_>) -> Result<Kernel, LabError> {
        if packages::find("apt-get").is_none() || packages::find("dpkg-deb").is_none() {
            return Err(missing(package));
        }
        (supply.say)(&format!("fetching {package}"));
        let place = self.scratch()?;
        let download =
            || supply.fetch(Command::new("apt-get").args(["download", package]).current_dir(place.path()));
        match download() {
            Ok(()) => {}
            Err(LabError::Stopped) => return Err(LabError::Stopped),
            Err(_) if !packages::is_root() => return Err(missing(package)),
            Err(refused) => {
                // The lists may be missing or old.
                supply.fetch(Command::new("apt-get").arg("update"))?;
                download().map_err(|_| refused)?;
            }
        }
        let entries =
            fs::read_dir(place.path()).map_err(LabError::file("the download cannot be looked at"))?;
        let file = entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        self.keep(&file.ok_or_else(|| missing(package))?)
    }

    /// Takes out of a package what the lab needs.
    fn keep(&self, file: &Path) -> Result<Kernel, LabError> {
        let field = |name| {
            let output = output(Command::new("dpkg-deb").arg("--field").arg(file).arg(name))?;
            Ok(String::from_utf8_lossy(&output).trim().to_owned())
        };
        let (package, version): (String, String) = (field("Package")?, field("Version")?);
        let incomplete = |what: String| LabError::Incomplete { package: package.clone(), what };
        if !package.starts_with(PREFIX) {
            return Err(LabError::NoSuchKernel { choice: file.display().to_string() });
        }
        let archive = output(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(file))?;
        let (image, modules) =
            contents(&archive).map_err(LabError::file("the kernel package cannot be read"))?;
        let image = image.ok_or_else(|| incomplete("kernel".to_owned()))?;
        let modules = modules.with_dependencies(KVM).map_err(incomplete)?;

        let place = self.scratch()?;
        let unwritable = || LabError::file(self.unwritable());
        let write =
            |name: &str, bytes: &[u8]| fs::write(place.path().join(name), bytes).map_err(unwritable());
        write(IMAGE, &image)?;
        fs::create_dir(place.path().join(MODULES)).map_err(unwritable())?;
        for (name, bytes) in &modules {
            write(&format!("{MODULES}/{name}"), bytes)?;
        }
        let names = modules.into_iter().map(|(name, _)| name).collect();
        let manifest = Manifest { package: package.clone(), version, modules: names };
        write(MANIFEST, crate::figure::json::pretty(&manifest).as_bytes())?;

        self.put(&place, &package).map_err(unwritable())?;
        self.kept(&package).ok_or_else(|| incomplete("manifest".to_owned()))
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

/// Whether a directory was left by a process that is no more.
fn is_abandoned(name: &str) -> bool {
    let process =
        name.strip_prefix(PARTIAL).and_then(|rest| rest.split_once('-')).map(|(process, _)| process);
    process.is_some_and(|process| !Path::new("/proc").join(process).exists())
}

fn missing(package: &str) -> LabError {
    LabError::Missing {
        what: format!("the kernel package {package} is not here"),
        remedy: format!(
            "apt-get update && apt-get download {package}, then --kernel with the file; or another --kernel"
        ),
    }
}

/// The kernel and all modules of a package's archive.
fn contents(archive: &[u8]) -> std::io::Result<(Option<Vec<u8>>, Modules)> {
    let (mut image, mut modules) = (None, Modules::default());
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_image = name.starts_with(IMAGE);
        if is_image || Modules::is_module(name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if is_image {
                image = Some(bytes);
            } else {
                modules.add(name, bytes);
            }
        }
    }
    Ok((image, modules))
}

/// Whether a package is a signed kernel of a series: `linux-image-6.1.0-56-cloud-amd64`.
fn is_of_series(package: &str, series: &str) -> bool {
    package
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix(series)?.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// As people read versions: numbers by their value.
fn by_version(a: &str, b: &str) -> Ordering {
    numbers(a).cmp(&numbers(b)).then_with(|| a.cmp(b))
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn choices_are_told_apart() {
        let choice = |text: &str| text.parse::<Choice>();
        assert_eq!(choice("6.1").unwrap(), Choice::Series("6.1".into()));
        assert_eq!(choice("6.12").unwrap(), Choice::Series("6.12".into()));
        let package = "linux-image-6.1.0-56-cloud-amd64";
        assert_eq!(choice(package).unwrap(), Choice::Package(package.into()));
        assert_eq!(choice("./x.deb").unwrap(), Choice::File("./x.deb".into()));
        for bad in ["", "6", "6.", "6.x", "newest", "linux-image-/../x"] {
            assert!(choice(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_series_is_not_another_that_begins_alike() {
        let is = |package: &str, series| is_of_series(&format!("linux-image-{package}"), series);
        assert!(is("6.1.0-56-cloud-amd64", "6.1"));
        assert!(is("6.12.117+deb12-cloud-amd64", "6.12"));
        assert!(!is("6.12.117+deb12-cloud-amd64", "6.1"));
        assert!(!is("6.1.0-56-cloud-amd64-dbg", "6.1"));
        assert!(!is("6.1.0-56-cloud-amd64-unsigned", "6.1"));
        assert!(!is("6.12-cloud-amd64", "6.12"), "a package that only depends on one");
    }

    #[test]
    fn the_newest_is_so_by_number() {
        let mut names = ["a-6.1.0-9-x", "a-6.1.0-56-x", "a-6.1.0-10-x"];
        names.sort_by(|a, b| by_version(a, b));
        assert_eq!(names, ["a-6.1.0-9-x", "a-6.1.0-10-x", "a-6.1.0-56-x"]);
    }

    /// A kernel as [`Store::keep`] prepares it, with so many bytes.
    fn prepared(store: &Store, size: usize) -> tempfile::TempDir {
        let place = store.scratch().unwrap();
        let manifest = Manifest { package: "p".into(), version: "1".into(), modules: vec!["kvm".into()] };
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
        let store = Store { directory: cache.path().to_owned() };
        for missing in [IMAGE, MANIFEST, "modules/kvm"] {
            store.put(&prepared(&store, 1), "p").unwrap();
            assert!(store.kept("p").is_some());
            fs::remove_file(cache.path().join("p").join(missing)).unwrap();
            assert_eq!(store.kept("p"), None, "{missing}");
        }
    }

    #[test]
    fn a_kernel_that_is_kept_already_is_replaced_and_nothing_else_is_left() {
        let cache = tempfile::tempdir().unwrap();
        let store = Store { directory: cache.path().to_owned() };
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
        let store = Store { directory: cache.path().to_owned() };
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
        let store = Store { directory: empty.path().join("none") };
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
