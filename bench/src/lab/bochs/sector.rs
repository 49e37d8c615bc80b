//! The boot sector of the lab's disk: code that reads what the table behind it lists, and enters Linux.
//!
//! Bochs boots no kernel by itself. Its BIOS loads the first sector of the disk to address 0x7c00 and jumps there,
//! with the processor in real mode.

#![expect(unsafe_code, reason = "machine code of another mode is a static of the assembler's")]

use std::arch::global_asm;

/// Bytes in a sector of a disk.
pub const SECTOR: usize = 512;
/// Where the BIOS loads the first one.
const ORIGIN: usize = 0x7c00;
/// Where in it the descriptors lie that the code loads, and the table that it walks.
const DESCRIPTORS: usize = 0x1a0;
const TABLE: usize = 0x1c0;
/// What the BIOS looks for at a boot sector's end.
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// The segment that Linux's setup code runs in, and where its stack begins there: below what is left of its heap
/// (Linux Documentation/arch/x86/boot.rst).
pub const SETUP_SEGMENT: u32 = 0x9000;
/// The end of its heap and the beginning of its stack, in that segment.
pub const HEAP_END: u16 = 0xde00;
/// Rows the table has; the row after the last has no sectors.
const ROWS: usize = 4;
const ROW: usize = 12;

global_asm!(
    ".pushsection .rodata.pagehint_boot_sector, \"a\", @progbits",
    ".globl pagehint_boot_sector",
    ".hidden pagehint_boot_sector",
    "pagehint_boot_sector:",
    ".code16",
    "cli",                            // nobody would serve an interrupt
    "cld",                            // strings go upwards
    "xor cx, cx",                     // the table is addressed from 0
    "mov ds, cx",
    "in al, 0x92",                    // address line 20, or odd MiB fold onto even ones: port A of the chipset
    "or al, 2",
    "out 0x92, al",
    "lgdt [{descriptors}]",           // two descriptors: none, and data from 0 to 4 GiB
    "mov eax, cr0",                   // to protected mode, for one instruction:
    "or al, 1",
    "mov cr0, eax",
    "mov dx, 8",
    "mov es, dx",                     // ES gets the limit of 4 GiB
    "and al, 0xfe",                   // and back to real mode, where ES keeps it
    "mov cr0, eax",
    "mov es, cx",                     // with 0 for its base
    "mov si, {table}",
    "2:",                             // a row of the table:
    "mov ebx, [si]",                  // EBX: the sector that is next
    "mov ebp, [si + 4]",              // EBP: how many are left of the row
    "mov edi, [si + 8]",              // EDI: the address it goes to
    "test ebp, ebp",
    "jz 5f",                          // none: that was all
    "3:",                             // a sector, from the first ATA disk (ATA-6, 9.5: PIO data-in):
    "mov dx, 0x1f2",
    "mov al, 1",
    "out dx, al",                     // 0x1f2: one sector
    "mov eax, ebx",
    "inc dx",
    "out dx, al",                     // 0x1f3 to 0x1f5: its number, a byte each
    "shr eax, 8",
    "inc dx",
    "out dx, al",
    "shr eax, 8",
    "inc dx",
    "out dx, al",
    "shr eax, 8",
    "or al, 0xe0",
    "inc dx",
    "out dx, al",                     // 0x1f6: four more bits, and that it is a number of the first disk
    "inc dx",
    "mov al, 0x20",
    "out dx, al",                     // 0x1f7: READ SECTORS
    "4:",
    "in al, dx",                      // 0x1f7: until it is not busy (bit 7) and has data (bit 3)
    "and al, 0x88",
    "cmp al, 0x08",
    "jne 4b",
    "mov dx, 0x1f0",
    "mov ecx, 128",
    "rep insd dword ptr es:[edi], dx", // 0x1f0: 128 times four bytes; EDI moves on
    "inc ebx",
    "dec ebp",
    "jnz 3b",
    "add si, {row}",
    "jmp 2b",
    "5:",                             // Linux wants all segments to be that of its setup code,
    "mov ax, {segment}",
    "mov ds, ax",
    "mov es, ax",
    "mov fs, ax",
    "mov gs, ax",
    "mov ss, ax",
    "mov sp, {stack}",                // a stack,
    ".byte 0xea",                     // and to be entered 0x200 bytes into it: a far jump, whose address is
    ".word 0, {entry}",               // 0 in that segment
    ".org pagehint_boot_sector + {descriptors_at}",
    ".word 15",                       // no descriptor is the first; what LGDT reads lies in its place: the limit,
    ".long {descriptors}",            // the address
    ".word 0",
    ".quad 0x00cf92000000ffff",       // data, writable, present, in pages: from 0 to 4 GiB
    ".org pagehint_boot_sector + {sector}",
    ".code64",
    ".popsection",
    descriptors = const ORIGIN + DESCRIPTORS,
    table = const ORIGIN + TABLE,
    row = const ROW,
    segment = const SETUP_SEGMENT,
    stack = const HEAP_END,
    entry = const SETUP_SEGMENT + 0x20,
    descriptors_at = const DESCRIPTORS,
    sector = const SECTOR,
);

