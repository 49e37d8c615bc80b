//! Several processors in one trial: all report, some fault, nobody reports. What is freed is proven of all of them
//! together, and one of several reports what it reports alone.

use abi::timed::company::Company;
use abi::violation::Violation;
use host::axes::{Backing, Carrier, Completion, Servicer, Way};
use host::fault::{Fault, Planted};
use host::probe::Facts;
use host::testing::specs::{TIMED, timed_over};
use host::timed::{Outcome, Sample, TimedSpec};
use host::trial::TrialError;
use libtest_mimic::Trial;

use crate::common::{Checked, Transport};
use crate::samples::{Samples, trial};

const THREE_AND_ONE: Company = Company { vcpus: 4, reporters: 3 };

/// The tests of companies.
pub(crate) fn tests(transports: &[Transport], facts: &'static Facts) -> Vec<Trial> {
    // Carriers that only one processor can have are in `refusals`.
    let transports: Vec<_> = transports
        .iter()
        .filter(|transport| {
            TimedSpec { company: THREE_AND_ONE, ..timed_over(transport.way) }.validate().is_ok()
        })
        .cloned()
        .collect();
    let over = |transport: &Transport| {
        let companies = [(2, 2), (4, 4), (4, 3), (4, 1)];
        let sound = companies.map(|(vcpus, reporters)| {
            let spec = TimedSpec { company: Company { vcpus, reporters }, ..timed_over(transport.way) };
            let name = format!("{}::company-{reporters}-of-{vcpus}-report", transport.name);
            Trial::test(name, move || is_sound(&spec, facts))
        });
        let spec = TimedSpec { company: THREE_AND_ONE, ..timed_over(transport.way) };
        let faults = [
            (Fault::SkipDiscard, Violation::StillThere),
            (Fault::AcknowledgeFirst, Violation::StillThere),
            (Fault::PageTooMany, Violation::UnreportedLost),
        ];
        let faults = faults.map(|(fault, found)| {
            let name = format!("{}::company-{fault:?}-is-caught", transport.name);
            Trial::test(name, move || is_caught(&spec, fault, found, facts))
        });
        sound.into_iter().chain(faults).collect::<Vec<_>>()
    };
    let specs: Vec<TimedSpec> = transports.iter().map(|transport| timed_over(transport.way)).collect();
    let others = [
        Trial::test("company-nobody-reports", move || nobody_reports(facts)),
        Trial::test("company-first-reports-what-it-does-alone", move || is_as_alone(facts)),
        Trial::test("company-same-pages-over-every-transport", move || same_pages(&specs, facts)),
    ];
    transports.iter().flat_map(over).chain(others).collect()
}

fn run(spec: &TimedSpec, facts: &Facts) -> Result<(Outcome, Vec<Sample>), TrialError> {
    let mut samples = Samples::of(spec);
    let outcome = trial(spec, facts, Planted::NONE, &mut samples)?;
    assert_eq!(outcome.common.violations, [], "violations");
    assert_eq!(outcome.reported_digest, outcome.taken_digest, "pages reported and taken");
    assert_eq!(outcome.common.refused.total(), 0, "ranges refused");
    assert_eq!(outcome.proof.lost, 0, "pages lost");
    assert_eq!(outcome.disordered, 0, "reports whose stamps are not in order");
    Ok((outcome, samples.0))
}

fn is_sound(spec: &TimedSpec, facts: &Facts) -> Checked {
    let (outcome, samples) = run(spec, facts)?;
    let Company { vcpus, reporters } = spec.company;
    let (reports, pages) = (spec.reports * u64::from(reporters), u64::from(spec.batch));
    assert_eq!((outcome.reports, samples.len() as u64), (reports, reports), "reports of all");
    assert_eq!(outcome.common.discarded_pages, reports * pages, "pages of all in madvise calls");
    let proof = outcome.proof;
    assert_eq!(proof.reported, 2 * pages * u64::from(reporters), "pages of all reported for proof");
    assert_eq!((proof.resident_before, proof.unmapped), (proof.reported, proof.reported), "unmapped");
    let calls = spec.calls_a_report() * reports;
    let exits = if spec.way.servicer == Servicer::Vcpu { calls } else { 0 };
    assert_eq!((outcome.calls, outcome.common.exits.transport()), (calls, exits), "calls and exits");
    // Those that fault touch until the reports of all are over, each page of a pass that is not the last.
    let gaps: u64 = outcome.gaps.iter().map(|(_, count)| count).sum();
    assert_eq!(gaps > 0, reporters < vcpus, "gaps {:?}", outcome.gaps);
    if reporters == 1 || !spec.way.carrier.is_ring() {
        assert!(samples.iter().all(|sample| sample.discard > 0), "every report is stamped by the host");
    }
    Ok(())
}

