//! `/dev/kvm`, or a sentence on why not.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use kvm_ioctls::Kvm;

use abi::axes::Axis;

use super::confidential::Confidential;

const DEVICE: &str = "/dev/kvm";
/// The only version of the interface there has been since Linux 2.6.22.
const API_VERSION: i32 = 12;

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
        "/dev/kvm may not be opened: it belongs to group {group}, mode {mode:o}; {}",
        advice(group, *mode)
    )]
    Permission {
        /// The group that owns the device.
        group: String,
        /// The permission bits of the device.
        mode: u32,
    },
    /// This machine is a guest whose memory is not its kernel's alone.
    #[error(
        "this machine is a {kind} guest: a page discarded here has to be accepted again before it is used, and no figure would be of discarding alone; run on the host itself, or in an ordinary guest with nested virtualisation"
    )]
    Confidential {
        /// Of what.
        kind: &'static str,
    },
    /// It opens, and no guest can be run whatever it is.
    #[error("no guest can be run here: {reason}")]
    NoGuest {
        /// Why not, and what to do.
        reason: String,
    },
    /// It does something else.
    #[error("/dev/kvm cannot be used: {what}: {source}")]
    Unusable {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl KvmError {
    /// For the errors of other calls.
    pub(crate) fn no(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Unusable { what, source }
    }

    /// For the errors of ioctls.
    pub(crate) fn ioctl(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |error| Self::Unusable { what, source: error.into() }
    }
}

/// Opens `/dev/kvm` and checks that it is what it should be.
pub(crate) fn open() -> Result<Kvm, KvmError> {
    refuse(Confidential::here())?;
    let kvm = Kvm::new().map_err(|error| refusal(error.into()))?;
    match kvm.get_api_version() {
        API_VERSION => Ok(kvm),
        ..0 => Err(KvmError::Unusable { what: "KVM_GET_API_VERSION", source: io::Error::last_os_error() }),
        _ => Err(KvmError::Unusable {
            what: "its interface has another version",
            source: io::ErrorKind::Unsupported.into(),
        }),
    }
}

fn refuse(confidential: Option<Confidential>) -> Result<(), KvmError> {
    confidential.map_or(Ok(()), |kind| Err(KvmError::Confidential { kind: kind.name() }))
}

fn refusal(error: io::Error) -> KvmError {
    match error.kind() {
        io::ErrorKind::NotFound => KvmError::Missing,
        io::ErrorKind::PermissionDenied => {
            let (group, mode) = owner();
            KvmError::Permission { group, mode }
        }
        _ => KvmError::Unusable { what: "it does not open", source: error },
    }
}

/// What opens the device to somebody who may not: joining its group, if the group may.
fn advice(group: &str, mode: u32) -> String {
    const GROUP_READ_WRITE: u32 = 0o060;
    if mode & GROUP_READ_WRITE == GROUP_READ_WRITE {
        format!("join it (usermod -aG {group} $USER, then log in again)")
    } else {
        "as root: chgrp kvm /dev/kvm && chmod 660 /dev/kvm, then join group kvm".to_owned()
    }
}

/// The group `/dev/kvm` belongs to, by name if it has one, and its permission bits.
fn owner() -> (String, u32) {
    let Ok(device) = fs::metadata(DEVICE) else { return ("kvm".to_owned(), 0o660) };
    let id = device.gid().to_string();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let name = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&id.as_str()))
        .and_then(|fields| fields.first().map(ToString::to_string))
        .unwrap_or(id);
    (name, device.mode() & 0o777)
}

/// Which KVM this is, as far as it shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    /// Intel VT-x (`kvm_intel`).
    Vmx,
    /// AMD-V (`kvm_amd`).
    Svm,
    /// Shadow paging without hardware support, inside a virtual machine (`kvm_pvm`).
    Pvm,
    /// None of these modules is loaded; built in, or something new.
    Unknown,
}

impl Axis for Flavour {
    const AXIS: &'static str = "flavour";
    const ALL: &'static [Self] = &[Self::Vmx, Self::Svm, Self::Pvm, Self::Unknown];

    fn name(self) -> &'static str {
        match self {
            Self::Vmx => "vmx",
            Self::Svm => "svm",
            Self::Pvm => "pvm",
            Self::Unknown => "unknown",
        }
    }
}

/// Which KVM module is loaded.
pub(crate) fn flavour() -> Flavour {
    let loaded = |module: &str| Path::new("/sys/module").join(module).is_dir();
    if loaded("kvm_pvm") {
        Flavour::Pvm
    } else if loaded("kvm_intel") {
        Flavour::Vmx
    } else if loaded("kvm_amd") {
        Flavour::Svm
    } else {
        Flavour::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confidential_guest_is_refused_with_the_reason() {
        for kind in [Confidential::Tdx, Confidential::SevSnp] {
            let refused = refuse(Some(kind)).unwrap_err().to_string();
            assert!(refused.contains(&format!("a {} guest", kind.name())), "{refused}");
            assert!(refused.contains("run on the host itself"), "{refused}");
        }
        assert!(refuse(None).is_ok());
    }
}
