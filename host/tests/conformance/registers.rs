//! The virtio registers and the status machine, written by a driver that does not follow 3.1.1.
//!
//! Every case ends with a driver that resets the device, sets it up as it should, and reports.

use abi::addr::{ByteRange, Gpa};
use abi::layout::VIRTIO_MMIO;
use abi::step::Step;
use abi::wire::virtio::balloon::{INFLATE_QUEUE, QUEUE_MAX, REPORTING_QUEUE, REPORTING_QUEUE_FIXED};
use abi::wire::virtio::{Areas, DEVICE_ID_BALLOON, feature, mmio, status};
use host::axes::{Carrier, Coalesce, Doorbell, Servicer};
use host::balloon::RingError;
use host::probe::Facts;
use host::trial::TrialError;
use libtest_mimic::{Failed, Trial};

use crate::common::{Checked, Transport, ignored};
use crate::encoder::{Driver, KICK, driver, equal};
use crate::guest::{Guest, NONE};
use crate::memory::{RAM_END, page, pages};

const NEGOTIATING: u32 = status::ACKNOWLEDGE | status::DRIVER;
const NEGOTIATED: u32 = NEGOTIATING | status::FEATURES_OK;
const LIVE: u32 = NEGOTIATED | status::DRIVER_OK;
/// What a driver accepts, whatever the format of its ring.
const FEATURES: u64 = feature::VERSION_1 | feature::PAGE_REPORTING;
/// `VIRTIO_F_ORDER_PLATFORM` (6).
const NEVER_OFFERED: u64 = 1 << 36;

/// A page that is offered but must stay.
const OFFERED: ByteRange = pages(5, 1);

