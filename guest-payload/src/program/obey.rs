//! Does what the host says, step by step: probes, and guests that break the rules.

use abi::addr::Gpa;
use abi::boot::BootInfo;
use abi::control::Control;
use abi::layout;
use abi::notes;
use abi::step::{Step, WORDS};

use crate::metal::Metal;
use crate::transport::Transport;
use crate::transport::choose::Over;

/// Obeys. The transport is brought up and left to what the host says.
pub(super) struct Obey;

impl<M: Metal> Over<M> for Obey {
    fn over<T: Transport<M>>(self, metal: &mut M, _: &BootInfo, _: T) {
        run(metal);
    }
}

/// Asks for steps and takes them, for ever.
///
/// # Panics
/// On a step that is none, and on [`Step::Panic`].
fn run(metal: &mut impl Metal) {
    metal.control(Control::Ready);
    loop {
        metal.control(Control::Next);
        let words = core::array::from_fn::<u64, WORDS, _>(|i| metal.load(layout::STEP.offset(i as u64 * 8)));
        let Some(step) = Step::from_words(words) else { panic!("no such step: {words:?}") };
        obey(metal, step);
    }
}

fn obey(metal: &mut impl Metal, step: Step) {
    match step {
        Step::Call { word, gpa, pages } => {
            metal.ring(word, Gpa(gpa), pages);
            let answer = metal.answer();
            metal.store(notes::ANSWER, answer);
        }
        Step::Out { port, value } => metal.out(port, value),
        Step::Store { gpa, value } => metal.store32(Gpa(gpa), value),
        Step::Out8 { port, value } => metal.out8(port, value),
        Step::Store16 { gpa, value } => metal.store16(Gpa(gpa), value),
        Step::Load { gpa } => {
            let value = metal.load32(Gpa(gpa));
            metal.store(notes::ANSWER, u64::from(value));
        }
        Step::Clock => {
            let now = metal.clock();
            metal.store(notes::ANSWER, now);
        }
        Step::Halt => metal.halt(),
        Step::Count { iterations } => metal.count(iterations),
        Step::TripleFault => metal.triple_fault(),
        Step::Hang => loop {
            metal.relax();
        },
        Step::Panic => panic!("as told"),
    }
}
