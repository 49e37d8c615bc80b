//! A Debian package with a kernel, read without Debian's tools (deb(5)): an `ar` archive of two tar archives, what the
//! package says of itself and what it installs.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use lzma_rust2::XzReader;

use crate::lab::error::invalid;
use crate::lab::module::Modules;

/// What the kernel's file name begins with.
pub const IMAGE: &str = "vmlinuz";

/// What an `ar` archive begins with.
const MAGIC: &[u8; 8] = b"!<arch>\n";
/// The bytes before each of its members.
const HEADER: usize = 60;
/// The most that is unpacked of a member: Debian's kernels for cloud machines have a fifth of it.
const MOST: u64 = 1 << 30;
/// What the archive of a kernel's source ends in, within its package.
const SOURCE: &str = ".tar.xz";
/// The most that is unpacked of that: twice what one has.
const MOST_OF_A_SOURCE: u64 = 3 << 30;

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
        let (about, (image, modules)) = opened(file, data)?;
        Ok(Self { name: about.field("Package")?, version: about.field("Version")?, image, modules })
    }
}

/// What a package says of itself (deb-control(5)).
pub struct About(String);

impl About {
    fn field(&self, name: &str) -> io::Result<String> {
        field(&self.0, name).ok_or_else(|| invalid(&format!("it has no {name}")))
    }

    /// The names of the packages it needs, the first of each list of alternatives.
    #[must_use]
    pub fn depends(&self) -> Vec<String> {
        let depends = field(&self.0, "Depends").unwrap_or_default();
        depends.split(',').filter_map(|needed| needed.split_whitespace().next()).map(str::to_owned).collect()
    }
}

/// Unpacks below `to` those files of a package that are wanted, by their paths in it; never anything outside `to`.
///
/// # Errors
/// As of [`Package::read`], and when it cannot be written.
pub fn unpack(file: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> io::Result<About> {
    let all = |archive: Box<dyn Read + '_>| {
        for entry in tar::Archive::new(archive).entries()? {
            let mut entry = entry?;
            if wanted(&entry.path()?) {
                entry.unpack_in(to)?;
            }
        }
        Ok(())
    };
    opened(file, all).map(|(about, ())| about)
}

/// One file of the source that a package has as an archive in its own.
///
/// # Errors
/// As of [`Package::read`], and when there is no such file.
pub fn file_of_source(file: &Path, wanted: &Path) -> io::Result<Vec<u8>> {
    let take = |archive: Box<dyn Read + '_>| {
        for entry in tar::Archive::new(archive).entries()? {
            let entry = entry?;
            if entry.path()?.to_string_lossy().ends_with(SOURCE) {
                return of_archive(XzReader::new(entry, true).take(MOST_OF_A_SOURCE), wanted);
            }
        }
        Ok(None)
    };
    let (_, found) = opened(file, take)?;
    found.ok_or_else(|| invalid(&format!("it has no {}", wanted.display())))
}

/// A file of an archive, which is read no further.
fn of_archive(archive: impl Read, wanted: &Path) -> io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.path()? == wanted {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// What a package says of itself, and what `take` takes of what it installs.
fn opened<T>(file: &Path, take: impl Fn(Box<dyn Read + '_>) -> io::Result<T>) -> io::Result<(About, T)> {
    let mut archive = BufReader::new(File::open(file)?);
    let mut magic = [0; MAGIC.len()];
    archive.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(invalid("it is no ar archive"));
    }
    let (mut about, mut contents) = (None, None);
    while let Some((name, bytes)) = next_member(&mut archive)? {
        let mut member = archive.by_ref().take(bytes);
        match name.split_once('.') {
            Some(("control", ending)) => about = Some(control(unpacked(&mut member, ending)?)?),
            Some(("data", ending)) => contents = Some(take(unpacked(&mut member, ending)?)?),
            _ => {}
        }
        // What nobody read, and a byte more to an even place.
        io::copy(&mut member, &mut io::sink())?;
        io::copy(&mut archive.by_ref().take(bytes % 2), &mut io::sink())?;
    }
    let about = about.ok_or_else(|| invalid("it does not say what it is"))?;
    Ok((About(about), contents.ok_or_else(|| invalid("it has no contents"))?))
}

/// Name and length of the member that comes next in an `ar` archive (ar(5)); `None` at its end.
fn next_member(archive: &mut impl Read) -> io::Result<Option<(String, u64)>> {
    let mut header = Vec::new();
    archive.take(HEADER as u64).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(None);
    }
    let text = str::from_utf8(&header).ok().filter(|text| text.len() == HEADER && text.ends_with("`\n"));
    let fields = text.and_then(|text| Some((text.get(..16)?, text.get(48..58)?.trim().parse().ok()?)));
    let (name, bytes) = fields.ok_or_else(|| invalid("its ar archive is damaged"))?;
    Ok(Some((name.trim_end().trim_end_matches('/').to_owned(), bytes)))
}

