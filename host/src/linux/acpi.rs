//! The tables by which a stock kernel finds its devices: a processor, the interrupt controller, a serial line, and a
//! virtio device at an address (`LNRO0005`, as Firecracker and Cloud Hypervisor describe theirs).
//!
//! The hardware is *reduced* (ACPI 6.5, 4.1): nothing of the fixed hardware of old PCs is there to be looked for.

use abi::addr::Gpa;
use abi::layout::VIRTIO_MMIO;
use abi::wire::virtio::mmio;
use acpi_tables::Aml;
use acpi_tables::aml::{
    self, Device, EISAName, IO, Interrupt, Memory32Fixed, Name, Path, ResourceTemplate, Scope,
};
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;

use crate::kvm::{BALLOON_LINE, SERIAL_LINE, SERIAL_PORT, SERIAL_PORTS};

/// The root pointer, where kernels look for it even if nobody tells them.
pub(super) const ROOT: Gpa = Gpa(0xe_0000);
const DSDT: Gpa = Gpa(0xe_1000);
const FADT: Gpa = Gpa(0xe_2000);
const MADT_AT: Gpa = Gpa(0xe_3000);
const XSDT_AT: Gpa = Gpa(0xe_4000);
const OEM: [u8; 6] = *b"PAGEHT";
const TABLE: [u8; 8] = *b"PAGEHINT";
const REVISION: u32 = 1;
const LOCAL_APIC: u32 = 0xfee0_0000;
const IO_APIC: u32 = 0xfec0_0000;
/// No VGA, no CMOS clock; and no keyboard controller, for which a bit would have to be set (ACPI 6.5, 5.2.9.3).
const BOOT_FLAGS: u16 = 1 << 2 | 1 << 5;

/// All tables and where they lie.
pub(super) fn tables() -> [(Gpa, Vec<u8>); 5] {
    let mut root = XSDT::new(OEM, TABLE, REVISION);
    [FADT, MADT_AT].iter().for_each(|table| root.add_entry(table.0));
    [
        (ROOT, bytes(&Rsdp::new(OEM, XSDT_AT.0))),
        (DSDT, dsdt()),
        (FADT, fadt()),
        (MADT_AT, madt()),
        (XSDT_AT, bytes(&root)),
    ]
}

fn bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

fn fadt() -> Vec<u8> {
    let mut table = FADTBuilder::new(OEM, TABLE, REVISION).dsdt_64(DSDT.0).flag(Flags::HwReducedAcpi);
    table.iapc_boot_arch = BOOT_FLAGS.into();
    bytes(&table.finalize())
}

fn madt() -> Vec<u8> {
    let mut table = MADT::new(OEM, TABLE, REVISION, LocalInterruptController::Address(LOCAL_APIC));
    table.add_structure(ProcessorLocalApic::new(0, 0, EnabledStatus::Enabled));
    table.add_structure(IoApic::new(0, IO_APIC, 0));
    bytes(&table)
}

/// The devices.
fn dsdt() -> Vec<u8> {
    let number = |path: &str| Name::new(path.into(), &aml::ZERO);
    // An address and a size of 32 bits each.
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let registers = Memory32Fixed::new(true, word(VIRTIO_MMIO.0), word(mmio::SIZE));
    let balloon_line = Interrupt::new(true, true, false, false, BALLOON_LINE);
    let balloon_has = ResourceTemplate::new(vec![&registers, &balloon_line]);
    let (balloon_id, balloon_crs) =
        (Name::new("_HID".into(), &"LNRO0005"), Name::new("_CRS".into(), &balloon_has));
    let balloon_uid = number("_UID");
    let balloon = Device::new("BALN".into(), vec![&balloon_id, &balloon_uid, &balloon_crs]);

    let ports = IO::new(SERIAL_PORT, SERIAL_PORT, 0, u8::try_from(SERIAL_PORTS).unwrap_or(u8::MAX));
    let serial_line = Interrupt::new(true, true, false, false, SERIAL_LINE);
    let serial_has = ResourceTemplate::new(vec![&serial_line, &ports]);
    let serial_name = EISAName::new("PNP0501");
    let (serial_id, serial_crs) =
        (Name::new("_HID".into(), &serial_name), Name::new("_CRS".into(), &serial_has));
    let serial_uid = number("_UID");
    let serial = Device::new("COM1".into(), vec![&serial_id, &serial_uid, &serial_crs]);

    let devices = Scope::new(Path::new("_SB_"), vec![&balloon, &serial]);
    let mut table = Sdt::new(*b"DSDT", 36, 6, OEM, TABLE, REVISION);
    table.append_slice(&bytes(&devices));
    table.as_slice().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    #[test]
    fn every_table_has_its_length_and_sum_and_none_reaches_into_the_next() {
        let tables = tables();
        let mut ends: Vec<_> = tables.iter().map(|(at, table)| (at.0, at.0 + table.len() as u64)).collect();
        ends.sort_unstable();
        assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ends:x?}");
        assert!(ends.last().unwrap().1 <= 0x10_0000);
        for (at, table) in &tables[1..] {
            let length = u32::from_le_bytes(table[4..8].try_into().unwrap());
            assert_eq!(usize::try_from(length), Ok(table.len()), "{at}");
            assert_eq!(sum(table), 0, "{at}");
        }
        assert_eq!((sum(&tables[0].1), sum(&tables[0].1[..20])), (0, 0));
    }

    #[test]
    fn the_device_is_where_its_registers_are() {
        let table = dsdt();
        let holds = |bytes: &[u8]| table.windows(bytes.len()).any(|window| window == bytes);
        assert!(holds(b"LNRO0005\0"));
        // Memory32Fixed: read and write, address, size.
        assert!(holds(&[0x86, 9, 0, 1, 0, 0, 0, 0xd0]));
        // An interrupt that is consumed, of an edge: line 5.
        assert!(holds(&[0x89, 6, 0, 0b11, 1, 5, 0, 0, 0]));
    }
}