type Case = (&'static str, fn(&mut Guest, &mut dyn Driver) -> Checked);

const CASES: &[Case] = &[
    ("says-what-it-is", |guest, _| {
        equal("magic", guest.read(mmio::MAGIC_VALUE)?, mmio::MAGIC)?;
        equal("version", guest.read(mmio::VERSION)?, mmio::VERSION_2)?;
        equal("device", guest.read(mmio::DEVICE_ID)?, DEVICE_ID_BALLOON)?;
        equal("status", guest.read(mmio::STATUS)?, LIVE)
    }),
    ("feature-not-offered", |guest, _| {
        guest.negotiate(FEATURES | NEVER_OFFERED)?;
        equal("status", guest.read(mmio::STATUS)?, NEGOTIATING)
    }),
    ("driver-from-before-version-1", |guest, _| {
        guest.negotiate(feature::PAGE_REPORTING)?;
        equal("status", guest.read(mmio::STATUS)?, NEGOTIATING)
    }),
    ("queue-ready-before-features-ok", |guest, driver| {
        guest.ask_for(features(driver))?;
        guest.place(REPORTING_QUEUE, parts(driver))?;
        guest.set_ready(driver.areas().size.into())?;
        equal("ready", guest.read(mmio::QUEUE_READY)?, 0)
    }),
    ("driver-ok-without-features-ok", |guest, driver| {
        guest.write(mmio::STATUS, 0)?;
        guest.write(mmio::STATUS, NEGOTIATING | status::DRIVER_OK)?;
        equal("status", guest.read(mmio::STATUS)?, NEGOTIATING)?;
        guest.offer_in_vain(driver)
    }),
    ("driver-ok-without-a-queue", |guest, driver| {
        guest.negotiate(features(driver))?;
        guest.write(mmio::STATUS, LIVE)?;
        guest.offer_in_vain(driver)
    }),
    ("queue-of-no-entries", |guest, driver| guest.queue_of(0, driver)),
    ("queue-of-33-entries", |guest, driver| guest.queue_of(33, driver)),
    ("queue-over-its-maximum", |guest, driver| guest.queue_of(u32::from(QUEUE_MAX) * 2, driver)),
    ("queue-size-over-16-bits", |guest, driver| {
        guest.queue_of(0x1_0000 + u32::from(driver.areas().size), driver)
    }),
    ("queue-selector-out-of-range", |guest, driver| {
        guest.negotiate(features(driver))?;
        for selector in [3, 0xffff, 0x1_0000 + u32::from(REPORTING_QUEUE), u32::MAX] {
            guest.write(mmio::QUEUE_SEL, selector)?;
            equal("size of no queue", guest.read(mmio::QUEUE_NUM_MAX)?, 0)?;
            guest.write(mmio::QUEUE_NUM, driver.areas().size.into())?;
            guest.write(mmio::QUEUE_READY, 1)?;
            equal("no queue is ready", guest.read(mmio::QUEUE_READY)?, 0)?;
        }
        Ok(())
    }),
    ("queue-moved-while-live", |guest, driver| {
        guest.write(mmio::QUEUE_SEL, REPORTING_QUEUE.into())?;
        guest.write(mmio::QUEUE_NUM, 1)?;
        guest.place(REPORTING_QUEUE, [100, 200, 300].map(page))?;
        guest.still_served(driver)
    }),
    ("status-bits-taken-back", |guest, driver| {
        guest.write(mmio::STATUS, status::ACKNOWLEDGE)?;
        equal("status", guest.read(mmio::STATUS)?, LIVE)?;
        guest.still_served(driver)
    }),
    ("driver-says-needs-reset", |guest, driver| {
        guest.write(mmio::STATUS, LIVE | status::DEVICE_NEEDS_RESET)?;
        equal("status", guest.read(mmio::STATUS)?, LIVE)?;
        guest.still_served(driver)
    }),
    ("kick-of-another-queue", |guest, driver| {
        driver.offer_one(guest.ram(), OFFERED)?;
        let fixed = u32::from(REPORTING_QUEUE_FIXED);
        for queue in
            [INFLATE_QUEUE.into(), 1, 3, fixed, 0xffff, 0x1_0000 + u32::from(REPORTING_QUEUE), u32::MAX]
        {
            guest.write(mmio::QUEUE_NOTIFY, queue)?;
        }
        equal("chains used", driver.used_so_far(guest.ram())?, 0)?;
        guest.expect(&[], &NONE)?;
        guest.call(&[KICK], 1)?;
        driver.acknowledged(guest.ram(), &[], 0)?;
        guest.expect(&[5..6], &NONE)
    }),
    ("reporting-queue-by-the-specification", |guest, driver| {
        guest.bring_up_as(REPORTING_QUEUE_FIXED, driver)?;
        equal("its number", guest.rig.reporting_queue(), REPORTING_QUEUE_FIXED)?;
        driver.offer_one(guest.ram(), OFFERED)?;
        guest.call(&[guest.kick_of(REPORTING_QUEUE_FIXED)], 1)?;
        driver.acknowledged(guest.ram(), &[], 0)?;
        guest.expect(&[5..6], &NONE)?;
        driver.offer_one(guest.ram(), OFFERED)?;
        guest.write(mmio::QUEUE_NOTIFY, REPORTING_QUEUE.into())?;
        equal("chains used", driver.used_so_far(guest.ram())?, 1)
    }),
    ("interrupt-status-is-acknowledged", |guest, driver| {
        guest.still_served(driver)?;
        let pending = guest.read(mmio::INTERRUPT_STATUS)?;
        guest.write(mmio::INTERRUPT_ACK, u32::MAX)?;
        equal("nothing but used buffers", pending & !mmio::INTERRUPT_USED, 0)?;
        equal("after the acknowledgement", guest.read(mmio::INTERRUPT_STATUS)?, 0)
    }),
    ("write-of-what-is-read-only", |guest, _| {
        for register in [mmio::MAGIC_VALUE, mmio::DEVICE_ID, mmio::QUEUE_NUM_MAX, mmio::CONFIG_GENERATION] {
            let before = guest.read(register)?;
            guest.write(register, !before)?;
            equal("read-only", guest.read(register)?, before)?;
        }
        Ok(())
    }),
    ("between-two-registers", |guest, _| {
        guest.write(mmio::STATUS + 1, 0)?;
        guest.write(mmio::STATUS - 2, 0)?;
        equal("read across two", guest.read(mmio::STATUS + 2)?, 0)?;
        equal("read of the last", guest.read(mmio::SIZE - 4)?, 0)?;
        equal("status", guest.read(mmio::STATUS)?, LIVE)
    }),
    ("reset-in-the-middle", |guest, driver| {
        guest.still_served(driver)?;
        driver.offer_one(guest.ram(), OFFERED)?;
        guest.write(mmio::STATUS, 0)?;
        equal("status", guest.read(mmio::STATUS)?, 0)?;
        equal("ready", guest.read(mmio::QUEUE_READY)?, 0)?;
        guest.call(&[KICK], 0)?;
        equal("chains used", driver.used_so_far(guest.ram())?, 1)?;
        guest.expect(&[], &NONE)
    }),
    ("queue-stopped-in-the-middle", |guest, driver| {
        guest.still_served(driver)?;
        driver.offer_one(guest.ram(), OFFERED)?;
        guest.write(mmio::QUEUE_SEL, REPORTING_QUEUE.into())?;
        guest.write(mmio::QUEUE_READY, 0)?;
        guest.call(&[KICK], 0)?;
        equal("chains used", driver.used_so_far(guest.ram())?, 1)?;
        guest.expect(&[], &NONE)
    }),
];

/// Cases in which nothing may happen before a kick.
const CALLED: &[&str] = &[
    "kick-of-another-queue",
    "reporting-queue-by-the-specification",
    "reset-in-the-middle",
    "queue-stopped-in-the-middle",
];

/// Cases after which a device thread is gone.
const BREAKS: &[Case] = &[
    ("reset-after-a-broken-ring", |guest, driver| {
        driver.break_it(guest.ram())?;
        guest.break_ring()?;
        equal("served while broken", guest.call(&[KICK], 0)?.len(), 1)?;
        guest.expect(&[], &NONE)
    }),
    ("two-reporting-queues", |guest, driver| {
        guest.negotiate(features(driver))?;
        driver.restart(guest.ram())?;
        guest.make_ready(REPORTING_QUEUE, driver)?;
        guest.make_ready(REPORTING_QUEUE_FIXED, driver)?;
        guest.write(mmio::STATUS, LIVE)?;
        equal("status", guest.read(mmio::STATUS)?, LIVE | status::DEVICE_NEEDS_RESET)?;
        let kick = guest.kick_of(REPORTING_QUEUE_FIXED);
        match guest.break_ring_by(kick)? {
            RingError::TwoReportingQueues => guest.expect(&[], &NONE),
            error => Err(format!("broken by another name: {error:?}").into()),
        }
    }),
    ("ring-outside-ram", |guest, driver| {
        guest.negotiate(features(driver))?;
        guest.place(REPORTING_QUEUE, [RAM_END; 3])?;
        guest.set_ready(driver.areas().size.into())?;
        guest.write(mmio::STATUS, LIVE)?;
        let error = guest.break_ring()?;
        if !matches!(error, RingError::Access { queue: REPORTING_QUEUE, .. }) {
            return Err(format!("broken by another name: {error:?}").into());
        }
        guest.expect(&[], &NONE)
    }),
];

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |(name, case): &'static Case, reason: Option<&'static str>| {
        let reason = cannot_be(name, transport).or(reason);
        let name = format!("{}::{name}", transport.name);
        if let Some(reason) = reason {
            return ignored(name, reason);
        }
        let transport = transport.clone();
        Trial::test(name, move || check(*case, &transport, facts))
    };
    let ends = matches!(transport.way.servicer, Servicer::Device | Servicer::Polling);
    let ends = ends.then_some("a broken ring ends the device thread, and with it the trial");
    let widths = ignored(
        format!("{}::registers-of-odd-widths", transport.name),
        "a step loads and stores 32 bits; see the balloon's unit tests",
    );
    CASES
        .iter()
        .map(|case| test(case, None))
        .chain(BREAKS.iter().map(|case| test(case, ends)))
        .chain([widths])
        .collect()
}

