//! The physical witness on the real kernel: what is unmapped, what of it is back, and what a memory limit does to the
//! difference. Needs no KVM; a witness that cannot be had here is said in the test's name.

use std::process::ExitCode;

use host::axes::{Axis, Backing};
use host::memory::WitnessKind;
use host::testing::physical::{Seen, Watched};
use libtest_mimic::{Arguments, Failed, Trial};

type Checked = Result<(), Failed>;

const MIB: u64 = 1 << 20;
/// Large enough that what a processor charges ahead is little of it.
const BYTES: u64 = 64 * MIB;
/// Pages of a transparent huge page.
const HUGE: u64 = 512;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The tests move the process from group to group.
    arguments.test_threads = Some(1);
    let mut tests = Vec::new();
    for kind in [WitnessKind::Frames, WitnessKind::Cgroup] {
        let there = Watched::new(MIB, Backing::Anon, &[kind]).err().map(|error| error.to_string());
        let mut add = |name: &str, test: fn(WitnessKind) -> Checked| {
            let trial = Trial::test(format!("{}::{name}", kind.name()), move || test(kind));
            let trial = trial.with_ignored_flag(there.is_some());
            tests.push(if let Some(why) = &there { trial.with_kind(why.clone()) } else { trial });
        };
        add("a-discarded-page-of-4-kib-is-back", small_pages_are_back);
        add("a-hole-in-a-huge-page-is-unmapped-and-not-back", holes_are_not_back);
        add("a-whole-huge-page-is-back", whole_huge_pages_are_back);
        add("a-hole-that-is-touched-again-takes-a-page-more", a_hole_refilled_costs_a_page);
    }
    let frames = Watched::new(MIB, Backing::Anon, &[WitnessKind::Frames]);
    let gripped = Trial::test("frames::a-page-with-a-reference-is-never-back", references_are_not_forgotten);
    tests.push(match frames {
        Ok(_) => gripped,
        Err(why) => gripped.with_ignored_flag(true).with_kind(why.to_string()),
    });
    let both = Watched::new(MIB, Backing::Anon, &[WitnessKind::Frames, WitnessKind::Cgroup]);
    let limit = Trial::test("a-memory-limit-brings-holes-back", a_limit_brings_holes_back);
    tests.push(match both {
        Ok(_) => limit,
        Err(why) => limit.with_ignored_flag(true).with_kind(why.to_string()),
    });
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// However often it is looked at.
fn references_are_not_forgotten() -> Checked {
    const HELD: u64 = 64;
    let mut memory = written(Backing::Anon, &[WitnessKind::Frames])?;
    let before = memory.look()?;
    memory.grip(HELD)?;
    (0..2 * HELD).try_for_each(|page| memory.discard(page))?;
    for _ in 0..3 {
        let now = memory.look()?;
        assert_eq!(now.unmapped, 2 * HELD);
        assert_eq!(more(&now, &before), (HELD.cast_signed(), 0));
    }
    Ok(())
}

/// All of it written to.
fn written(backing: Backing, kinds: &[WitnessKind]) -> Result<Watched, Failed> {
    let memory = Watched::new(BYTES, backing, kinds)?;
    (0..memory.pages()).try_for_each(|page| memory.touch(page))?;
    Ok(memory)
}

/// Pages held more than before, by the first witness, and by how many it may be off.
fn more(now: &Seen, before: &Seen) -> (i64, i64) {
    let (now, before) = (now.held[0], before.held[0]);
    (now.pages - before.pages, (now.within + before.within).cast_signed())
}

/// Every other page.
fn holes(memory: &Watched) -> Result<u64, Failed> {
    (0..memory.pages()).step_by(2).try_for_each(|page| memory.discard(page))?;
    Ok(memory.pages() / 2)
}

fn small_pages_are_back(kind: WitnessKind) -> Checked {
    let mut memory = written(Backing::Anon, &[kind])?;
    let before = memory.look()?;
    let discarded = holes(&memory)?;
    let now = memory.look()?;
    let (held, within) = more(&now, &before);
    println!("{}: unmapped {}, held {held} ±{within}", kind.name(), now.unmapped);
    assert_eq!((before.unmapped, now.unmapped), (0, discarded), "unmapped");
    assert!(held.abs() <= within, "{held} held, within {within}");
    Ok(())
}

