//! Several processors: each has its own place, and one that fails is named and stops the others.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abi::calls::Answer;
use abi::control::Control;
use abi::engine::books::{Counter, counter, shared};
use abi::layout;
use abi::notes;
use abi::wire::page;
use host::axes::{Carrier, Completion, Doorbell, Way};
use host::engine::{EngineOutcome, EngineSpec, run_image};
use host::kvm::ExitError;
use host::probe::Facts;
use host::trial::TrialError;
use libtest_mimic::Trial;
use vmm_sys_util::signal::Killable;

use crate::SPEC;
use crate::common::Checked;
use crate::handmade::{Code, image};

const VCPUS: u32 = 4;
/// How long these guests may take over nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a trial may go on once it is to stop.
const PROMPT: Duration = Duration::from_millis(500);

const CALLS: EngineSpec = EngineSpec {
    way: Way::plain(Carrier::Registers, Doorbell::Port, Completion::Return),
    vcpus: VCPUS,
    footprint: 8 << 20,
    ..SPEC
};

type Test = fn(&Facts) -> Checked;

pub(crate) fn tests(facts: &'static Facts) -> Vec<Trial> {
    let tests: [(&str, Test); 10] = [
        ("each-has-its-own-answer", each_has_its_own_answer),
        ("idling-is-no-transport", idling_is_no_transport),
        ("one-that-hangs-is-named", one_that_hangs_is_named),
        ("an-interruption-is-no-progress", an_interruption_is_no_progress),
        ("one-that-panics-is-named", one_that_panics_is_named),
        ("one-that-faults-is-named", one_that_faults_is_named),
        ("all-that-wait-are-stopped", all_that_wait_are_stopped),
        ("a-straggler-is-not-waited-for", a_straggler_is_not_waited_for),
        ("all-stop-when-told", all_stop_when_told),
        ("who-may-say-what", who_may_say_what),
    ];
    tests.map(|(name, test)| Trial::test(format!("processors::{name}"), move || test(facts))).into()
}

/// Runs a guest of hand-made processors; no thread may be left of it.
fn run(code: &[Code], facts: &Facts) -> Result<EngineOutcome, TrialError> {
    let before = threads();
    let ended = run_image(&CALLS, facts, &Arc::default(), &image(code), PATIENCE);
    // A thread that was joined is listed until the kernel is done with it.
    let deadline = Instant::now() + PROMPT;
    while threads() > before && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(threads() <= before, "threads left");
    ended
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Processors that all do something in the measured part: the first says that it has begun, waits until the others are
/// done, and says that it has ended.
fn sound(does: impl Fn(u32, Code) -> Code) -> Vec<Code> {
    let begun = shared::OWN;
    let done = |vcpu: u32| begun.offset(u64::from(vcpu) * 4);
    let mut first = does(0, Code::default().say(Control::Begin).store(begun, 1));
    for vcpu in 1..VCPUS {
        first = first.await_word(done(vcpu));
    }
    let first = first.say(Control::End).say(Control::Done).hang();
    let other = |vcpu| {
        let code = does(vcpu, Code::default().await_word(begun));
        code.store(done(vcpu), 1).say(Control::Parked).hang()
    };
    std::iter::once(first).chain((1..VCPUS).map(other)).collect()
}

fn each_has_its_own_answer(facts: &Facts) -> Checked {
    let map = CALLS.map();
    let code = sound(|vcpu, code| {
        // No such call from the odd ones, a page that is memory from the others.
        let called = if vcpu % 2 == 1 { code.call(99, 0, 1) } else { code.call(1, 0x200_0000, 1) };
        let answer = layout::vcpu::batch(vcpu).offset(page::ANSWER);
        called.copy(answer, counter(map.vcpu(vcpu), Counter::Operations))
    });
    let outcome = run(&code, facts)?;
    let answers: Vec<_> =
        outcome.counters.iter().map(|counters| counters[Counter::Operations as usize]).collect();
    let no_such_call = Answer::NoSuchCall.value() & 0xffff_ffff;
    assert_eq!(answers, [0, no_such_call, 0, no_such_call]);
    assert_eq!((outcome.common.refused.bad_call, outcome.common.refused.total()), (2, 2));
    assert_eq!((outcome.common.exits.port, outcome.common.discarded_pages), (4, 2), "of all processors");
    Ok(())
}

fn idling_is_no_transport(facts: &Facts) -> Checked {
    let code = sound(|vcpu, code| if vcpu == 2 { code.idle(0).idle(300).idle(u32::MAX) } else { code });
    let outcome = run(&code, facts)?;
    assert!(outcome.idles >= 3, "{} times given away", outcome.idles);
    assert_eq!(outcome.common.exits.transport(), 0);
    let elapsed = outcome.common.elapsed_ns.unwrap_or(0);
    assert!(elapsed < 2_000_000_000, "the longest sleep is bounded: {elapsed} ns");
    Ok(())
}

/// Three processors that wait, and one that does not.
fn beside_waiting(other: Code) -> Vec<Code> {
    let waiting = Code::default().idle_for_ever();
    vec![waiting.clone(), waiting.clone(), other, waiting]
}

fn is_of_the_third(ended: &Result<EngineOutcome, TrialError>, expected: fn(&TrialError) -> bool) {
    let named = matches!(ended, Err(TrialError::Processor { vcpu: 2, source }) if expected(source));
    assert!(named, "ended with {ended:?}");
}

fn one_that_hangs_is_named(facts: &Facts) -> Checked {
    let ended = run(&beside_waiting(Code::default().hang()), facts);
    is_of_the_third(&ended, |error| matches!(error, TrialError::Exit(ExitError::Deadline { .. })));
    Ok(())
}

fn an_interruption_is_no_progress(facts: &Facts) -> Checked {
    let facts = facts.clone();
    let hanging =
        std::thread::spawn(move || run(&vec![Code::default().hang(); VCPUS as usize], &facts).err());
    let deadline = Instant::now() + 20 * PATIENCE;
    while !hanging.is_finished() {
        assert!(Instant::now() < deadline, "every signal puts the deadline off");
        // Ignored by whoever has no handler of it, and the kick of the watchdog, which has one.
        hanging.kill(libc::SIGURG)?;
        std::thread::sleep(PATIENCE / 20);
    }
    let ended = hanging.join().map_err(|_| "the trial panicked")?;
    let said = ended.map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("made no progress within its deadline"), "{said}");
    Ok(())
}

