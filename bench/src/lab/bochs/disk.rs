//! The lab's disk for a machine that boots no kernel by itself: a boot sector, and what it reads.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use crate::lab::emulator::MEMORY;
use crate::lab::error::invalid;

use super::sector::{self, HEAP_END, Load, SECTOR, SETUP_SEGMENT};

/// Sectors of a cylinder, of which a disk has a whole number: 16 heads, 63 sectors each.
const CYLINDER: usize = 16 * 63;
/// Where Linux wants its parts (Linux Documentation/arch/x86/boot.rst); of the initramfs it only wants to know.
const SETUP: u32 = SETUP_SEGMENT << 4;
const COMMAND_LINE: u32 = SETUP + 0xe000;
/// Where the BIOS's own memory may begin.
const CONVENTIONAL_END: u32 = 0x9_fc00;
const KERNEL: u32 = 0x10_0000;
const INITRAMFS: u32 = 0x800_0000;

/// Writes a disk that boots this kernel.
///
/// # Errors
/// When the kernel is none that can be booted so, or the disk cannot be written.
pub fn write(
    disk: &mut File,
    kernel: &[u8],
    parameters: &str,
    initramfs: &mut (impl io::Read + Seek),
) -> io::Result<()> {
    let length = initramfs.seek(SeekFrom::End(0))?;
    let length = u32::try_from(length).map_err(|_| invalid("the initramfs is larger than 4 GiB"))?;
    initramfs.rewind()?;
    let (setup, kernel) = Setup::of(kernel, parameters, length)?;
    let mut parameters = parameters.as_bytes().to_vec();
    parameters.push(0);

    // The first sector is known last.
    let mut next = 1;
    let mut place = |bytes: usize, address, end: u32| {
        let room = (end - address) as usize;
        if bytes == 0 || bytes > room {
            return Err(invalid(&format!(
                "a part of it has {bytes} bytes, and there is room for 1 to {room}"
            )));
        }
        let sectors = u32::try_from(bytes.div_ceil(SECTOR)).map_err(|_| invalid("too large"))?;
        let load = Load { first: next, sectors, address };
        next += sectors;
        io::Result::Ok(load)
    };
    let loads = [
        place(setup.bytes.len(), SETUP, COMMAND_LINE)?,
        place(parameters.len(), COMMAND_LINE, CONVENTIONAL_END)?,
        place(kernel.len(), KERNEL, INITRAMFS)?,
        place(length as usize, INITRAMFS, MEMORY << 20)?,
    ];
    disk.set_len(((next as usize).next_multiple_of(CYLINDER) * SECTOR) as u64)?;
    disk.rewind()?;
    disk.write_all(&sector::with(loads))?;
    for (load, mut bytes) in loads.iter().zip([&setup.bytes, &parameters[..], kernel]) {
        disk.seek(SeekFrom::Start(u64::from(load.first) * SECTOR as u64))?;
        io::copy(&mut bytes, disk)?;
    }
    disk.seek(SeekFrom::Start(u64::from(loads[3].first) * SECTOR as u64))?;
    io::copy(initramfs, disk).map(drop)
}

/// The part of a kernel that runs in real mode, told where the others lie.
struct Setup {
    bytes: Vec<u8>,
}

