//! Everything the machine has: an archive the kernel unpacks into memory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use cpio::newc::{self, ModeFileType};

use super::errand::Errand;
use super::error::LabError;
use super::kernel::Kernel;
use super::libraries;
use super::places::{ERRAND, LIBRARIES, MODULES, MOUNTS};

/// An archive in the making (`newc`, Linux Documentation/driver-api/early-userspace/buffer-format.rst).
pub struct Initramfs {
    archive: BufWriter<File>,
    entries: BTreeSet<String>,
}

impl Initramfs {
    /// Begins to write into a file.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { archive: BufWriter::new(file), entries: BTreeSet::new() }
    }

    /// Adds the modules of a kernel.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn kernel_modules(&mut self, kernel: &Kernel) -> Result<(), LabError> {
        for (name, file) in &kernel.modules {
            let bytes = read(file)?;
            self.file(&format!("{MODULES}/{name}"), &bytes, 0o644)?;
        }
        Ok(())
    }

    /// Adds a program with its loader and libraries. Two programs may share them.
    ///
    /// # Errors
    /// [`LabError::Program`] if it cannot be taken along.
    pub fn program(&mut self, program: &Path, path: &str) -> Result<(), LabError> {
        let needs = libraries::of(program)?;
        self.file(path, &read(program)?, 0o755)?;
        if let Some(loader) = &needs.loader {
            self.file(&loader.to_string_lossy(), &read(loader)?, 0o755)?;
        }
        for (name, file) in &needs.libraries {
            self.file(&format!("{LIBRARIES}/{name}"), &read(file)?, 0o755)?;
        }
        Ok(())
    }

    /// Adds the errand and the files it comes with.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn errand(&mut self, errand: &Errand) -> Result<(), LabError> {
        self.file(ERRAND, crate::figure::json::pretty(errand).as_bytes(), 0o644)?;
        errand.files.iter().try_for_each(|(path, text)| self.file(path, text.as_bytes(), 0o644))
    }

    /// The archive, at its end.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn finish(mut self) -> Result<File, LabError> {
        for (_, place) in MOUNTS {
            self.directory(place)?;
        }
        let archive = newc::trailer(self.archive).map_err(unwritten())?;
        archive.into_inner().map_err(|error| unwritten()(error.into_error()))
    }

    /// Adds a file by its contents.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn file(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<(), LabError> {
        if self.entries.contains(path) {
            return Ok(());
        }
        let parents: Vec<_> =
            Path::new(path).ancestors().skip(1).filter(|parent| parent.parent().is_some()).collect();
        for parent in parents.into_iter().rev() {
            self.directory(&parent.to_string_lossy())?;
        }
        self.entry(path, bytes, ModeFileType::Regular, mode)
    }

    fn directory(&mut self, path: &str) -> Result<(), LabError> {
        if self.entries.contains(path) {
            Ok(())
        } else {
            self.entry(path, &[], ModeFileType::Directory, 0o755)
        }
    }

    fn entry(&mut self, path: &str, bytes: &[u8], kind: ModeFileType, mode: u32) -> Result<(), LabError> {
        let too_large = |_| unwritten()(io::Error::other(format!("{path} is larger than 4 GiB")));
        let size = u32::try_from(bytes.len()).map_err(too_large)?;
        // A number of its own for each: the kernel takes files of one number for one file.
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let header =
            newc::Builder::new(path.trim_start_matches('/')).ino(number).mode(mode).set_mode_file_type(kind);
        let mut writer = header.write(&mut self.archive, size);
        writer.write_all(bytes).and_then(|()| writer.finish().map(|_| ())).map_err(unwritten())?;
        self.entries.insert(path.to_owned());
        Ok(())
    }
}

fn unwritten() -> impl FnOnce(io::Error) -> LabError {
    LabError::file("the lab's initramfs cannot be written (TMPDIR names another directory)")
}

/// All of a file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, LabError> {
    std::fs::read(file).map_err(LabError::file(format!("{} cannot be read", file.display())))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    fn listed(initramfs: Initramfs) -> Vec<(String, Vec<u8>)> {
        let mut file = initramfs.finish().unwrap();
        file.rewind().unwrap();
        let mut entries = Vec::new();
        loop {
            let mut reader = newc::Reader::new(file).unwrap();
            if reader.entry().is_trailer() {
                return entries;
            }
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            entries.push((reader.entry().name().to_owned(), bytes));
            file = reader.finish().unwrap();
        }
    }

    #[test]
    fn a_program_comes_with_what_it_needs_and_once() {
        let mut initramfs = Initramfs::new(tempfile::tempfile().unwrap());
        let program = std::env::current_exe().unwrap();
        initramfs.program(&program, "/bin/a").unwrap();
        initramfs.program(&program, "/bin/b").unwrap();
        initramfs.errand(&Errand::plan(vec![], "compare", "name = \"x\"\n".into())).unwrap();
        let entries = listed(initramfs);
        let names: BTreeSet<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), entries.len(), "no name twice");
        for expected in ["bin", "bin/a", "bin/b", "proc", "errand.json", "plan.toml"] {
            assert!(names.contains(expected), "{expected} in {names:?}");
        }
        // A directory comes before what is in it.
        let position = |name: &str| entries.iter().position(|(known, _)| known == name);
        assert!(position("bin") < position("bin/a"));
        let plan = &entries[position("plan.toml").unwrap()];
        assert_eq!(plan.1, b"name = \"x\"\n");
    }
}