fn is_caught(spec: &TimedSpec, fault: Fault, wanted: Violation, facts: &Facts) -> Checked {
    let outcome = trial(spec, facts, Planted::new(fault), &mut Samples::of(spec))?;
    let found = &outcome.common.violations;
    assert!(found.iter().any(|(violation, _)| *violation == wanted), "found {found:?}");
    match fault {
        Fault::PageTooMany => assert!(outcome.proof.lost > 0, "{:?}", outcome.proof),
        _ => assert!(outcome.proof.unmapped < outcome.proof.reported, "{:?}", outcome.proof),
    }
    Ok(())
}

fn batch() -> TimedSpec {
    timed_over(Way::plain(Carrier::Batch, host::axes::Doorbell::Port, Completion::Return))
}

fn nobody_reports(facts: &Facts) -> Checked {
    let spec = TimedSpec { company: Company { vcpus: 4, reporters: 0 }, ..batch() };
    let (outcome, samples) = run(&spec, facts)?;
    assert_eq!((outcome.reports, samples.len(), outcome.calls), (0, 0, 0));
    assert_eq!((outcome.common.madvise_calls, outcome.proof.proofs), (0, 0));
    let pages = spec.reports * u64::from(spec.batch);
    let gaps: u64 = outcome.gaps.iter().map(|(_, count)| count).sum();
    assert!((4 * (pages - 63)..=4 * pages).contains(&gaps), "{gaps} gaps of {pages} pages on each");
    // A fault takes longer than a touch of what is there, and most of these are faults.
    let (floor, _) = outcome.gaps[0];
    assert!(floor < 1_000_000, "{:?}", outcome.gaps);
    Ok(())
}

fn is_as_alone(facts: &Facts) -> Checked {
    let digest =
        |company| run(&TimedSpec { company, ..batch() }, facts).map(|(outcome, _)| outcome.reported_digest);
    let alone = digest(Company::ALONE)?;
    assert_eq!(digest(Company { vcpus: 3, reporters: 1 })?, alone);
    assert_ne!(digest(Company { vcpus: 3, reporters: 2 })?, alone);
    Ok(())
}

fn same_pages(specs: &[TimedSpec], facts: &Facts) -> Checked {
    let digest = |spec: &TimedSpec| {
        let spec = TimedSpec { company: THREE_AND_ONE, ..*spec };
        run(&spec, facts).map(|(outcome, _)| outcome.reported_digest)
    };
    let digests = specs.iter().map(digest).collect::<Result<Vec<_>, _>>()?;
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:x?}");
    Ok(())
}

/// A company that cannot be.
pub(crate) const NONE: [(&str, TimedSpec, &str); 5] = [
    ("no-processor", TimedSpec { company: Company { vcpus: 0, reporters: 0 }, ..TIMED }, "--vcpus"),
    (
        "processors-beyond-the-most",
        TimedSpec { company: Company { vcpus: 9, reporters: 1 }, ..TIMED },
        "--vcpus",
    ),
    (
        "more-reporters-than-processors",
        TimedSpec { company: Company { vcpus: 2, reporters: 3 }, ..TIMED },
        "--reporters",
    ),
    (
        "a-company-with-nothing-to-carry",
        TimedSpec {
            company: THREE_AND_ONE,
            way: Way { carrier: Carrier::Empty, completion: Completion::Return, ..TIMED.way },
            ..TIMED
        },
        "--carrier",
    ),
    (
        "faults-on-huge-pages",
        TimedSpec { company: THREE_AND_ONE, way: Way { backing: Backing::AnonThp, ..TIMED.way }, ..TIMED },
        "--backing anon",
    ),
];
