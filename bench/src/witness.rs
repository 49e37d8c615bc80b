//! Our count of exits beside KVM's own.

use std::collections::BTreeMap;

use crate::record::ExitCounts;

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
}

/// What two witnesses make of each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// The same number.
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
            Some(kvm) if kvm == self.ours => Agreement::Agree,
            Some(_) => Agreement::Differ,
        }
    }
}

/// Sets our counts of a trial beside KVM's statistics of its measured part.
#[must_use]
pub fn compare(ours: &ExitCounts, kvm: &BTreeMap<String, u64>) -> Vec<Row> {
    let row = |what, stat: &'static str, ours| Row { what, stat, ours, kvm: kvm.get(stat).copied() };
    vec![
        row("hypercalls", "hypercalls", ours.hypercall),
        row("port writes", "io_exits", ours.port + ours.control),
        row("MMIO accesses", "mmio_exits", ours.mmio),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_agree_and_others_do_not() {
        let ours = ExitCounts { port: 100, mmio: 5, control: 2, ..ExitCounts::default() };
        let kvm = BTreeMap::from([("io_exits".to_owned(), 102), ("mmio_exits".to_owned(), 4)]);
        let agreements: Vec<_> = compare(&ours, &kvm).iter().map(Row::agreement).collect();
        assert_eq!(agreements, [Agreement::Alone, Agreement::Agree, Agreement::Differ]);
    }
}
