//! KVM's own statistics of a vCPU, from the binary statistics file (`KVM_GET_STATS_FD`): the second witness
//! of our exit counts. Format: Linux `Documentation/virt/kvm/api.rst`, 4.133.

#![expect(unsafe_code, reason = "one ioctl that kvm-ioctls does not wrap")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;

use vmm_sys_util::ioctl::ioctl;
use vmm_sys_util::ioctl_io_nr;

ioctl_io_nr!(KVM_GET_STATS_FD, kvm_bindings::KVMIO, 0xce);

const HEADER_BYTES: usize = 24;
const DESCRIPTOR_BYTES: usize = 16;
/// Statistics of one vCPU number some dozens; a file that claims more is not what we think it is.
const SANE: u32 = 4096;

/// The statistics file of a vCPU, with the places of its plain counters.
#[derive(Debug)]
pub(crate) struct Statistics {
    file: File,
    counters: Vec<Counter>,
}

#[derive(Debug)]
struct Counter {
    name: String,
    offset: u64,
}

impl Statistics {
    /// Opens the statistics of a vCPU, or of a machine; `None` where KVM is too old (before Linux 5.14).
    pub(crate) fn open(of: &impl AsRawFd) -> Option<Self> {
        // SAFETY: the ioctl takes no argument and returns a new descriptor or an error.
        let fd = unsafe { ioctl(of, KVM_GET_STATS_FD()) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the descriptor is open and nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        debug_assert!(file.as_raw_fd() == fd);
        let counters = read_counters(&file).ok()?;
        Some(Self { file, counters })
    }

    /// The values of all counters, in a fixed order.
    pub(crate) fn read(&self) -> io::Result<Vec<u64>> {
        self.counters.iter().map(|counter| read_u64(&self.file, counter.offset)).collect()
    }

    /// One counter by KVM's name of it; `None` if there is no such, or it cannot be read.
    pub(crate) fn value(&self, name: &str) -> Option<u64> {
        let counter = self.counters.iter().find(|counter| counter.name == name)?;
        read_u64(&self.file, counter.offset).ok()
    }

    /// The change of every counter from `before` to `after`, by name.
    pub(crate) fn difference(&self, before: &[u64], after: &[u64]) -> Vec<(String, u64)> {
        let changes = before.iter().zip(after).map(|(before, after)| after.wrapping_sub(*before));
        self.counters.iter().map(|counter| counter.name.clone()).zip(changes).collect()
    }
}

/// Reads header and descriptors; keeps the statistics that are one number each.
fn read_counters(file: &File) -> io::Result<Vec<Counter>> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0)?;
    let [_, name_bytes, count, _, descriptors, data] = std::array::from_fn(|i| u32_at(&header, i * 4));
    if count > SANE || name_bytes > SANE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let stride = DESCRIPTOR_BYTES + name_bytes as usize;
    let mut table = vec![0; stride * count as usize];
    file.read_exact_at(&mut table, u64::from(descriptors))?;
    let single = |descriptor: &&[u8]| u16::from_le_bytes([descriptor[6], descriptor[7]]) == 1;
    Ok(table
        .chunks_exact(stride)
        .filter(single)
        .map(|descriptor| Counter {
            name: name(&descriptor[DESCRIPTOR_BYTES..]),
            offset: u64::from(data) + u64::from(u32_at(descriptor, 8)),
        })
        .collect())
}

fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn read_u64(file: &File, at: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u64::from_le_bytes(bytes))
}