/// A member of the package, whose name ends so; no more of it than any kernel's package has.
fn unpacked<'r>(member: impl Read + 'r, ending: &str) -> io::Result<Box<dyn Read + 'r>> {
    match ending {
        "tar" => Ok(Box::new(member.take(MOST))),
        "tar.xz" => Ok(Box::new(XzReader::new(member, true).take(MOST))),
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
fn data(archive: Box<dyn Read + '_>) -> io::Result<(Option<Vec<u8>>, Modules)> {
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

    fn read(archive: &[u8]) -> io::Result<Package> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("x.deb");
        std::fs::write(&file, archive).unwrap();
        Package::read(&file)
    }

    fn package(members: &[(&str, &[u8])]) -> io::Result<Package> {
        let mut archive = MAGIC.to_vec();
        for (name, bytes) in members {
            archive.extend(format!("{name:<48}{:<10}`\n", bytes.len()).bytes());
            archive.extend(*bytes);
            archive.extend(vec![b'\n'; bytes.len() % 2]);
        }
        read(&archive)
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
    fn of_what_a_package_needs_the_names_are_taken() {
        let about = About("Package: x\nDepends: a (= 1), b | c, linux-kbuild-6.1 (>= 6.1.1-2)\n".to_owned());
        assert_eq!(about.depends(), ["a", "b", "linux-kbuild-6.1"]);
        assert!(About("Package: x\n".to_owned()).depends().is_empty());
    }

    #[test]
    fn only_what_is_wanted_is_unpacked() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("x.deb");
        let control = tar(&[("./control", b"Package: x\n")]);
        let data = tar(&[("./usr/src/a", b"a"), ("./usr/share/b", b"b")]);
        let mut archive = MAGIC.to_vec();
        for (name, bytes) in [("control.tar", &control), ("data.tar", &data)] {
            archive.extend(format!("{name:<48}{:<10}`\n", bytes.len()).bytes());
            archive.extend(bytes);
        }
        std::fs::write(&file, archive).unwrap();
        unpack(&file, place.path(), |path| path.starts_with("usr/src") || path.starts_with("./usr/src"))
            .unwrap();
        assert_eq!(std::fs::read(place.path().join("usr/src/a")).unwrap(), b"a");
        assert!(!place.path().join("usr/share").exists());
    }

    #[test]
    fn of_a_source_one_file_is_read() {
        let files = tar(&[("linux-source-6.1/a", b"a"), ("linux-source-6.1/drivers/b", b"b"), ("c", b"c")]);
        let read = |wanted: &str| of_archive(files.as_slice(), Path::new(wanted)).unwrap();
        assert_eq!(read("linux-source-6.1/drivers/b").as_deref(), Some(b"b".as_slice()));
        assert_eq!(read("linux-source-6.1/b"), None);
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

    #[test]
    fn a_damaged_archive_is_refused_and_not_believed() {
        let header = |name: &str, bytes: &str| {
            [MAGIC.as_slice(), format!("{name:<48}{bytes:<10}`\n").as_bytes()].concat()
        };
        for archive in [
            b"no archive".to_vec(),
            MAGIC.to_vec(),
            header("/9", "0"),
            header("//", "9999999999"),
            header("control.tar", "-1"),
            header("control.tar", "99"),
            header("control.tar", "0")[..50].to_vec(),
        ] {
            assert!(read(&archive).is_err());
        }
    }
}
