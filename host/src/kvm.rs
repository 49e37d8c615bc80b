//! `/dev/kvm`, or a sentence on why not.

/// Why KVM cannot be used. The message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// There is no `/dev/kvm`.
    #[error(
        "there is no /dev/kvm: load kvm_intel or kvm_amd, enable virtualisation in the firmware, or pass the device into this container"
    )]
    Missing,
    /// It may not be opened.
    #[error(
        "/dev/kvm may not be opened: it belongs to group {group}; join it (usermod -aG {group} $USER, then log in again)"
    )]
    Permission {
        /// The group that owns the device.
        group: String,
    },
    /// It does something else.
    #[error("/dev/kvm cannot be used: {what}: {source}")]
    Unusable {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}
