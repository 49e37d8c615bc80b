//! What every suite on the real device needs: the facts, the transports, and what to do without a device.

use std::env;
use std::process::ExitCode;
use std::sync::OnceLock;

use host::axes::{Bell, Carrier, Completion, Doorbell, HaltPoll, RingFeatures, Way};
use host::kvm::{Counter, Flavour, Placed};
use host::probe::{ClockSource, Facts};
use libtest_mimic::{Arguments, Failed, Trial};

/// Set to 1 where a missing device is a failure, not a reason to skip.
const REQUIRE: &str = "PAGEHINT_REQUIRE_KVM";

/// How a test ends.
pub(crate) type Checked = Result<(), Failed>;

/// Runs the tests of a suite one after the other: most count exits or take the time. Without a usable device
/// all are listed as ignored, and the reason is printed.
pub(crate) fn run(suite: impl FnOnce(&'static Facts) -> Vec<Trial>) -> ExitCode {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    match host::probe::probe() {
        Ok(facts) => {
            let tests = suite(FACTS.get_or_init(|| facts));
            libtest_mimic::run(&arguments, tests).exit_code()
        }
        Err(error) => {
            println!("no KVM, no test: {error}");
            let ignore = |test: Trial| {
                if test.has_ignored_flag() { test } else { ignored(test.name().into(), "no KVM") }
            };
            let tests = suite(FACTS.get_or_init(nothing_known)).into_iter().map(ignore).collect();
            let conclusion = libtest_mimic::run(&arguments, tests);
            if env::var_os(REQUIRE).is_some_and(|value| value == "1") {
                println!("{REQUIRE}=1: that is a failure");
                return ExitCode::FAILURE;
            }
            conclusion.exit_code()
        }
    }
}

/// The facts of a machine without KVM: enough to name the tests.
fn nothing_known() -> Facts {
    Facts {
        flavour: Flavour::Unknown,
        capabilities: Vec::new(),
        max_vcpus: 1,
        hypercall: Bell::Vmcall,
        doorbells: Vec::new(),
        floors: Vec::new(),
        instruction_ticks: [None; 2],
        ring0_emulated: false,
        counter: Counter::Time,
        tsc_khz: 0,
        tsc_offset: None,
        payload_target: "",
        placed: Placed::default(),
        clock_source: ClockSource::default(),
    }
}

/// A test that cannot be run over this transport, listed with the reason.
pub(crate) fn ignored(name: String, reason: &'static str) -> Trial {
    Trial::test(name, move || Err(reason.into())).with_ignored_flag(true).with_kind(reason)
}

/// One way for reports to travel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Transport {
    /// What tests over it are called.
    pub(crate) name: String,
    pub(crate) way: Way,
}

impl Transport {
    pub(crate) fn new(name: &str, carrier: Carrier, doorbell: Doorbell, completion: Completion) -> Self {
        Self { name: name.into(), way: Way::plain(carrier, doorbell, completion) }
    }

    /// The same over a ring with options.
    fn having(self, ring_features: RingFeatures) -> Self {
        Self { way: Way { ring_features, ..self.way }, ..self }
    }
}

/// Every option of a ring at once.
const ALL_OPTIONS: RingFeatures = RingFeatures { indirect: true, event_idx: true, in_order: true };