unsafe extern "C" {
    #[link_name = "pagehint_boot_sector"]
    static CODE: [u8; SECTOR];
}

/// Sectors to be read before Linux is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// The first, counted from the disk's beginning.
    pub first: u32,
    /// How many; not none.
    pub sectors: u32,
    /// The address they go to.
    pub address: u32,
}

/// A boot sector that reads these.
#[must_use]
pub fn with(loads: [Load; ROWS]) -> [u8; SECTOR] {
    // SAFETY: the symbol is the assembly's above, which is SECTOR bytes long by its last `.org`, in a section that is
    // only read; bytes are aligned anywhere.
    let mut sector = unsafe { CODE };
    for (row, load) in sector[TABLE..].chunks_exact_mut(ROW).zip(loads) {
        for (field, value) in row.chunks_exact_mut(4).zip([load.first, load.sectors, load.address]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
    }
    sector[SECTOR - SIGNATURE.len()..].copy_from_slice(&SIGNATURE);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as the code walks it.
    fn loads(sector: &[u8; SECTOR]) -> Vec<Load> {
        let field = |row: &[u8], at: usize| u32::from_le_bytes(row[at..at + 4].try_into().unwrap());
        let rows = sector[TABLE..].chunks_exact(ROW);
        let rows =
            rows.map(|row| Load { first: field(row, 0), sectors: field(row, 4), address: field(row, 8) });
        rows.take_while(|load| load.sectors > 0).collect()
    }

    #[test]
    fn the_table_is_what_was_asked_for_and_the_rest_a_boot_sector() {
        let load = |n: u32| Load { first: n, sectors: 0x0102_0304 * n, address: 0x10_0000 * n };
        let asked = [1, 2, 3, 4].map(load);
        let sector = with(asked);
        assert_eq!(loads(&sector), asked);
        assert_eq!(sector[510..], [0x55, 0xaa], "or no BIOS boots it");
        assert_eq!(sector[..2], [0xfa, 0xfc], "cli, cld");
        // What LGDT reads: limit and address of the two descriptors.
        assert_eq!(sector[DESCRIPTORS..DESCRIPTORS + 6], [15, 0, 0xa0, 0x7d, 0, 0]);
    }

    #[test]
    fn the_code_is_of_sixteen_bits() {
        let sector = with([Load { first: 1, sectors: 1, address: 0 }; ROWS]);
        let holds = |bytes: &[u8]| sector[..DESCRIPTORS].windows(bytes.len()).any(|window| window == bytes);
        assert!(holds(&[0xbe, 0xc0, 0x7d]), "mov si, table with an operand of two bytes");
        assert!(holds(&[0xea, 0, 0, 0x20, 0x90]), "jmp 0x9020:0 with an address of two");
        let mut prefixes = sector[..DESCRIPTORS].windows(4).filter(|window| window[3] == 0x6d);
        let rep_insd = prefixes.next().expect("ins");
        for prefix in [0xf3, 0x66, 0x67] {
            assert!(rep_insd.contains(&prefix), "rep, four bytes, 32-bit address: {rep_insd:02x?}");
        }
    }
}
