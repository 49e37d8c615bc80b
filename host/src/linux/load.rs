//! A kernel, its first process and its parameters in guest memory, by Linux' 64-bit boot protocol
//! (Documentation/arch/x86/boot.rst).
//!
//! ```text
//!   0x0000_7000  boot parameters
//!   0x0001_0000  page tables and descriptors of the first instructions    [kvm::stock]
//!   0x0002_0000  command line
//!   0x000e_0000  ACPI tables                                              [super::acpi]
//!   0x0010_0000  kernel, which unpacks itself above
//!   end          initramfs
//! ```

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use abi::addr::{Gpa, PAGE_SIZE};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use linux_loader::loader::bzimage::BzImage;
use linux_loader::loader::{KernelLoader, KernelLoaderResult};
use vm_memory::{Bytes, GuestAddress};

use super::acpi;
use crate::kvm::Entry;
use crate::memory::GuestRam;

const PARAMETERS: Gpa = Gpa(0x7000);
const COMMAND_LINE: Gpa = Gpa(0x2_0000);
/// The most bytes of a command line, its end included.
const COMMAND_LINE_MOST: usize = 0x1000;
const KERNEL: Gpa = Gpa(0x10_0000);
/// From where a boot loader of its time says nothing else is (`type_of_loader`).
const UNKNOWN_LOADER: u8 = 0xff;
/// `xloadflags`: the kernel has a 64-bit entry, 0x200 bytes in.
const HAS_64_BIT_ENTRY: u16 = 1;
const ENTRY_64_BIT: u64 = 0x200;
/// Boot protocol 2.12, Linux 3.8: the first with `xloadflags`.
const PROTOCOL: u16 = 0x020c;
const USABLE: u32 = 1;
const RESERVED: u32 = 2;
/// Where memory ends below 1 MiB as PCs have it.
const LOW_END: u64 = 0x9_fc00;

/// A kernel or an initramfs that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no bzImage.
    #[error("{} is no Linux kernel that can be booted: {reason}; give a bzImage, as distributions have it in /boot/vmlinuz-*", file.display())]
    NoKernel {
        /// Which.
        file: PathBuf,
        /// What it is, or lacks.
        reason: String,
    },
    /// There is too little memory for it.
    #[error(
        "a guest of {memory_mib} MiB has no room for {what}, which needs {needs_mib} MiB: use a larger --memory"
    )]
    NoRoom {
        /// Guest memory.
        memory_mib: u64,
        /// For what.
        what: &'static str,
        /// With everything below it.
        needs_mib: u64,
    },
    /// The command line is too long.
    #[error("the kernel's command line has {bytes} bytes, and may have {COMMAND_LINE_MOST}")]
    CommandLine {
        /// How many.
        bytes: usize,
    },
}

/// Whether a file is a kernel that can be booted, as far as it says so itself.
///
/// # Errors
/// [`LoadError`] with what it is instead.
pub fn check_kernel(file: &Path) -> Result<(), LoadError> {
    header(&read(file)?).map(drop).map_err(|reason| no_kernel(file, reason))
}

/// Loads everything; where the kernel begins.
pub(super) fn load(
    ram: &GuestRam,
    kernel: &Path,
    initramfs: &Path,
    command_line: &str,
) -> Result<Entry, LoadError> {
    let image = read(kernel)?;
    let header = header(&image).map_err(|reason| no_kernel(kernel, reason))?;
    let memory = ram.whole().bytes();
    let room = |what, needs: u64| {
        let (memory_mib, needs_mib) = (memory >> 20, needs.div_ceil(1 << 20));
        if needs <= memory { Ok(()) } else { Err(LoadError::NoRoom { memory_mib, what, needs_mib }) }
    };
    let unpacked = KERNEL.0.max(header.pref_address) + u64::from(header.init_size);
    room("the kernel", unpacked.max(KERNEL.0 + image.len() as u64))?;
    let initramfs = read(initramfs)?;
    let pages = (initramfs.len() as u64).next_multiple_of(PAGE_SIZE);
    room("the kernel and its initramfs", unpacked + pages)?;
    let initramfs_at = Gpa(memory - pages);

    let loaded = image_into(ram, &image).map_err(|reason| no_kernel(kernel, reason))?;
    let written = |result: Result<(), vm_memory::GuestMemoryError>| {
        // There is room: it was looked at.
        result.map_err(|error| no_kernel(kernel, error.to_string()))
    };
    written(ram.memory().write_slice(&initramfs, GuestAddress(initramfs_at.0)))?;
    let mut line = command_line.as_bytes().to_vec();
    line.push(0);
    if line.len() > COMMAND_LINE_MOST {
        return Err(LoadError::CommandLine { bytes: line.len() });
    }
    written(ram.memory().write_slice(&line, GuestAddress(COMMAND_LINE.0)))?;
    let rsdp = acpi::ROOT;
    for (at, table) in acpi::tables() {
        written(ram.memory().write_slice(&table, GuestAddress(at.0)))?;
    }
    let loaded_header = loaded.setup_header.unwrap_or(header);
    let placed = Placed { initramfs: initramfs_at, bytes: initramfs.len(), line: line.len(), rsdp, memory };
    written(ram.memory().write_obj(parameters(loaded_header, &placed), GuestAddress(PARAMETERS.0)))?;
    Ok(Entry { at: Gpa(loaded.kernel_load.0).offset(ENTRY_64_BIT), parameters: PARAMETERS })
}

fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(file).map_err(|source| LoadError::File { file: file.to_owned(), source })
}

fn no_kernel(file: &Path, reason: String) -> LoadError {
    LoadError::NoKernel { file: file.to_owned(), reason }
}