/// Why a case cannot be over a transport, if it cannot.
fn cannot_be(case: &str, transport: &Transport) -> Option<&'static str> {
    match (transport.way.carrier, case) {
        _ if transport.way.servicer == Servicer::Polling && CALLED.contains(&case) => {
            Some("a thread that polls does not wait for a kick")
        }
        (_, "kick-of-another-queue" | "reporting-queue-by-the-specification")
            if transport.way.doorbell == Doorbell::IoeventfdMmioAny =>
        {
            Some("an address alone does not say which queue")
        }
        (Carrier::Ring, _) => None,
        (Carrier::Inflate, _) => Some("its driver has no reporting queue"),
        (Carrier::CallAndRing, _) => Some("its driver announces what it reports"),
        (Carrier::PackedRing, "queue-of-33-entries") => Some("a packed ring may have any number"),
        (Carrier::PackedRing, "reset-after-a-broken-ring") => {
            Some("nothing that is in a packed ring breaks it")
        }
        (Carrier::PackedRing, _) => None,
        _ => Some("no virtio driver"),
    }
}

fn check(case: fn(&mut Guest, &mut dyn Driver) -> Checked, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    let mut driver = driver(transport);
    case(&mut guest, driver.as_mut())?;
    guest.bring_up(driver.as_mut())?;
    guest.report(driver.as_mut(), &[pages(600, 1)], 0)?;
    guest.expect(&[600..601], &NONE)
}

/// The features a driver accepts.
fn features(driver: &dyn Driver) -> u64 {
    FEATURES | driver.areas().needs
}

