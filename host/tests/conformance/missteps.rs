//! Guests that hang, fault, panic, or talk to nobody: each is a typed error, and no page is lost.

use std::time::Duration;

use abi::addr::Gpa;
use abi::control::CONTROL_PORT;
use abi::layout::{CALL_MMIO, STEP};
use abi::step::Step;
use host::axes::Coalesce;
use host::kvm::ExitError;
use host::probe::Facts;
use host::trial::TrialError;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::guest::{Guest, NONE};
use crate::memory::RAM_END;

/// A step, and whether an error is the one it must lead to.
type Case = (&'static str, Step, fn(&TrialError) -> bool);

/// How long a guest hangs before it is given up.
const HANGING: Duration = Duration::from_millis(400);
const UNKNOWN_PORT: u16 = 0x999;
const UNKNOWN_DEVICE: Gpa = Gpa(0xd000_3000);
const CONTROL_BEYOND: u32 = 0xff;

const CASES: &[Case] = &[
    ("hang", Step::Hang, |error| matches!(error, TrialError::Exit(ExitError::Deadline { rip: 1.. }))),
    ("triple-fault", Step::TripleFault, |error| {
        matches!(error, TrialError::Exit(ExitError::TripleFault { .. }))
    }),
    (
        "panic",
        Step::Panic,
        |error| matches!(error, TrialError::Panicked { message } if message.starts_with("as told (") && message.contains("obey.rs:")),
    ),
    ("unknown-port", Step::Out { port: UNKNOWN_PORT, value: 1 }, |error| {
        matches!(error, TrialError::Exit(ExitError::Port { port: UNKNOWN_PORT, bytes: 4, .. }))
    }),
    ("unknown-device-store", Step::Store { gpa: UNKNOWN_DEVICE.0, value: 1 }, |error| {
        matches!(error, TrialError::Exit(ExitError::Address { gpa: UNKNOWN_DEVICE, .. }))
    }),
    ("unknown-device-load", Step::Load { gpa: UNKNOWN_DEVICE.0 }, |error| {
        matches!(error, TrialError::Exit(ExitError::Address { gpa: UNKNOWN_DEVICE, .. }))
    }),
    (
        "store-beside-the-call-register",
        Step::Store { gpa: CALL_MMIO.0 + 4, value: 1 },
        |error| matches!(error, TrialError::Exit(ExitError::Address { gpa, .. }) if *gpa == CALL_MMIO.offset(4)),
    ),
    ("store-after-the-end-of-ram", Step::Store { gpa: RAM_END.0, value: 1 }, |error| {
        matches!(error, TrialError::Exit(ExitError::Address { gpa: RAM_END, .. }))
    }),
    ("unknown-word-on-the-control-port", Step::Out { port: CONTROL_PORT, value: CONTROL_BEYOND }, |error| {
        matches!(error, TrialError::Exit(ExitError::Control { value: CONTROL_BEYOND, .. }))
    }),
];

/// The cases over one transport.
pub(crate) fn tests(transport: &Transport, facts: &'static Facts) -> Vec<Trial> {
    let test = |name: &str, check: Box<dyn Fn(&Transport) -> Checked + Send>| {
        let transport = transport.clone();
        Trial::test(format!("{}::{name}", transport.name), move || check(&transport))
    };
    CASES
        .iter()
        .map(|case| test(case.0, Box::new(move |transport| check_step(case, transport, facts))))
        .chain([test("no-such-step", Box::new(|transport| check_no_step(transport, facts)))])
        .collect()
}

fn check_step((_, step, is_expected): &Case, transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    if *step == Step::Hang {
        guest.rig.set_patience(HANGING);
    }
    match guest.rig.step(*step) {
        Err(error) if is_expected(&error) => guest.expect(&[], &NONE),
        other => Err(format!("ended with {other:x?}").into()),
    }
}

/// The words of a step that is none: the payload panics by name instead of guessing.
fn check_no_step(transport: &Transport, facts: &Facts) -> Checked {
    let mut guest = Guest::boot(transport, facts, Coalesce::Each)?;
    guest.ram().write_words(STEP, &[99, 1, 2, 3])?;
    match guest.rig.resume() {
        Err(TrialError::Panicked { message }) if message.starts_with("no such step: [99, 1, 2, 3]") => {
            guest.expect(&[], &NONE)
        }
        other => Err(format!("ended with {other:x?}").into()),
    }
}
