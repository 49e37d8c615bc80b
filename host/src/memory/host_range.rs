//! Where pages of guest memory are on the host. Only [`super::ram`] makes one.

/// Pages of guest memory as the host's kernel knows them. Laid out as its `iovec`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct HostRange {
    /// First virtual address.
    pub address: usize,
    /// Length in bytes.
    pub bytes: usize,
}