fn holes_are_not_back(kind: WitnessKind) -> Checked {
    let mut memory = written(Backing::AnonThp, &[kind])?;
    let before = memory.look()?;
    let discarded = holes(&memory)?;
    let now = memory.look()?;
    let (held, within) = more(&now, &before);
    println!("{}: unmapped {}, held {held} ±{within}, {:?}", kind.name(), now.unmapped, now.splits);
    assert_eq!((before.unmapped, now.unmapped), (0, discarded), "unmapped");
    assert!(held.abs_diff(discarded.cast_signed()) <= within.cast_unsigned(), "{held} held of {discarded}");
    let splits = now.splits.ok_or("the kernel counts no splits")?;
    assert!(splits.deferred >= memory.pages() / HUGE, "{splits:?}");
    assert_eq!(splits.done, 0, "huge pages split");
    Ok(())
}

fn whole_huge_pages_are_back(kind: WitnessKind) -> Checked {
    let mut memory = written(Backing::AnonThp, &[kind])?;
    let before = memory.look()?;
    (0..memory.pages())
        .filter(|page| (page / HUGE).is_multiple_of(2))
        .try_for_each(|page| memory.discard(page))?;
    let now = memory.look()?;
    let (held, within) = more(&now, &before);
    println!("{}: unmapped {}, held {held} ±{within}", kind.name(), now.unmapped);
    assert_eq!(now.unmapped, memory.pages() / 2, "unmapped");
    assert!(held.abs() <= within, "{held} held, within {within}");
    Ok(())
}

fn a_hole_refilled_costs_a_page(kind: WitnessKind) -> Checked {
    let mut memory = written(Backing::AnonThp, &[kind])?;
    let before = memory.look()?;
    let discarded = holes(&memory)?;
    (0..memory.pages()).step_by(2).try_for_each(|page| memory.touch(page))?;
    let now = memory.look()?;
    let (held, within) = more(&now, &before);
    println!("{}: unmapped {}, held {held} ±{within}", kind.name(), now.unmapped);
    assert_eq!(now.unmapped, 0, "unmapped");
    assert!(held.abs_diff(discarded.cast_signed()) <= within.cast_unsigned(), "{held} held of {discarded}");
    Ok(())
}

/// Short of memory the kernel splits what it has put off, and only then are holes back. Both witnesses agree.
fn a_limit_brings_holes_back() -> Checked {
    let mut memory = written(Backing::AnonThp, &[WitnessKind::Frames, WitnessKind::Cgroup])?;
    let discarded = holes(&memory)?.cast_signed();
    let before = memory.look()?;
    println!("before: unmapped {}, held {:?}, {:?}", before.unmapped, before.held, before.splits);
    // More than what processors have charged ahead, and less than what is in holes.
    memory.squeeze(discarded.cast_unsigned() / 2)?;
    let now = memory.look()?;
    println!("after:  unmapped {}, held {:?}, {:?}", now.unmapped, now.held, now.splits);
    assert_eq!(now.unmapped, before.unmapped, "a split unmaps nothing");
    for (now, before) in now.held.iter().zip(&before.held) {
        let (back, within) = (before.pages - now.pages, (now.within + before.within).cast_signed());
        assert!(back + within >= discarded / 2, "{back} of {discarded} back, within {within}");
    }
    let came_back = now.held.iter().zip(&before.held).map(|(now, before)| before.pages - now.pages);
    let [frames, cgroup] = came_back.collect::<Vec<_>>()[..] else { return Err("two witnesses".into()) };
    let within = now.held[1].within + before.held[1].within;
    assert!(frames.abs_diff(cgroup) <= within, "{frames} back by the frames, {cgroup} by the group");
    let (then, splits) = (before.splits.unwrap_or_default(), now.splits.unwrap_or_default());
    assert!(then.done == 0 && splits.done > 0, "{then:?}, then {splits:?}");
    Ok(())
}
