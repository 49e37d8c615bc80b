//! What comes back from the machine: tar archives over a serial line, each with what had ended by then. The last that is
//! whole counts.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

/// The last entry: the exit code of what was run. A parcel without it is torn.
const EXIT: &str = "exit";
/// The exit code of a run that had not ended when its parcel was sent: that of `timeout`.
pub const UNFINISHED: i32 = 124;
/// What stands before each, with its length in sixteen hexadecimal digits.
const LABEL: &[u8] = b"parcel ";
const DIGITS: usize = 16;

/// What an errand left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Returned {
    /// The exit code of the program; 128 and the signal's number if a signal ended it.
    pub exit: i32,
    /// The files of its run directory, by name.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Packs the files of a directory, if there is one, and an exit code.
///
/// # Errors
/// When the directory cannot be read.
pub fn pack(exit: i32, directory: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    if directory.is_dir() {
        let mut names: Vec<_> = directory.read_dir()?.collect::<io::Result<_>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names.iter().filter(|entry| entry.path().is_file()) {
            add(&mut archive, &entry.file_name().to_string_lossy(), &std::fs::read(entry.path())?)?;
        }
    }
    add(&mut archive, EXIT, exit.to_string().as_bytes())?;
    Ok(labelled(&archive.into_inner()?))
}

fn labelled(parcel: &[u8]) -> Vec<u8> {
    [LABEL, format!("{:0DIGITS$x}", parcel.len()).as_bytes(), parcel].concat()
}

/// The last that is whole.
fn last(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut last = None;
    while let Some((parcel, behind)) = first(bytes) {
        (last, bytes) = (Some(parcel), behind);
    }
    last
}

/// The first, and what is behind it; `None` if it is not whole.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (digits, rest) = bytes.strip_prefix(LABEL)?.split_at_checked(DIGITS)?;
    let length = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    rest.split_at_checked(length)
}

fn add(archive: &mut tar::Builder<Vec<u8>>, name: &str, contents: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, contents)
}

/// Unpacks a parcel. A name that is no plain file name is an error: nothing is to leave the run directory.
///
/// # Errors
/// When it is torn, or no parcel.
pub fn unpack(bytes: &[u8]) -> io::Result<Returned> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    if bytes.is_empty() {
        return Err(damaged("its first process did not come to its end"));
    }
    let bytes = last(bytes).ok_or_else(|| damaged("it was cut short"))?;
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.to_str().filter(|name| path.file_name().is_some_and(|last| last == *name));
        let name = name.ok_or_else(|| damaged("a file has a path for a name"))?.to_owned();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        files.insert(name, contents);
    }
    let exit = files.remove(EXIT).ok_or_else(|| damaged("it was cut short"))?;
    let exit = std::str::from_utf8(&exit).ok().and_then(|text| text.parse().ok());
    Ok(Returned { exit: exit.ok_or_else(|| damaged("its exit code is no number"))?, files })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_comes_over_the_line_is_a_parcel_or_an_error(
            at in 0..2048_usize,
            noise in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut bytes = parcel();
            let end = (at + noise.len()).min(bytes.len());
            bytes[at.min(end)..end].copy_from_slice(&noise[..end - at.min(end)]);
            // Neither panics; a name that is a path is never handed on.
            if let Ok(returned) = unpack(&bytes) {
                prop_assert!(returned.files.keys().all(|name| !name.contains('/') && name != ".."));
            }
            let _ = unpack(&noise);
        }
    }

    fn parcel() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("plan.toml"), "name = \"x\"\n").unwrap();
        std::fs::write(directory.path().join("empty"), "").unwrap();
        pack(3, directory.path()).unwrap()
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let returned = unpack(&parcel()).unwrap();
        assert_eq!(returned.exit, 3);
        assert_eq!(returned.files["plan.toml"], b"name = \"x\"\n");
        assert_eq!(returned.files.len(), 2);
        let nothing = unpack(&pack(0, Path::new("/no/such/directory")).unwrap()).unwrap();
        assert_eq!((nothing.exit, nothing.files.len()), (0, 0));
    }

    #[test]
    fn a_torn_parcel_is_no_parcel() {
        let whole = parcel();
        for length in 0..whole.len() {
            assert!(unpack(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }

    #[test]
    fn what_had_ended_comes_back_of_a_run_that_has_not() {
        let before = pack(UNFINISHED, Path::new("/no/such/directory")).unwrap();
        let (both, whole) = ([before.clone(), parcel()].concat(), parcel().len());
        assert_eq!(unpack(&both).unwrap().exit, 3);
        for cut in 1..whole {
            assert_eq!(unpack(&both[..both.len() - cut]).unwrap().exit, UNFINISHED, "{cut}");
        }
    }

    #[test]
    fn nothing_leaves_the_directory() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..9].copy_from_slice(b"../escape");
        header.set_size(1);
        header.set_cksum();
        archive.append(&header, &b"x"[..]).unwrap();
        let error = unpack(&labelled(&archive.into_inner().unwrap())).unwrap_err();
        assert!(error.to_string().contains("a path for a name"), "{error}");
    }
}
