//! Our count of exits beside KVM's own.

use abi::timed::company::Company;
use host::axes::Doorbell;

use super::measured::TimedMeasured;
use crate::figure::unit::total;

/// One count by two witnesses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// What was counted.
    pub what: &'static str,
    /// What KVM calls it.
    pub stat: &'static str,
    /// Our count.
    pub ours: u64,
    /// KVM's; `None` if it has no such statistic.
    pub kvm: Option<u64>,
    /// By how many the two may differ.
    pub within: u64,
}

/// What two witnesses make of each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// The same number, or as near as can be told.
    Agree,
    /// Different numbers.
    Differ,
    /// Only one witness.
    Alone,
}

impl Row {
    /// Whether the witnesses agree.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        match self.kvm {
            None => Agreement::Alone,
            Some(kvm) if kvm.abs_diff(self.ours) <= self.within => Agreement::Agree,
            Some(_) => Agreement::Differ,
        }
    }
}

/// Sets our counts of a trial beside KVM's statistics of its measured part.
///
/// - `fpu_reload` counts every return from `KVM_RUN`: KVM puts the guest's FPU state away on the way out and
///   nowhere else (Linux `arch/x86/kvm/x86.c`, `kvm_put_guest_fpu`). It is the one to trust.
/// - `mmio_exits` and `hypercalls` count what their names say; the hypercalls that KVM answers itself are among
///   the latter and in no exit of ours, so that the guest's calls are added. Xen's are not among them
///   (Linux `arch/x86/kvm/xen.c`), and so say nothing.
/// - `io_exits` counts port exits of the processor, those that KVM answers itself included; where KVM gets at
///   a port write by emulating the instruction (`kvm_pvm`) it stays 0 and says nothing.
///
/// Of several processors all but the first wait when the first marks the beginning and the end of what is measured, and
/// give themselves away again and again: each may be between KVM's count and ours at either mark.
#[must_use]
pub fn compare(doorbell: Doorbell, company: Company, trial: &TimedMeasured) -> Vec<Row> {
    let exits = &trial.counts.exits;
    let row = |what, stat: &'static str, ours| Row {
        what,
        stat,
        ours,
        kvm: trial.counts.kvm_stats.get(stat).copied(),
        within: 0,
    };
    let waiting = 2 * u64::from(company.vcpus.saturating_sub(1));
    let answered_by_kvm = |by| if doorbell == by { trial.calls } else { 0 };
    // Those that found the queue full are among our exits.
    let queued = trial.ranges.saturating_sub(trial.overflows);
    let queued = if doorbell == Doorbell::CoalescedPort { queued } else { 0 };
    let by_port = answered_by_kvm(Doorbell::IoeventfdPort).saturating_add(queued);
    let by_hypercall =
        answered_by_kvm(Doorbell::HypercallKernel).saturating_add(answered_by_kvm(Doorbell::HypercallModule));
    let mut ports = row("port writes", "io_exits", total([exits.port, exits.control, trial.idles, by_port]));
    ports.kvm = ports.kvm.filter(|count| *count > 0);
    ports.within = waiting;
    let mut hypercalls = row("hypercalls", "hypercalls", total([exits.hypercall, by_hypercall]));
    hypercalls.kvm = hypercalls.kvm.filter(|_| doorbell != Doorbell::XenHypercall);
    let returns = total([exits.transport(), exits.control, exits.interrupted, trial.idles]);
    vec![
        Row { within: waiting, ..row("returns to user space", "fpu_reload", returns) },
        hypercalls,
        row("MMIO accesses", "mmio_exits", exits.mmio),
        ports,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::counts::ExitCounts;
    use crate::trial::kind::Timed;

    fn agreements(doorbell: Doorbell, stats: &[(&str, u64)]) -> Vec<Agreement> {
        let (record, _) = crate::testing::timed::trial(0, 1000);
        let mut trial = record.measured::<Timed>().unwrap().clone();
        trial.counts.exits = ExitCounts { port: 100, mmio: 5, control: 2, interrupted: 1, hypercall: 0 };
        trial.counts.kvm_stats = stats.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        trial.calls = 50;
        compare(doorbell, Company::ALONE, &trial).iter().map(Row::agreement).collect()
    }

    #[test]
    fn equal_counts_agree_and_others_do_not() {
        use Agreement::{Agree, Alone, Differ};
        let stats = [("fpu_reload", 108), ("io_exits", 102), ("mmio_exits", 4)];
        let by_port = |stats| agreements(Doorbell::Port, stats);
        assert_eq!(by_port(&stats), [Agree, Alone, Differ, Agree]);
        assert_eq!(by_port(&[("io_exits", 0)]), [Alone; 4], "ports that KVM emulates");
        assert_eq!(by_port(&[("io_exits", 101), ("fpu_reload", 107)]), [Differ, Alone, Alone, Differ]);
    }

    #[test]
    fn kvm_must_have_counted_the_calls_it_answered_itself() {
        use Agreement::{Agree, Alone, Differ};
        let stats = |hypercalls| [("fpu_reload", 108), ("hypercalls", hypercalls)];
        let in_kernel = |hypercalls| agreements(Doorbell::HypercallKernel, &stats(hypercalls));
        assert_eq!(in_kernel(50), [Agree, Agree, Alone, Alone]);
        assert_eq!(in_kernel(49), [Agree, Differ, Alone, Alone], "a call it did not see");
        assert_eq!(agreements(Doorbell::Hypercall, &stats(50))[1], Differ, "calls that never reached us");
        assert_eq!(agreements(Doorbell::XenHypercall, &stats(0))[1], Alone, "KVM does not count Xen's");
    }
}
