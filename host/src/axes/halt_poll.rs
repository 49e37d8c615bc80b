//! Whether KVM spins before a virtual processor that halts is put to sleep.

use abi::axes::Axis;

/// How long KVM looks for a wake-up before it puts a virtual processor to sleep that halts (`KVM_CAP_HALT_POLL`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum HaltPoll {
    /// Not at all: the virtual processor really sleeps, and is really woken.
    Never,
    /// As long as the host has it (`/sys/module/kvm/parameters/halt_poll_ns`): the machine asks for nothing.
    #[default]
    Host,
}

impl Axis for HaltPoll {
    const AXIS: &'static str = "halt-poll";
    const ALL: &'static [Self] = &[Self::Never, Self::Host];

    fn name(self) -> &'static str {
        match self {
            Self::Never => "0",
            Self::Host => "host",
        }
    }
}