/// Where the parts of its ring lie.
fn parts(driver: &dyn Driver) -> [Gpa; 3] {
    let Areas { desc, driver, device, .. } = driver.areas();
    [desc, driver, device]
}

/// The registers, by single loads and stores of the guest.
impl Guest {
    fn read(&mut self, offset: u64) -> Result<u32, Failed> {
        Ok(u32::try_from(self.rig.step(Step::Load { gpa: VIRTIO_MMIO.0 + offset })?)?)
    }

    fn write(&mut self, offset: u64, value: u32) -> Result<(), TrialError> {
        self.rig.step(Step::Store { gpa: VIRTIO_MMIO.0 + offset, value }).map(drop)
    }

    /// Resets the device and asks for features, without the last word.
    fn ask_for(&mut self, features: u64) -> Checked {
        self.write(mmio::STATUS, 0)?;
        self.write(mmio::STATUS, NEGOTIATING)?;
        for (half, bits) in (0..).zip(halves(features)) {
            self.write(mmio::DRIVER_FEATURES_SEL, half)?;
            self.write(mmio::DRIVER_FEATURES, bits)?;
        }
        Ok(())
    }

    /// Resets the device and settles on features.
    fn negotiate(&mut self, features: u64) -> Checked {
        self.ask_for(features)?;
        Ok(self.write(mmio::STATUS, NEGOTIATED)?)
    }

    /// Says where a queue is.
    fn place(&mut self, queue: u16, parts: [Gpa; 3]) -> Checked {
        self.write(mmio::QUEUE_SEL, queue.into())?;
        let registers = [mmio::QUEUE_DESC_LOW, mmio::QUEUE_DRIVER_LOW, mmio::QUEUE_DEVICE_LOW];
        for (low, at) in registers.into_iter().zip(parts) {
            let [low_bits, high_bits] = halves(at.0);
            self.write(low, low_bits)?;
            self.write(low + 4, high_bits)?;
        }
        Ok(())
    }

    /// Gives the selected queue a size and makes it live.
    fn set_ready(&mut self, size: u32) -> Checked {
        self.write(mmio::QUEUE_NUM, size)?;
        Ok(self.write(mmio::QUEUE_READY, 1)?)
    }

    /// Everything as it should be.
    pub(crate) fn bring_up(&mut self, driver: &mut dyn Driver) -> Checked {
        self.bring_up_as(REPORTING_QUEUE, driver)
    }

    /// The same by a driver that gives the reporting queue this number.
    fn bring_up_as(&mut self, queue: u16, driver: &mut dyn Driver) -> Checked {
        self.negotiate(features(driver))?;
        driver.restart(self.ram())?;
        self.make_ready(queue, driver)?;
        self.write(mmio::STATUS, LIVE)?;
        equal("status", self.read(mmio::STATUS)?, LIVE)
    }

    fn make_ready(&mut self, queue: u16, driver: &dyn Driver) -> Checked {
        self.place(queue, parts(driver))?;
        self.set_ready(driver.areas().size.into())?;
        equal("ready", self.read(mmio::QUEUE_READY)?, 1)
    }

    /// A kick by the number of the queue, where kicks have one.
    fn kick_of(&self, queue: u16) -> Step {
        match self.doorbell {
            Doorbell::Mmio | Doorbell::IoeventfdMmio | Doorbell::IoeventfdMmioAny => {
                Step::Store { gpa: VIRTIO_MMIO.0 + mmio::QUEUE_NOTIFY, value: queue.into() }
            }
            _ => KICK,
        }
    }

    /// Everything as it should be but the size: the queue does not become live, and nothing in it is served.
    fn queue_of(&mut self, size: u32, driver: &mut dyn Driver) -> Checked {
        self.negotiate(features(driver))?;
        self.place(REPORTING_QUEUE, parts(driver))?;
        self.set_ready(size)?;
        equal("ready", self.read(mmio::QUEUE_READY)?, 0)?;
        self.write(mmio::STATUS, LIVE)?;
        self.offer_in_vain(driver)
    }

    /// Offers a chain to a device that must not look at it.
    fn offer_in_vain(&mut self, driver: &mut dyn Driver) -> Checked {
        driver.offer_one(self.ram(), OFFERED)?;
        self.call(&[KICK], 0)?;
        equal("chains used", driver.used_so_far(self.ram())?, 0)?;
        self.expect(&[], &NONE)
    }
}

/// A value as the two registers have it.
const fn halves(value: u64) -> [u32; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "split in two on purpose")]
    [value as u32, (value >> 32) as u32]
}
