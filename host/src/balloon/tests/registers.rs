//! Registers, features, status, configuration.

use super::*;

#[test]
fn says_what_it_is() {
    let device = Device::new(&ram());
    let identity = [mmio::MAGIC_VALUE, mmio::VERSION, mmio::DEVICE_ID, mmio::VENDOR_ID];
    assert_eq!(identity.map(|at| device.read(at)), [0x7472_6976, 2, 5, abi::wire::virtio::VENDOR_ID]);
    assert_eq!(device.read(mmio::CONFIG_GENERATION), 0);
    assert_eq!(device.status(), 0);
}

#[test]
fn registers_are_read_in_32_bits_only() {
    let device = Device::new(&ram());
    for width in [1, 2, 8] {
        let mut data = [0xee; 8];
        device.balloon.read(mmio::MAGIC_VALUE, &mut data[..width]);
        assert!(data[..width].iter().all(|byte| *byte == 0), "{width} bytes");
    }
    assert_eq!(device.read(mmio::MAGIC_VALUE + 1), 0, "misaligned");
    assert_eq!(device.read(mmio::QUEUE_NOTIFY), 0, "write-only");
}

#[test]
fn registers_are_written_in_32_bits_only() {
    let mut device = Device::new(&ram());
    device.balloon.write(mmio::STATUS, &[1]);
    device.balloon.write(mmio::STATUS, &[1, 0, 0, 0, 0, 0, 0, 0]);
    device.balloon.write(mmio::STATUS, &[]);
    assert_eq!(device.status(), 0);
}

#[test]
fn features_are_offered_in_halves() {
    let mut device = Device::new(&ram());
    let offered = [0, 1, 2, u32::MAX].map(|half| {
        device.write(mmio::DEVICE_FEATURES_SEL, half);
        device.read(mmio::DEVICE_FEATURES)
    });
    assert_eq!(offered, [1 << 5, 1, 0, 0], "reporting, version 1, and nothing else");
}

#[test]
fn what_was_offered_is_accepted() {
    for features in [OFFERED, feature::VERSION_1] {
        let mut device = Device::new(&ram());
        device.negotiate(features);
        assert_eq!(device.status(), UP & !status::DRIVER_OK, "{features:#x}");
    }
}

#[test]
fn what_was_not_offered_is_refused() {
    for features in [OFFERED | 1, OFFERED | feature::INDIRECT_DESC, OFFERED | 1 << 34, OFFERED | 1 << 63] {
        let mut device = Device::new(&ram());
        device.negotiate(features);
        assert_eq!(device.status(), status::ACKNOWLEDGE | status::DRIVER, "{features:#x}");
    }
}

#[test]
fn a_feature_beyond_64_bits_is_refused() {
    let mut device = Device::new(&ram());
    let mut accepts = |thirds: [u32; 3]| {
        device.write(mmio::STATUS, 0);
        for (third, bits) in (0..).zip(thirds) {
            device.write(mmio::DRIVER_FEATURES_SEL, third);
            device.write(mmio::DRIVER_FEATURES, bits);
        }
        device.write(mmio::STATUS, UP & !status::DRIVER_OK);
        device.status() & status::FEATURES_OK != 0
    };
    assert!(!accepts([1 << 5, 1, 1 << 7]));
    assert!(accepts([1 << 5, 1, 0]), "a reset forgets it");
}

#[test]
fn a_driver_from_before_version_1_is_refused() {
    let mut device = Device::new(&ram());
    device.negotiate(feature::PAGE_REPORTING);
    assert_eq!(device.status() & status::FEATURES_OK, 0);
}

#[test]
fn features_do_not_change_once_they_are_ok() {
    let mut device = Device::new(&ram());
    device.negotiate(OFFERED);
    device.write(mmio::DRIVER_FEATURES_SEL, 1);
    device.write(mmio::DRIVER_FEATURES, 0);
    device.write(mmio::STATUS, UP);
    assert_eq!(device.status(), UP);
    assert_eq!(device.balloon.accepted, OFFERED);
}

#[test]
fn driver_ok_needs_features_ok() {
    let mut device = Device::new(&ram());
    device.write(mmio::STATUS, status::ACKNOWLEDGE | status::DRIVER | status::DRIVER_OK);
    assert_eq!(device.status(), status::ACKNOWLEDGE | status::DRIVER);
    device.negotiate(feature::PAGE_REPORTING);
    device.write(mmio::STATUS, UP);
    assert_eq!(device.status(), status::ACKNOWLEDGE | status::DRIVER, "refused features");
}

#[test]
fn status_bits_are_only_cleared_by_a_reset() {
    let mut device = Device::new(&ram());
    device.negotiate(OFFERED);
    device.write(mmio::STATUS, status::ACKNOWLEDGE);
    assert_eq!(device.status(), UP & !status::DRIVER_OK);
    device.write(mmio::STATUS, status::FAILED);
    assert_eq!(device.status(), UP & !status::DRIVER_OK | status::FAILED);
    device.write(mmio::STATUS, 0);
    assert_eq!(device.status(), 0);
}

#[test]
fn a_driver_cannot_say_that_the_device_needs_a_reset() {
    let mut device = Device::new(&ram());
    device.write(mmio::STATUS, status::ACKNOWLEDGE | NEEDS_RESET);
    assert_eq!(device.status(), status::ACKNOWLEDGE);
}

#[test]
fn the_configuration_is_read_in_any_width() {
    let mut device = Device::new(&ram());
    device.write(mmio::CONFIG + 4, 0x0403_0201);
    let config = |at: u64, width: usize| {
        let mut data = [0xee; 8];
        device.balloon.read(mmio::CONFIG + at, &mut data[..width]);
        data[..width].to_vec()
    };
    assert_eq!(config(4, 1), [1]);
    assert_eq!(config(6, 1), [3]);
    assert_eq!(config(4, 2), [1, 2]);
    assert_eq!(config(5, 2), [2, 3]);
    assert_eq!(config(4, 4), [1, 2, 3, 4]);
    assert_eq!(config(0, 8), [0, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(config(14, 4), [0; 4], "over the end");
    assert_eq!(config(0xff, 4), [0; 4], "behind the end");
}

#[test]
fn only_actual_can_be_written() {
    let mut device = Device::new(&ram());
    for at in [0, 8, 12, 16] {
        device.write(mmio::CONFIG + at, u32::MAX);
        assert_eq!(device.read(mmio::CONFIG + at), 0, "at {at}");
    }
    device.balloon.write(mmio::CONFIG + 4, &[1, 2]);
    assert_eq!(device.read(mmio::CONFIG + 4), 0, "a le32 is written whole");
    device.write(mmio::CONFIG + 4, 7);
    device.write(mmio::STATUS, 0);
    assert_eq!(device.read(mmio::CONFIG + 4), 0, "after a reset");
}
