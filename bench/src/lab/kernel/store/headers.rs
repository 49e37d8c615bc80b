//! What modules are built against: the headers of a kernel, unpacked beside the kernels that are kept and never
//! installed.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{PREFIX, Store, download};
use crate::lab::error::LabError;
use crate::lab::kernel::package;
use crate::lab::packages;
use crate::lab::supply::Supply;

/// What a kernel's name begins with in the package of its headers.
const HEADERS: &str = "linux-headers-";
/// Where that package has them.
const SOURCES: &str = "usr/src";

/// Where `make -C` builds modules for a kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// The directory.
    pub directory: PathBuf,
}

impl Store {
    /// The headers of a kernel's package, fetched first if they are not kept and that is allowed.
    ///
    /// # Errors
    /// [`LabError`] with the command that fetches them.
    pub fn headers(&self, kernel: &str, supply: &mut Supply<'_>) -> Result<Headers, LabError> {
        let name = kernel.replacen(PREFIX, HEADERS, 1);
        let kept = Headers { directory: self.directory.join(&name).join(SOURCES).join(&name) };
        if kept.directory.is_dir() {
            return Ok(kept);
        }
        if !supply.allowed {
            return Err(missing(&name).without_offline());
        }
        if packages::find("apt-get").is_none() {
            return Err(missing(&name));
        }
        (supply.say)(&format!("fetching {name}"));
        let place = self.scratch()?;
        for needed in self.unpacked(&name, place.path(), supply)? {
            self.unpacked(&needed, place.path(), supply)?;
        }
        let unwritable = || LabError::file(self.unwritable());
        make_movable(&place.path().join(SOURCES).join(&name)).map_err(unwritable())?;
        self.put(&place, &name).map_err(unwritable())?;
        Ok(kept)
    }

    /// Fetches a package and unpacks it; which of those that it needs it is no use without.
    fn unpacked(&self, name: &str, to: &Path, supply: &Supply<'_>) -> Result<Vec<String>, LabError> {
        let place = self.scratch_directory().map_err(LabError::file(self.unwritable()))?;
        let file = download(name, place.path(), supply, || missing(name))?;
        let unreadable = LabError::file(format!("the package {} cannot be unpacked", file.display()));
        let about = package::unpack(&file, to, is_needed).map_err(unreadable)?;
        let is_part = |needed: &String| {
            needed.starts_with("linux-kbuild-") || needed.starts_with(HEADERS) && needed.ends_with("-common")
        };
        Ok(about.depends().into_iter().filter(is_part).collect())
    }
}

/// Whether a module of this processor's is built with a file of these packages. The image, of which only the types of
/// modules are deduced, is not.
fn is_needed(path: &Path) -> bool {
    let words: Vec<_> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(word) => word.to_str(),
            _ => None,
        })
        .collect();
    match *words.as_slice() {
        ["usr", "src", _, "arch", processor, ..] => processor == "x86" || processor == "Kconfig",
        ["usr", "src", _, "vmlinux"] => false,
        ["usr", "src" | "lib", ..] => true,
        _ => false,
    }
}

/// Debian's makefile includes another by where it would be installed. By where it is from here the whole can lie anywhere.
fn make_movable(headers: &Path) -> std::io::Result<()> {
    let makefile = headers.join("Makefile");
    let text = fs::read_to_string(&makefile)?.replace("/usr/src/", "../");
    fs::write(makefile, text)
}

fn missing(package: &str) -> LabError {
    LabError::Missing {
        what: format!("{package}, which modules are built against, is not here"),
        remedy: format!("apt-get update && apt-get download {package}, on Debian; or another --kernel"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::site::emulated::LabCpu;

    #[test]
    fn of_other_processors_nothing_is_kept() {
        for kept in
            ["./usr/src/h/include/linux/mm.h", "./usr/src/h/arch/x86/Makefile", "./usr/lib/k/scripts/mod"]
        {
            assert!(is_needed(Path::new(kept)), "{kept}");
        }
        for left in
            ["./usr/src/h/arch/arm/Makefile", "./usr/src/h/vmlinux", "./usr/share/doc/x", "./lib/modules/x"]
        {
            assert!(!is_needed(Path::new(left)), "{left}");
        }
    }

    #[test]
    fn headers_that_may_not_be_fetched_are_missing_with_a_command() {
        let place = tempfile::tempdir().unwrap();
        let store = Store { directory: place.path().to_owned(), cpu: LabCpu::Amd };
        let mut supply = Supply { allowed: false, stop: &AtomicBool::new(false), say: &mut |_| () };
        let error = store.headers("linux-image-6.1.0-1-cloud-amd64", &mut supply).unwrap_err().to_string();
        assert!(
            error.contains("download linux-headers-6.1.0-1-cloud-amd64") && error.contains("--offline"),
            "{error}"
        );
    }
}
