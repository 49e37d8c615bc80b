//! Which processors share a core, and which a memory node: as the kernel shows it under `/sys`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::affinity::{Cpu, CpuSet};

/// Where the kernel shows it.
pub(crate) const SYSFS: &str = "/sys/devices/system";
/// Numbers in a list of the kernel's that is one.
const MOST_LISTED: usize = 1 << 20;

/// Where a processor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) cpu: Cpu,
    /// The lowest processor of its core: its own number, or that of a sibling.
    pub(crate) core: Cpu,
    /// The memory node it is near to.
    pub(crate) node: usize,
}

/// The processors that may be used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Topology {
    /// In the order of their numbers.
    pub(crate) places: Vec<Place>,
    /// Memory nodes of the machine, those without a processor that may be used among them.
    pub(crate) nodes: usize,
    /// Whether the kernel said of every processor which its siblings are.
    pub(crate) known: bool,
}

impl Topology {
    /// Of the processors in `allowed`, as shown under `root`. What is not shown is taken for the plainest there is: a
    /// core for each processor, and one node.
    pub(crate) fn read(root: &Path, allowed: &CpuSet) -> Self {
        let online = list(&root.join("cpu/online"));
        let usable = |cpu: &Cpu| online.as_ref().is_none_or(|online| online.contains(&cpu.0));
        let nodes = nodes(&root.join("node"));
        let near =
            |cpu: Cpu| nodes.iter().find(|(_, cpus)| cpus.contains(&cpu.0)).map_or(0, |(node, _)| *node);
        let mut known = true;
        let places = allowed.iter().filter(usable).map(|cpu| {
            let siblings = list(&root.join(format!("cpu/cpu{}/topology/thread_siblings_list", cpu.0)));
            known &= siblings.is_some();
            let core = siblings.and_then(|siblings| siblings.into_iter().min()).map_or(cpu, Cpu);
            Place { cpu, core, node: near(cpu) }
        });
        Self { places: places.collect(), nodes: nodes.len().max(1), known }
    }
}

/// The processors of every memory node.
fn nodes(root: &Path) -> BTreeMap<usize, Vec<usize>> {
    let Ok(entries) = fs::read_dir(root) else { return BTreeMap::new() };
    let node = |name: &str| name.strip_prefix("node")?.parse().ok();
    entries
        .flatten()
        .filter_map(|entry| Some((node(entry.file_name().to_str()?)?, list(&entry.path().join("cpulist"))?)))
        .collect()
}

fn list(path: &Path) -> Option<Vec<usize>> {
    parse(fs::read_to_string(path).ok()?.trim())
}

/// A list as the kernel writes it: `0-3,8,10-11`; the empty one too.
fn parse(text: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last.checked_sub(first)? > MOST_LISTED {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

/// Machines that are not there.
#[cfg(test)]
pub(crate) mod planted {
    use super::*;

    /// A sysfs of so many processors: `siblings` of each as the kernel lists them, and the list of each node.
    pub(crate) fn sysfs(
        online: &str,
        cpus: usize,
        siblings: impl Fn(usize) -> String,
        nodes: &[&str],
    ) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: String, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        };
        write("cpu/online".into(), online);
        for cpu in 0..cpus {
            write(format!("cpu/cpu{cpu}/topology/thread_siblings_list"), &siblings(cpu));
        }
        for (node, list) in nodes.iter().enumerate() {
            write(format!("node/node{node}/cpulist"), list);
        }
        root
    }

    /// Such a machine, all of whose processors up to `cpus` may be used.
    pub(crate) fn machine(cpus: usize, siblings: impl Fn(usize) -> String, nodes: &[&str]) -> Topology {
        let root = sysfs(&format!("0-{}", cpus - 1), cpus, siblings, nodes);
        Topology::read(root.path(), &(0..cpus).map(Cpu).collect())
    }

    /// Cores of two neighbours, as AMD numbers them.
    pub(crate) fn adjacent(cpu: usize) -> String {
        format!("{}-{}", cpu / 2 * 2, cpu / 2 * 2 + 1)
    }

    /// Cores whose second threads come after all first ones, as Intel numbers them.
    pub(crate) fn offset(cores: usize) -> impl Fn(usize) -> String {
        move |cpu| format!("{},{}", cpu % cores, cpu % cores + cores)
    }

    /// Cores of one thread.
    pub(crate) fn single(cpu: usize) -> String {
        cpu.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse("0-3,8,10-11"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse(""), Some(vec![]));
        for wrong in ["a", "3-1", "1-", "0-99999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn siblings_and_nodes_are_found() {
        let found = planted::machine(8, planted::offset(4), &["0-1,4-5", "2-3,6-7"]);
        let of = |cpu: usize| (found.places[cpu].core, found.places[cpu].node);
        assert_eq!([of(1), of(5), of(2), of(7)], [(Cpu(1), 0), (Cpu(1), 0), (Cpu(2), 1), (Cpu(3), 1)]);
        assert_eq!((found.nodes, found.known), (2, true));
    }

    #[test]
    fn only_what_is_online_and_allowed_may_be_used() {
        let root = planted::sysfs("0-2,5", 6, planted::single, &["0-5"]);
        let found = Topology::read(root.path(), &[1, 2, 3, 5].into_iter().map(Cpu).collect());
        assert_eq!(found.places.iter().map(|place| place.cpu.0).collect::<Vec<_>>(), [1, 2, 5]);
    }

    #[test]
    fn what_is_not_shown_is_plain_and_said_to_be_unknown() {
        let nowhere = tempfile::tempdir().unwrap();
        let found = Topology::read(nowhere.path(), &[4, 5].into_iter().map(Cpu).collect());
        let plain = |cpu| Place { cpu: Cpu(cpu), core: Cpu(cpu), node: 0 };
        assert_eq!(found, Topology { places: vec![plain(4), plain(5)], nodes: 1, known: false });
    }
}
