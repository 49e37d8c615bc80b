//! The one file that modules of ours need of a kernel's source and no package of headers has: vhost's own header. It is taken
//! out of Debian's package with the source of the very version, of which nothing else is unpacked.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Store, download};
use crate::lab::error::LabError;
use crate::lab::kernel::{Kernel, package};
use crate::lab::packages;
use crate::lab::supply::Supply;

/// What the header is called.
pub const VHOST_HEADER: &str = "vhost.h";
/// Where the source has it.
const PLACE: &str = "drivers/vhost";
/// What the package of a source is called, before the series.
const SOURCE: &str = "linux-source-";

impl Store {
    /// The header of vhost's core of a kernel, its source fetched first if it is not kept and that is allowed.
    ///
    /// # Errors
    /// [`LabError`] with the command that fetches it.
    pub fn vhost_header(&self, kernel: &Kernel, supply: &mut Supply<'_>) -> Result<PathBuf, LabError> {
        let name = format!("{SOURCE}{}", series(&kernel.version));
        let directory = format!("{name}_{}", kernel.version);
        let kept = self.directory.join(&directory).join(VHOST_HEADER);
        if kept.is_file() {
            return Ok(kept);
        }
        let exact = format!("{name}={}", kernel.version);
        if !supply.allowed {
            return Err(missing(&exact).without_offline());
        }
        if packages::find("apt-get").is_none() {
            return Err(missing(&exact));
        }
        (supply.say)(&format!("fetching {name} {}, for {PLACE}/{VHOST_HEADER} of it", kernel.version));
        let place = self.scratch()?;
        let header = {
            let fetched = self.scratch_directory().map_err(LabError::file(self.unwritable()))?;
            let file = download(&exact, fetched.path(), supply, || missing(&exact))?;
            let wanted = Path::new(&name).join(PLACE).join(VHOST_HEADER);
            package::file_of_source(&file, &wanted)
                .map_err(LabError::file(format!("the package {} cannot be read", file.display())))?
        };
        let unwritable = || LabError::file(self.unwritable());
        fs::write(place.path().join(VHOST_HEADER), header).map_err(unwritable())?;
        self.put(&place, &directory).map_err(unwritable())?;
        Ok(kept)
    }
}

/// The first two numbers of a version, by which packages of sources are named.
fn series(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn missing(package: &str) -> LabError {
    LabError::Missing {
        what: format!("{package}, which has the header that vhost's modules are built with, is not here"),
        remedy: format!("apt-get update && apt-get download {package}, on Debian; or another --kernel"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::site::emulated::LabCpu;

    #[test]
    fn a_source_is_named_by_its_series() {
        assert_eq!(series("6.1.192-2"), "6.1");
        assert_eq!(series("6.12.117-1~deb12u1"), "6.12");
    }

    #[test]
    fn a_source_that_may_not_be_fetched_is_missing_with_a_command() {
        let place = tempfile::tempdir().unwrap();
        let store = Store { directory: place.path().to_owned(), cpu: LabCpu::Amd };
        let mut supply = Supply { allowed: false, stop: &AtomicBool::new(false), say: &mut |_| () };
        let kernel = Kernel {
            package: "linux-image-6.1.0-1-cloud-amd64".into(),
            version: "6.1.192-2".into(),
            image: PathBuf::new(),
            modules: Vec::new(),
            vhost: Vec::new(),
            balloon: Vec::new(),
        };
        let error = store.vhost_header(&kernel, &mut supply).unwrap_err().to_string();
        assert!(error.contains("download linux-source-6.1=6.1.192-2"), "{error}");
        assert!(error.contains("--offline"), "{error}");
    }
}
