//! One of a company, whose others the fake machine plays.

use abi::axes::{Afterwards, Program};
use abi::notes;
use abi::violation::Violation;

use super::*;
use crate::metal::fake::Fake;
use crate::timed::program::tests::info as alone;

const PAGES: u64 = 512;

fn info(carrier: Carrier, vcpus: u64) -> BootInfo {
    BootInfo { program: Program::Company, arena_pages: PAGES * vcpus, ..alone(carrier, Afterwards::Kept) }
}

/// The first processor of a company, after everything; the others come to every meeting, and say that they are done as
/// soon as the first is.
fn first_of(company: Company, info: &BootInfo) -> Fake {
    let mut metal = Fake::with_arena(2048, |_, _| {});
    for (at, word) in (0..).zip(company.to_words()) {
        metal.store(COMPANY.offset(at * 8), word);
    }
    metal.when_idle(move |metal| {
        for other in 1..company.vcpus {
            metal.store32(met(other), metal.load32(met(0)));
            metal.store32(ended(other), metal.load32(ended(0)));
        }
    });
    let share = company.share(0, info.arena_pages);
    metal.when_told(move |metal, said| {
        if said == Control::Vacate {
            metal.zero(share.start.gpa(), share.bytes().len);
        }
    });
    run(&mut metal, info).unwrap();
    metal
}

fn found(metal: &Fake) -> Vec<Violation> {
    Violation::ALL.into_iter().filter(|kind| metal.load(notes::violations(*kind)) > 0).collect()
}

#[test]
fn in_company_it_says_and_reports_what_it_does_alone() {
    let info = info(Carrier::Registers, 2);
    let metal = first_of(Company { vcpus: 2, reporters: 2 }, &info);
    let mut one = Fake::new(|_, _| {});
    choose(&mut one, &BootInfo { arena_pages: PAGES, ..info }, crate::timed::program::Report).unwrap();
    for note in [notes::CALLS, notes::REPORTS, notes::DIGEST_SUM, notes::DIGEST_PAGES, notes::CHECKED] {
        assert_eq!(metal.load(note), one.load(note), "{note:?}");
    }
    assert_eq!(metal.said, one.said);
    assert_eq!((metal.rings, found(&metal)), (one.rings, Vec::new()));
    assert!(metal.idled > 0 && one.idled == 0);
}

#[test]
fn where_nobody_reports_each_faults_in_as_much_as_it_would_have_reported() {
    let info = info(Carrier::Batch, 1);
    let metal = first_of(Company { vcpus: 1, reporters: 0 }, &info);
    let tally = Own::of(0, info.arena_pages).tally();
    let gaps: u64 = (0..abi::tally::BUCKETS as u64).map(|at| metal.load(tally.offset(at * 8))).sum();
    let pages = info.reports * info.batch;
    assert!((pages - Faulter::STRIDE + 1..=pages).contains(&gaps), "{gaps} of {pages}");
    let vacated = pages.div_ceil(PAGES);
    let vacate = |said: &&Control| **said == Control::Vacate;
    assert_eq!(metal.said.iter().filter(vacate).count() as u64, vacated);
    let said: Vec<Control> = metal.said.iter().copied().filter(|said| *said != Control::Vacate).collect();
    assert_eq!(said, [Control::Ready, Control::Begin, Control::End, Control::Done]);
    assert_eq!((metal.rings, found(&metal)), (0, Vec::new()));
}