impl Setup {
    /// The first sectors of a kernel's file, and what follows them.
    fn of<'k>(kernel: &'k [u8], parameters: &str, initramfs: u32) -> io::Result<(Self, &'k [u8])> {
        let none = || invalid("the kernel is no bzImage of boot protocol 2.12 or later");
        let header = kernel.get(..0x260).ok_or_else(none)?;
        // 0 stands for 4, of very old times (setup_sects); the boot sector of before goes along.
        let sectors = usize::from(if header[0x1f1] == 0 { 4 } else { header[0x1f1] }) + 1;
        let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        if header[0x202..0x206] != *b"HdrS" || word(0x206) < 0x20c {
            return Err(none());
        }
        let most = u32::from_le_bytes([header[0x238], header[0x239], header[0x23a], header[0x23b]]);
        if parameters.len() > most as usize {
            return Err(invalid("the kernel takes no parameters as long as these"));
        }
        let (setup, rest) = kernel.split_at_checked(sectors * SECTOR).ok_or_else(none)?;
        let mut setup = Self { bytes: setup.to_vec() };
        setup.set(0x210, &[0xff]); // type_of_loader: one without a number
        let flags = setup.bytes[0x211];
        setup.set(0x211, &[flags | 0x80]); // loadflags: the heap's end is given
        setup.set(0x218, &INITRAMFS.to_le_bytes()); // ramdisk_image
        setup.set(0x21c, &initramfs.to_le_bytes()); // ramdisk_size
        setup.set(0x224, &HEAP_END.to_le_bytes()); // heap_end_ptr
        setup.set(0x228, &COMMAND_LINE.to_le_bytes()); // cmd_line_ptr
        Ok((setup, rest))
    }

    fn set(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    /// A kernel's file with a setup part of two sectors beside the first, and `K`s behind it.
    fn kernel() -> Vec<u8> {
        let mut kernel = vec![0; 3 * SECTOR];
        kernel[0x1f1] = 2;
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        kernel[0x211] = 1;
        kernel[0x238..0x23c].copy_from_slice(&2047_u32.to_le_bytes());
        kernel.extend([b'K'; 700]);
        kernel
    }

    fn disk() -> Vec<u8> {
        let mut disk = tempfile::tempfile().unwrap();
        write(&mut disk, &kernel(), "quiet", &mut Cursor::new([b'I'; 1000])).unwrap();
        let mut bytes = Vec::new();
        disk.rewind().unwrap();
        disk.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn everything_lies_where_the_boot_sector_looks() {
        let disk = disk();
        assert_eq!(disk.len(), CYLINDER * SECTOR);
        let at = |sector: usize, length: usize| &disk[sector * SECTOR..sector * SECTOR + length];
        // The boot sector, three of setup, one of the command line, two of the kernel, two of the initramfs.
        let load = |first, sectors, address| Load { first, sectors, address };
        let loads =
            [load(1, 3, 0x9_0000), load(4, 1, 0x9_e000), load(5, 2, 0x10_0000), load(7, 2, 0x800_0000)];
        assert_eq!(at(0, SECTOR), sector::with(loads));
        assert_eq!(at(4, 6), b"quiet\0");
        assert_eq!(at(5, 701), [[b'K'; 700].as_slice(), &[0]].concat());
        assert_eq!(at(7, 1001), [[b'I'; 1000].as_slice(), &[0]].concat());
    }

    #[test]
    fn the_kernel_is_told_where_things_are() {
        let disk = disk();
        let setup = &disk[SECTOR..4 * SECTOR];
        assert_eq!((setup[0x210], setup[0x211]), (0xff, 0x81));
        assert_eq!(setup[0x218..0x220], [0, 0, 0, 8, 0xe8, 3, 0, 0]);
        assert_eq!(setup[0x224..0x226], [0, 0xde]);
        assert_eq!(setup[0x228..0x22c], [0, 0xe0, 9, 0]);
    }

    #[test]
    fn what_cannot_be_booted_is_refused() {
        let old = {
            let mut kernel = kernel();
            kernel[0x206..0x208].copy_from_slice(&0x20b_u16.to_le_bytes());
            kernel
        };
        for kernel in [&[][..], &[0; 4096], &kernel()[..0x300], &old] {
            assert!(Setup::of(kernel, "", 0).is_err());
        }
        assert!(Setup::of(&kernel(), &"x".repeat(2048), 0).is_err());
        let mut sizes = [vec![], kernel()[..3 * SECTOR].to_vec(), kernel()].into_iter();
        let write = |kernel: &[u8], initramfs: &[u8]| {
            write(&mut tempfile::tempfile().unwrap(), kernel, "", &mut Cursor::new(initramfs))
        };
        assert!(sizes.next().is_some_and(|kernel| write(&kernel, b"I").is_err()));
        assert!(sizes.next().is_some_and(|kernel| write(&kernel, b"I").is_err()), "nothing behind the setup");
        assert!(write(&kernel(), b"").is_err() && write(&kernel(), b"I").is_ok());
    }
}