fn one_that_panics_is_named(facts: &Facts) -> Checked {
    let message = u32::from_le_bytes(*b"oops");
    let panicking = Code::default().store(notes::PANIC_TEXT, message).store(notes::PANIC_LENGTH, 4);
    let ended = run(&beside_waiting(panicking.say(Control::Panicked).hang()), facts);
    is_of_the_third(&ended, |error| matches!(error, TrialError::Panicked { message } if message == "oops"));
    Ok(())
}

fn one_that_faults_is_named(facts: &Facts) -> Checked {
    let ended = run(&beside_waiting(Code::default().fault()), facts);
    is_of_the_third(&ended, |error| matches!(error, TrialError::Exit(ExitError::TripleFault { .. })));
    Ok(())
}

fn all_that_wait_are_stopped(facts: &Facts) -> Checked {
    let ended = run(&beside_waiting(Code::default().idle_for_ever()), facts);
    assert!(matches!(ended, Err(TrialError::Exit(ExitError::Waiting))), "ended with {ended:?}");
    Ok(())
}

/// The first is done, another has not parked and never will.
fn a_straggler_is_not_waited_for(facts: &Facts) -> Checked {
    let mut code = sound(|_, code| code);
    let flag = shared::OWN.offset(2 * 4);
    code[2] = Code::default().store(flag, 1).hang();
    let ended = run(&code, facts);
    is_of_the_third(&ended, |error| matches!(error, TrialError::Exit(ExitError::Deadline { .. })));
    Ok(())
}

fn all_stop_when_told(facts: &Facts) -> Checked {
    for busy in [Code::default().hang(), Code::default().idle_for_ever()] {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let raising = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(150));
            // Relaxed: the flag carries nothing with it.
            flag.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let guest = image(&beside_waiting(busy));
        let ended = run_image(&CALLS, facts, &stop, &guest, Duration::from_secs(60));
        let stopped = Instant::now();
        let raised = raising.join().map_err(|_| "the thread that raises the flag panicked")?;
        assert!(matches!(ended, Err(TrialError::Stopped)), "ended with {ended:?}");
        let took = stopped.saturating_duration_since(raised);
        assert!(took < PROMPT, "took {took:?} to stop");
    }
    Ok(())
}

fn who_may_say_what(facts: &Facts) -> Checked {
    let others =
        [Control::Ready, Control::Begin, Control::Settled, Control::End, Control::Done, Control::Next];
    for control in others {
        let ended = run(&beside_waiting(Code::default().say(control).hang()), facts);
        is_of_the_third(&ended, |error| matches!(error, TrialError::Protocol { .. }));
    }
    let settled = |code: Code, times| (0..times).fold(code, |code, _| code.say(Control::Settled));
    let begun = || Code::default().say(Control::Begin);
    let firsts = [
        Code::default().say(Control::Parked).hang(),
        Code::default().say(Control::Drain).hang(),
        Code::default().say(Control::Done).hang(),
        begun().say(Control::Done).hang(),
        Code::default().say(Control::End).hang(),
        begun().say(Control::Begin).hang(),
        begun().say(Control::End).say(Control::Begin).hang(),
        begun().say(Control::End).say(Control::End).hang(),
        settled(begun(), SPEC.rounds + 1).hang(),
        begun().say(Control::Resting).say(Control::Resting).hang(),
    ];
    for first in firsts {
        let mut code = vec![Code::default().say(Control::Parked).hang(); VCPUS as usize];
        code[0] = first;
        let ended = run(&code, facts);
        assert!(matches!(ended, Err(TrialError::Protocol { .. })), "ended with {ended:?}");
    }
    Ok(())
}