/// The rungs of the ladder that report something, and the other combinations of carrier and doorbell; and rings with options.
pub(crate) fn transports(facts: &Facts) -> Vec<Transport> {
    let hypercall = |name: &str, carrier| {
        if facts.answers(Doorbell::Hypercall) {
            Transport::new(name, carrier, Doorbell::Hypercall, Completion::Return)
        } else {
            Transport::new(&format!("{name}-by-port"), carrier, Doorbell::Port, Completion::Return)
        }
    };
    let new = Transport::new;
    let foreign = [
        new("xen-each", Carrier::Registers, Doorbell::XenHypercall, Completion::Return),
        new("xen-batch", Carrier::Batch, Doorbell::XenHypercall, Completion::Return),
        new("heat-hint", Carrier::HeatHint, Doorbell::HypervHypercall, Completion::Return),
    ];
    let virtio = new("virtio", Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Interrupt);
    let native = [
        hypercall("hypercall-each", Carrier::Registers),
        hypercall("hypercall-batch", Carrier::Batch),
        hypercall("ring-hypercall", Carrier::Ring),
        new("ring-sync", Carrier::Ring, Doorbell::Mmio, Completion::Return),
        new("ring-async", Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Poll),
        Transport { name: "virtio-polled".into(), ..virtio.clone() },
        Transport { way: Way { halt_poll: HaltPoll::Never, ..virtio.way }, ..virtio },
        new("registers-mmio", Carrier::Registers, Doorbell::Mmio, Completion::Return),
        new("batch-mmio", Carrier::Batch, Doorbell::Mmio, Completion::Return),
        new("ring-ioeventfd-port", Carrier::Ring, Doorbell::IoeventfdPort, Completion::Poll),
        new("store-port", Carrier::Store, Doorbell::Port, Completion::Return),
        new("store-mmio", Carrier::Store, Doorbell::Mmio, Completion::Return),
        hypercall("packed-hypercall", Carrier::PackedRing),
        new("packed-sync", Carrier::PackedRing, Doorbell::Mmio, Completion::Return),
        new("packed-async", Carrier::PackedRing, Doorbell::IoeventfdMmio, Completion::Poll),
        new("polling-async", Carrier::Ring, Doorbell::None, Completion::Poll),
        new("packed-polling-virtio", Carrier::PackedRing, Doorbell::None, Completion::Interrupt),
        new("packed-virtio-polled", Carrier::PackedRing, Doorbell::IoeventfdMmio, Completion::Interrupt),
        new("ring-options", Carrier::Ring, Doorbell::Mmio, Completion::Return).having(ALL_OPTIONS),
        new("virtio-options", Carrier::Ring, Doorbell::IoeventfdMmio, Completion::Interrupt)
            .having(ALL_OPTIONS),
        new("packed-options", Carrier::PackedRing, Doorbell::IoeventfdMmio, Completion::Poll)
            .having(RingFeatures { in_order: false, ..ALL_OPTIONS }),
        hypercall("request", Carrier::Request),
        new("request-mmio", Carrier::Request, Doorbell::Mmio, Completion::Return),
        hypercall("status", Carrier::Status),
        new("status-mmio", Carrier::Status, Doorbell::Mmio, Completion::Return),
        new("inflate", Carrier::Inflate, Doorbell::Mmio, Completion::Return),
        hypercall("inflate-hypercall", Carrier::Inflate),
        new("inflate-async", Carrier::Inflate, Doorbell::IoeventfdMmio, Completion::Poll),
        new("inflate-virtio-polled", Carrier::Inflate, Doorbell::IoeventfdMmio, Completion::Interrupt),
        hypercall("call-and-ring", Carrier::CallAndRing),
        new("call-and-ring-mmio", Carrier::CallAndRing, Doorbell::Mmio, Completion::Return),
        new("ring-async-any-length", Carrier::Ring, Doorbell::IoeventfdMmioAny, Completion::Poll),
        new("inflate-any-length", Carrier::Inflate, Doorbell::IoeventfdMmioAny, Completion::Poll),
    ];
    // Those of other hypervisors are listed where KVM has them.
    native.into_iter().chain(foreign.into_iter().filter(|over| facts.answers(over.way.doorbell))).collect()
}

/// Transports whose carrier gathers reports and is told of many at once.
#[allow(dead_code, reason = "not every suite looks at them")]
pub(crate) fn gathering(facts: &Facts) -> Vec<Transport> {
    let new = Transport::new;
    let log = if facts.answers(Doorbell::Hypercall) {
        new("log", Carrier::Log, Doorbell::Hypercall, Completion::Return)
    } else {
        new("log-by-port", Carrier::Log, Doorbell::Port, Completion::Return)
    };
    vec![
        log,
        new("log-mmio", Carrier::Log, Doorbell::Mmio, Completion::Return),
        new("coalesced-port", Carrier::Store, Doorbell::CoalescedPort, Completion::Return),
        new("coalesced-mmio", Carrier::Store, Doorbell::CoalescedMmio, Completion::Return),
    ]
}
