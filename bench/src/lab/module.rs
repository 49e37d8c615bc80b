//! A kernel module as it lies in a package: perhaps compressed, with a list of what has to be loaded before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use elf::ElfBytes;
use elf::endian::AnyEndian;
use lzma_rust2::XzReader;

/// What the file names of modules end in.
const PLAIN: &str = ".ko";
const XZ: &str = ".ko.xz";

/// The modules of a package as they are in it, by name.
#[derive(Default)]
pub struct Modules {
    files: BTreeMap<String, File>,
}

struct File {
    contents: Contents,
    compressed: bool,
}

enum Contents {
    Here(Vec<u8>),
    /// Read only if it is needed: a kernel has thousands.
    At(PathBuf),
}

impl Modules {
    /// Whether a file of this name is a module we can read.
    #[must_use]
    pub fn is_module(file_name: &str) -> bool {
        file_name.ends_with(PLAIN) || file_name.ends_with(XZ)
    }

    /// Adds a file. One that is no module is left out.
    pub fn add(&mut self, file_name: &str, bytes: Vec<u8>) {
        self.insert(file_name, Contents::Here(bytes));
    }

    /// The same of one that lies somewhere.
    pub fn add_at(&mut self, file_name: &str, path: PathBuf) {
        self.insert(file_name, Contents::At(path));
    }

    fn insert(&mut self, file_name: &str, contents: Contents) {
        if let Some(name) = Self::name(file_name) {
            self.files.insert(name, File { contents, compressed: file_name.ends_with(XZ) });
        }
    }

    /// The module's name by its file's, if it is one we can read.
    #[must_use]
    pub fn name(file_name: &str) -> Option<String> {
        file_name.strip_suffix(PLAIN).or_else(|| file_name.strip_suffix(XZ)).map(canonical)
    }

    /// A module and all it depends on, uncompressed, in the order to load them.
    ///
    /// # Errors
    /// The name of a module that is not there or cannot be read.
    pub fn with_dependencies(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut ordered = Vec::new();
        self.visit(&canonical(name), &mut Vec::new(), &mut ordered)?;
        Ok(ordered)
    }

    /// `waiting` are those that need this one, directly or not.
    fn visit(
        &self,
        name: &str,
        waiting: &mut Vec<String>,
        ordered: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<(), String> {
        if ordered.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        if waiting.iter().any(|other| other == name) {
            return Err(format!("module {name} that does not need itself"));
        }
        waiting.push(name.to_owned());
        let file = self.files.get(name).ok_or_else(|| format!("module {name}"))?;
        let bytes = file.unpacked().map_err(|error| format!("readable module {name} ({error})"))?;
        for dependency in dependencies(&bytes).ok_or_else(|| format!("readable module {name}"))? {
            self.visit(&canonical(&dependency), waiting, ordered)?;
        }
        waiting.pop();
        ordered.push((name.to_owned(), bytes));
        Ok(())
    }
}

impl File {
    fn unpacked(&self) -> io::Result<Vec<u8>> {
        let bytes = match &self.contents {
            Contents::Here(bytes) => bytes.clone(),
            Contents::At(path) => fs::read(path)?,
        };
        if !self.compressed {
            return Ok(bytes);
        }
        let mut plain = Vec::new();
        XzReader::new(bytes.as_slice(), true).read_to_end(&mut plain)?;
        Ok(plain)
    }
}

/// The kernel takes `-` and `_` in module names for the same.
pub fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// The `depends=` of the module's `.modinfo`.
fn dependencies(module: &[u8]) -> Option<Vec<String>> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(module).ok()?;
    let header = file.section_header_by_name(".modinfo").ok()??;
    let (info, _) = file.section_data(&header).ok()?;
    let depends = info.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"depends="))?;
    let names = std::str::from_utf8(depends).ok()?;
    Some(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        let mut modules = Modules::default();
        modules.add("kvm-amd.ko.xz", vec![]);
        modules.add("README", vec![]);
        assert_eq!(modules.files.keys().collect::<Vec<_>>(), ["kvm_amd"]);
        assert!(Modules::is_module("kvm.ko") && !Modules::is_module("kvm.o"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(Modules::default().with_dependencies("kvm-amd").unwrap_err(), "module kvm_amd");
        let mut modules = Modules::default();
        modules.add("kvm.ko", b"not a module".to_vec());
        assert_eq!(modules.with_dependencies("kvm").unwrap_err(), "readable module kvm");
    }
}
