//! Debian's kernel for cloud machines, and the modules of the very same package.
//!
//! | file | what |
//! |---|---|
//! | [`package`] | a package file, and what the lab needs of it |
//! | [`store`] | kernels as they are found, fetched once and kept |

pub mod package;
pub mod store;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::LabError;

/// What the names of its packages begin and end with.
pub const PREFIX: &str = "linux-image-";
const SUFFIX: &str = "-cloud-amd64";

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

/// Whether a kernel's package can be called so. Its directory in the cache is, so that it is no path.
fn is_package(name: &str) -> bool {
    name.starts_with(PREFIX) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
}

impl FromStr for Choice {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        let is_series = text.split('.').count() == 2
            && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if Path::new(text).extension().is_some_and(|extension| extension == "deb") {
            Ok(Self::File(PathBuf::from(text)))
        } else if is_package(text) {
            Ok(Self::Package(text.to_owned()))
        } else if is_series {
            Ok(Self::Series(text.to_owned()))
        } else {
            Err(LabError::NoSuchKernel { choice: text.to_owned() })
        }
    }
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
    /// Its modules that serve rings in the host's kernel, likewise.
    pub vhost: Vec<(String, PathBuf)>,
    /// Its modules for the balloon of a guest of ours, likewise.
    pub balloon: Vec<(String, PathBuf)>,
}

impl Kernel {
    /// Whether none of its files is gone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.image.is_file()
            && [&self.modules, &self.vhost, &self.balloon]
                .into_iter()
                .flatten()
                .all(|(_, file)| file.is_file())
    }
}

/// That a package is not here, and how to have it.
#[must_use]
pub fn missing(package: &str) -> LabError {
    LabError::Missing {
        what: format!("the kernel package {package} is not here"),
        remedy: format!(
            "apt-get update && apt-get download {package} (without apt: on a machine with Debian), then --kernel or --guest-kernel with the file; or name another kernel"
        ),
    }
}

/// That no package of a series is known, and how one is.
#[must_use]
pub fn none_of(series: &str) -> LabError {
    LabError::Missing {
        what: format!("no Debian kernel {PREFIX}{series}.…{SUFFIX} is known here"),
        remedy: format!(
            "apt-get update && apt-cache pkgnames {PREFIX}{series} (without apt: on a machine with Debian) lists those there are; name one of them, or its file, with --kernel or --guest-kernel"
        ),
    }
}

/// Whether a package is a signed kernel of a series: `linux-image-6.1.0-56-cloud-amd64`.
#[must_use]
pub fn is_of_series(package: &str, series: &str) -> bool {
    package
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix(series)?.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// As people read versions: numbers by their value.
#[must_use]
pub fn by_version(a: &str, b: &str) -> Ordering {
    numbers(a).cmp(&numbers(b)).then_with(|| a.cmp(b))
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