/// The header of a bzImage that can be booted here, or what is wrong with it.
fn header(image: &[u8]) -> Result<setup_header, String> {
    const AT: usize = 0x1f1;
    if image.is_empty() {
        return Err("it is empty".into());
    }
    if image.starts_with(b"\x7fELF") {
        return Err("it is an ELF file, perhaps the vmlinux that a bzImage is made of".into());
    }
    let mut header = setup_header::default();
    let bytes = image.get(AT..AT + size_of::<setup_header>()).ok_or("it is too short to be one")?;
    vm_memory::ByteValued::as_mut_slice(&mut header).copy_from_slice(bytes);
    let (magic, version, flags) = (header.header, header.version, header.xloadflags);
    if magic != u32::from_le_bytes(*b"HdrS") {
        return Err("it has no boot header".into());
    }
    if version < PROTOCOL || flags & HAS_64_BIT_ENTRY == 0 {
        return Err(format!(
            "it has no 64-bit entry (boot protocol {}.{:02}): it is from before Linux 3.8, or for 32 bits",
            version >> 8,
            version & 0xff
        ));
    }
    // The part that is loaded, in units of 16 bytes, behind the sectors of the setup.
    let setup = (usize::from(if header.setup_sects == 0 { 4 } else { header.setup_sects }) + 1) * 512;
    let needed = setup + header.syssize as usize * 16;
    if image.len() < needed {
        return Err(format!("it is cut short: {} of at least {needed} bytes", image.len()));
    }
    Ok(header)
}

fn image_into(ram: &GuestRam, image: &[u8]) -> Result<KernelLoaderResult, String> {
    let at = GuestAddress(KERNEL.0);
    BzImage::load(ram.memory(), Some(at), &mut Cursor::new(image), Some(at))
        .map_err(|error| error.to_string())
}

/// Where things are.
struct Placed {
    initramfs: Gpa,
    bytes: usize,
    line: usize,
    rsdp: Gpa,
    memory: u64,
}

fn parameters(mut header: setup_header, placed: &Placed) -> boot_params {
    // All of it lies below 4 GiB.
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    header.type_of_loader = UNKNOWN_LOADER;
    header.cmd_line_ptr = word(COMMAND_LINE.0);
    header.cmdline_size = word(placed.line as u64);
    header.ramdisk_image = word(placed.initramfs.0);
    header.ramdisk_size = word(placed.bytes as u64);
    let mut parameters = boot_params { hdr: header, acpi_rsdp_addr: placed.rsdp.0, ..boot_params::default() };
    let map = [
        (0, LOW_END, USABLE),
        (acpi::ROOT.0, KERNEL.0 - acpi::ROOT.0, RESERVED),
        (KERNEL.0, placed.memory - KERNEL.0, USABLE),
    ];
    for (entry, (addr, size, type_)) in parameters.e820_table.iter_mut().zip(map) {
        *entry = boot_e820_entry { addr, size, r#type: type_ };
        parameters.e820_entries += 1;
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that is taken for a bzImage.
    fn image() -> Vec<u8> {
        let header = setup_header {
            header: u32::from_le_bytes(*b"HdrS"),
            version: PROTOCOL,
            xloadflags: HAS_64_BIT_ENTRY,
            loadflags: 1,
            setup_sects: 1,
            syssize: 32,
            code32_start: 0x10_0000,
            init_size: 1 << 20,
            ..setup_header::default()
        };
        let mut image = vec![0; 1024 + 512];
        let bytes = vm_memory::ByteValued::as_slice(&header);
        image[0x1f1..0x1f1 + bytes.len()].copy_from_slice(bytes);
        image
    }

    #[test]
    fn what_is_no_kernel_is_told_apart() {
        let refused = |image: &[u8]| header(image).unwrap_err();
        assert!(header(&image()).is_ok());
        assert!(refused(&[]).contains("empty"));
        assert!(refused(b"\x7fELF and more").contains("ELF"));
        assert!(refused(b"MZ").contains("too short"));
        assert!(refused(&[0; 4096]).contains("no boot header"));
        assert!(refused(&image()[..1500]).contains("cut short"), "{}", refused(&image()[..1500]));
        let mut old = image();
        old[0x206..0x208].copy_from_slice(&0x0200_u16.to_le_bytes());
        assert!(refused(&old).contains("64-bit entry (boot protocol 2.00)"), "{}", refused(&old));
    }

    #[test]
    fn everything_is_where_the_parameters_say() {
        let place = tempfile::tempdir().unwrap();
        let [kernel, initramfs] = ["kernel", "initramfs"].map(|name| place.path().join(name));
        fs::write(&kernel, image()).unwrap();
        fs::write(&initramfs, b"archive").unwrap();
        let ram = GuestRam::new(16 << 20).unwrap();
        let entry = load(&ram, &kernel, &initramfs, "a=b").unwrap();
        assert_eq!(entry.at, Gpa(0x10_0200));
        let parameters: boot_params = ram.memory().read_obj(GuestAddress(entry.parameters.0)).unwrap();
        let (at, bytes) = (parameters.hdr.ramdisk_image, parameters.hdr.ramdisk_size);
        assert_eq!((at, bytes), ((16 << 20) - 4096, 7));
        let mut read = [0; 7];
        ram.read_bytes(Gpa(at.into()), &mut read).unwrap();
        assert_eq!(&read, b"archive");
        assert_eq!(parameters.e820_entries, 3);
        let small = GuestRam::new(1 << 20).unwrap();
        let error = load(&small, &kernel, &initramfs, "").unwrap_err().to_string();
        assert!(error.contains("no room for the kernel") && error.contains("--memory"), "{error}");
        let long = "x".repeat(COMMAND_LINE_MOST);
        assert!(matches!(load(&ram, &kernel, &initramfs, &long), Err(LoadError::CommandLine { .. })));
    }
}
