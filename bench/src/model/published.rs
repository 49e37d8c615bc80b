//! The profiles that are built in: hosts that others measured, each with its source. Few of them know more than an exit;
//! what is unknown stays so until it is filled.

use std::path::Path;

use super::profile::{Profile, ProfileError};

/// Name and text of each.
pub const ALL: [(&str, &str); 12] = [
    ("skylake-x-2020", include_str!("../../profiles/skylake-x-2020.toml")),
    ("cpuid-2024", include_str!("../../profiles/cpuid-2024.toml")),
    ("cpuid-2024-mitigated", include_str!("../../profiles/cpuid-2024-mitigated.toml")),
    ("nested-vmx-2019", include_str!("../../profiles/nested-vmx-2019.toml")),
    ("svm-2020", include_str!("../../profiles/svm-2020.toml")),
    ("cvm-eval-amd", include_str!("../../profiles/cvm-eval-amd.toml")),
    ("pvm-hardware-2023", include_str!("../../profiles/pvm-hardware-2023.toml")),
    ("pvm-2023", include_str!("../../profiles/pvm-2023.toml")),
    ("pvm-nested-2023", include_str!("../../profiles/pvm-nested-2023.toml")),
    ("userfault-48core", include_str!("../../profiles/userfault-48core.toml")),
    ("hyperalloc-2025", include_str!("../../profiles/hyperalloc-2025.toml")),
    ("balloon-2017", include_str!("../../profiles/balloon-2017.toml")),
];

/// The built-in profile of that name, or the file; a file that is there goes before a name.
///
/// # Errors
/// [`ProfileError`].
pub fn profile(name: &str) -> Result<Profile, ProfileError> {
    let path = Path::new(name);
    if path.is_file() {
        return Profile::read(path);
    }
    match ALL.into_iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Profile::parse(text, name),
        None => {
            let known = ALL.map(|(name, _)| name).join(", ");
            Err(ProfileError::NoSuch { name: name.to_owned(), known })
        }
    }
}

/// All that are built in, as times where that is known.
///
/// # Errors
/// [`ProfileError`], if one of them is none.
pub fn all() -> Result<Vec<Profile>, ProfileError> {
    ALL.iter().map(|(name, text)| Ok(Profile::parse(text, name)?.in_time())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_can_be_read_and_is_called_as_its_file() {
        for (name, _) in ALL {
            let profile = profile(name).unwrap();
            assert_eq!(profile.name, name);
            assert!(!profile.source.is_empty() && !profile.terms.is_empty(), "{name}");
            assert!(!profile.source.contains("://"), "{name}: sources are cited, not linked");
        }
        let error = profile("no-such").unwrap_err().to_string();
        assert!(error.contains("svm-2020"), "{error}");
    }

    #[test]
    fn every_file_is_built_in() {
        let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles")).unwrap();
        assert_eq!(files.count(), ALL.len());
    }
}
