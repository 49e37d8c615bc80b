//! A Debian package with a kernel, read without Debian's tools (deb(5)): an `ar` archive of two tar archives, what the
//! package says of itself and what it installs.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lzma_rust2::XzReader;

use crate::lab::module::Modules;

/// What the kernel's file name begins with.
pub const IMAGE: &str = "vmlinuz";

/// What the lab needs of a package.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The kernel.
    pub image: Option<Vec<u8>>,
    /// All its modules.
    pub modules: Modules,
}

impl Package {
    /// Reads a package file.
    ///
    /// # Errors
    /// When it is no package, or compressed in a way that is not known here: Debian's are by xz.
    pub fn read(file: &Path) -> io::Result<Self> {
        let mut archive = ar::Archive::new(File::open(file)?);
        let (mut about, mut contents) = (None, None);
        while let Some(member) = archive.next_entry() {
            let member = member?;
            let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
            match name.split_once('.') {
                Some(("control", ending)) => about = Some(control(unpacked(member, ending)?)?),
                Some(("data", ending)) => contents = Some(data(unpacked(member, ending)?)?),
                _ => {}
            }
        }
        let about = about.ok_or_else(|| invalid("it does not say what it is"))?;
        let (image, modules) = contents.ok_or_else(|| invalid("it has no contents"))?;
        let field = |name: &str| field(&about, name).ok_or_else(|| invalid(&format!("it has no {name}")));
        Ok(Self { name: field("Package")?, version: field("Version")?, image, modules })
    }
}

/// A member of the package, whose name ends so.
fn unpacked<'r>(member: impl Read + 'r, ending: &str) -> io::Result<Box<dyn Read + 'r>> {
    match ending {
        "tar" => Ok(Box::new(member)),
        "tar.xz" => Ok(Box::new(XzReader::new(member, true))),
        other => Err(invalid(&format!("it holds a {other}, and only tar and tar.xz are read here"))),
    }
}

/// The file of a package that says what it is.
fn control(archive: impl Read) -> io::Result<String> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.path()?.file_name().is_some_and(|name| name == "control") {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return Ok(text);
        }
    }
    Err(invalid("it does not say what it is"))
}

fn field(control: &str, name: &str) -> Option<String> {
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
    control.lines().find_map(value)
}

/// The kernel and all modules of a package's contents.
fn data(archive: impl Read) -> io::Result<(Option<Vec<u8>>, Modules)> {
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

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, path, *bytes).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn package(members: &[(&str, &[u8])]) -> io::Result<Package> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("x.deb");
        let mut archive = ar::Builder::new(File::create(&file).unwrap());
        for (name, bytes) in members {
            let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
            archive.append(&header, *bytes).unwrap();
        }
        Package::read(&file)
    }

    #[test]
    fn a_package_says_what_it_is_and_has_a_kernel() {
        let control =
            tar(&[("./control", b"Package: linux-image-x\nVersion: 6.1.192-2\nInstalled-Size: 3\n")]);
        let data = tar(&[("./boot/vmlinuz-x", b"MZ"), ("./boot/System.map", b"no")]);
        let read = package(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", &data)]);
        let read = read.unwrap();
        assert_eq!((read.name.as_str(), read.version.as_str()), ("linux-image-x", "6.1.192-2"));
        assert_eq!(read.image.as_deref(), Some(b"MZ".as_slice()));
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let control = tar(&[("./control", b"Package: x\n")]);
        for members in [
            &[][..],
            &[("control.tar", control.as_slice())],
            &[("control.tar", &control), ("data.tar", &tar(&[]))],
            &[("control.tar.lzma", &control)],
        ] {
            assert!(package(members).is_err());
        }
    }
}
