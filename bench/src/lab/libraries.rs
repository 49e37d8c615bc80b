//! What a program is linked with, so that it can be taken to a machine that has nothing.
//!
//! The program's own loader says so (`ld.so --list`, ld.so(8)): it knows where it looks.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use elf::ElfBytes;
use elf::abi::PT_INTERP;
use elf::endian::AnyEndian;

use super::error::LabError;

/// What a program needs beside itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// Its loader, which must lie where the program says; none for a static program.
    pub loader: Option<PathBuf>,
    /// Libraries: the name they are asked for by, and the file.
    pub libraries: Vec<(String, PathBuf)>,
}

/// Finds out what a program needs.
///
/// # Errors
/// [`LabError::Program`] if it is no program of this machine, or a library is not there.
pub fn of(program: &Path) -> Result<Needs, LabError> {
    let failed = |reason: String| LabError::Program { program: program.to_owned(), reason };
    let bytes = std::fs::read(program).map_err(|error| failed(error.to_string()))?;
    let Some(loader) = loader(&bytes).map_err(|error| failed(no_program(&error)))? else {
        return Ok(Needs::default());
    };
    let output = Command::new(&loader).arg("--list").arg(program).output();
    let output = output.map_err(|error| failed(format!("its loader {}: {error}", loader.display())))?;
    let list = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(failed(format!("its loader says: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let libraries = libraries(&list).map_err(failed)?;
    Ok(Needs { loader: Some(loader), libraries })
}

fn no_program(error: &elf::ParseError) -> String {
    format!(
        "it is no ELF program ({error}); of a script, give its interpreter the text: -- /bin/sh -c \"$(cat SCRIPT)\""
    )
}

/// The program's `PT_INTERP`.
fn loader(program: &[u8]) -> Result<Option<PathBuf>, elf::ParseError> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(program)?;
    let segments = file.segments();
    let Some(header) =
        segments.iter().flat_map(elf::parse::ParsingTable::iter).find(|segment| segment.p_type == PT_INTERP)
    else {
        return Ok(None);
    };
    let path = file.segment_data(&header)?;
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(Some(PathBuf::from(OsStr::from_bytes(path))))
}

/// Lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`. The loader itself and the kernel's own
/// library have no arrow.
fn libraries(list: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let mut found = Vec::new();
    for (name, place) in list.lines().filter_map(|line| line.trim().split_once(" => ")) {
        let file = place.split(" (").next().unwrap_or_default().trim();
        if !file.starts_with('/') {
            return Err(format!("its library {name} is not on this machine"));
        }
        found.push((name.to_owned(), PathBuf::from(file)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_list_is_understood() {
        let list = "\tlinux-vdso.so.1 (0x00007f5b5b571000)\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\t/lib64/ld.so.2 (0x2)\n";
        assert_eq!(libraries(list).unwrap(), [("libc.so.6".to_owned(), PathBuf::from("/lib/libc.so.6"))]);
        assert!(libraries("\tlibx.so => not found\n").unwrap_err().contains("libx.so"));
    }

    #[test]
    fn this_test_needs_its_libraries() {
        let needs = of(&std::env::current_exe().unwrap()).unwrap();
        for (name, file) in &needs.libraries {
            assert!(file.is_file(), "{name}");
        }
        assert_eq!(needs.loader.is_none(), needs.libraries.is_empty());
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let error = of(Path::new("/etc/passwd")).unwrap_err().to_string();
        assert!(error.contains("/etc/passwd") && error.contains("no ELF program"), "{error}");
    }
}
