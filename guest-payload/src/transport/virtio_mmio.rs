//! Brings the balloon up through its virtio-mmio registers, in the order of 3.1.1 of the specification.

use abi::addr::Gpa;
use abi::layout::VIRTIO_MMIO;
use abi::wire::frames::Place;
use abi::wire::virtio::balloon::{CONFIG_POISON, REPORTING_QUEUE};
use abi::wire::virtio::{Areas, DEVICE_ID_BALLOON, feature, mmio, status};

use crate::metal::Metal;

/// What the device must offer, whatever the format of its queues.
const REQUIRED: u64 = feature::VERSION_1 | feature::PAGE_REPORTING;

/// What came of bringing the device up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Started {
    /// The reporting queue is live.
    Reporting,
    /// Free pages are poisoned, and the device does not offer to be told with what: reporting was not accepted
    /// (5.5.6.7; Linux: `virtballoon_validate`), and there is no queue for it.
    PoisonNotOffered,
}

/// Why the device could not be brought up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// There is no virtio-mmio device of version 2 here, or it is no balloon.
    NoBalloon,
    /// It does not offer what is needed (reporting, or to be told; the format of the ring), or does not accept it.
    Features,
    /// A queue is missing or too small.
    Queue,
}

/// Resets the balloon, negotiates reporting, and sets up its reporting queue as `at`. `poison`: what free pages
/// are filled with, if they are.
///
/// # Errors
/// [`StartError`]; the device is left with status FAILED.
pub fn start(metal: &mut impl Metal, at: Areas, poison: Option<u32>) -> Result<Started, StartError> {
    let wanted = Wanted { required: REQUIRED | at.needs, queues: &[(REPORTING_QUEUE, at)], poison };
    negotiate(metal, &wanted).inspect_err(|_| write(metal, mmio::STATUS, status::FAILED))
}

/// The same with the inflate and the deflate queue instead, and a host that is told before pages are used again.
///
/// # Errors
/// [`StartError`]; the device is left with status FAILED.
pub fn start_frames(metal: &mut impl Metal) -> Result<(), StartError> {
    let queues = [Place::INFLATE, Place::DEFLATE].map(|place| (place.number, place.ring.areas()));
    let required = feature::VERSION_1 | feature::MUST_TELL_HOST;
    let started = negotiate(metal, &Wanted { required, queues: &queues, poison: None });
    started.map(drop).inspect_err(|_| write(metal, mmio::STATUS, status::FAILED))
}

/// What the device is to be brought up with.
struct Wanted<'a> {
    /// Features without which it is of no use.
    required: u64,
    /// Queues by their numbers, each as the device is told.
    queues: &'a [(u16, Areas)],
    /// What free pages are filled with, if they are.
    poison: Option<u32>,
}

fn negotiate(metal: &mut impl Metal, wanted: &Wanted<'_>) -> Result<Started, StartError> {
    let Wanted { required, queues, poison } = *wanted;
    let is_balloon = read(metal, mmio::MAGIC_VALUE) == mmio::MAGIC
        && read(metal, mmio::VERSION) == mmio::VERSION_2
        && read(metal, mmio::DEVICE_ID) == DEVICE_ID_BALLOON;
    if !is_balloon {
        return Err(StartError::NoBalloon);
    }
    write(metal, mmio::STATUS, 0);
    let mut state = status::ACKNOWLEDGE;
    write(metal, mmio::STATUS, state);
    state |= status::DRIVER;
    write(metal, mmio::STATUS, state);

    let offered = offered(metal);
    if offered & required != required {
        return Err(StartError::Features);
    }
    let (accepted, started) = accept(required, offered, poison);
    for (half, bits) in (0..).zip(halves(accepted)) {
        write(metal, mmio::DRIVER_FEATURES_SEL, half);
        write(metal, mmio::DRIVER_FEATURES, bits);
    }
    state |= status::FEATURES_OK;
    write(metal, mmio::STATUS, state);
    if read(metal, mmio::STATUS) & status::FEATURES_OK == 0 {
        return Err(StartError::Features);
    }

    if started == Started::Reporting {
        for (number, at) in queues {
            set_up_queue(metal, *number, *at)?;
        }
    }
    if let Some(poison) = poison.filter(|_| accepted & feature::PAGE_POISON != 0) {
        // Little endian, as everything here is.
        write(metal, mmio::CONFIG + CONFIG_POISON as u64, poison);
    }
    write(metal, mmio::STATUS, state | status::DRIVER_OK);
    Ok(started)
}

/// The features to accept of those offered, among which are the required ones. The device is told about poison only if
/// there is any.
const fn accept(required: u64, offered: u64, poison: Option<u32>) -> (u64, Started) {
    if poison.is_none() {
        (required, Started::Reporting)
    } else if offered & feature::PAGE_POISON != 0 {
        (required | feature::PAGE_POISON, Started::Reporting)
    } else {
        (required & !feature::PAGE_REPORTING, Started::PoisonNotOffered)
    }
}

fn offered(metal: &mut impl Metal) -> u64 {
    write(metal, mmio::DEVICE_FEATURES_SEL, 0);
    let low = read(metal, mmio::DEVICE_FEATURES);
    write(metal, mmio::DEVICE_FEATURES_SEL, 1);
    let high = read(metal, mmio::DEVICE_FEATURES);
    u64::from(high) << 32 | u64::from(low)
}

fn set_up_queue(metal: &mut impl Metal, number: u16, at: Areas) -> Result<(), StartError> {
    write(metal, mmio::QUEUE_SEL, number.into());
    if read(metal, mmio::QUEUE_NUM_MAX) < u32::from(at.size) {
        return Err(StartError::Queue);
    }
    write(metal, mmio::QUEUE_NUM, u32::from(at.size));
    for (low, high, part) in [
        (mmio::QUEUE_DESC_LOW, mmio::QUEUE_DESC_HIGH, at.desc),
        (mmio::QUEUE_DRIVER_LOW, mmio::QUEUE_DRIVER_HIGH, at.driver),
        (mmio::QUEUE_DEVICE_LOW, mmio::QUEUE_DEVICE_HIGH, at.device),
    ] {
        let [low_bits, high_bits] = halves(part.0);
        write(metal, low, low_bits);
        write(metal, high, high_bits);
    }
    write(metal, mmio::QUEUE_READY, 1);
    Ok(())
}

/// The low half of a word.
#[must_use]
pub const fn low_half(value: u64) -> u32 {
    halves(value)[0]
}

/// Both halves of a word, the lower one first.
#[expect(clippy::cast_possible_truncation, reason = "split in two on purpose")]
pub(super) const fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

const fn register(offset: u64) -> Gpa {
    VIRTIO_MMIO.offset(offset)
}

fn read(metal: &impl Metal, offset: u64) -> u32 {
    metal.load32(register(offset))
}

fn write(metal: &mut impl Metal, offset: u64, value: u32) {
    metal.store32(register(offset), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poison_is_told_where_it_is_offered_and_ends_reporting_where_it_is_not() {
        let poison = feature::PAGE_POISON;
        for format in [0, feature::RING_PACKED] {
            let required = REQUIRED | format;
            for (offered, said, accepted) in [
                (required, None, (required, Started::Reporting)),
                (required | poison, None, (required, Started::Reporting)),
                (required | poison, Some(0), (required | poison, Started::Reporting)),
                (required, Some(0xaaaa_aaaa), (feature::VERSION_1 | format, Started::PoisonNotOffered)),
            ] {
                assert_eq!(accept(required, offered, said), accepted);
            }
        }
    }
}
