//! A system call refused to a command from its beginning on: a filter of the kernel's, or a limit.

#![expect(unsafe_code, reason = "between fork and exec")]

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libtest_mimic::Failed;
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::Tried;
use crate::judge::Expected;

/// What is refused, with which error, and what each command is to make of it.
pub(crate) struct Fault {
    /// What the test is called.
    pub(crate) name: &'static str,
    pub(crate) refused: Refused,
    pub(crate) errno: libc::c_int,
    /// What a message must say of it.
    pub(crate) named: &'static str,
    pub(crate) tried: &'static [(Tried, Expected)],
}

pub(crate) enum Refused {
    /// A system call, if all of this holds of its arguments.
    Call(libc::c_long, &'static [Argument]),
    /// What a limit of the process ends.
    Beyond(Resource, u64),
}

/// What an argument must be for the call to be refused.
pub(crate) struct Argument {
    pub(crate) number: u8,
    pub(crate) is: Is,
}

pub(crate) enum Is {
    Exactly(u64),
    AtLeast(u64),
    /// The bits of the first number as in the second.
    Bits(u64, u64),
}

/// What befalls who makes the call.
#[derive(Clone, Copy)]
pub(crate) enum Refuse {
    /// It has the error.
    WithError,
    /// It is ended: that the call is made at all.
    Deadly,
}

impl Fault {
    /// Has the command begin with the fault. No limit is deadly.
    pub(crate) fn inflict(&self, command: &mut Command, refuse: Refuse) -> Result<(), Failed> {
        match self.refused {
            Refused::Call(call, arguments) => {
                let refuse = match refuse {
                    Refuse::WithError => SeccompAction::Errno(self.errno.unsigned_abs()),
                    Refuse::Deadly => SeccompAction::KillProcess,
                };
                let filter = filter(call, arguments, refuse)?;
                before_exec(command, move || {
                    seccompiler::apply_filter(&filter).map_err(|_| io::Error::last_os_error())
                });
            }
            Refused::Beyond(resource, most) => before_exec(command, move || limit(resource, most)),
        }
        Ok(())
    }
}

fn filter(call: libc::c_long, arguments: &[Argument], refuse: SeccompAction) -> Result<BpfProgram, Failed> {
    let conditions = arguments.iter().map(Argument::condition).collect::<Result<Vec<_>, _>>()?;
    let rules = if conditions.is_empty() { Vec::new() } else { vec![SeccompRule::new(conditions)?] };
    let rules = BTreeMap::from([(call, rules)]);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, seccompiler::BackendError> {
        let (operator, value) = match self.is {
            Is::Exactly(value) => (SeccompCmpOp::Eq, value),
            Is::AtLeast(least) => (SeccompCmpOp::Ge, least),
            Is::Bits(mask, value) => (SeccompCmpOp::MaskedEq(mask), value),
        };
        SeccompCondition::new(self.number, SeccompCmpArgLen::Qword, operator, value)
    }
}

fn before_exec(command: &mut Command, prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: between fork and exec only what a signal handler may do is allowed. Both closures above only make
    // system calls: prctl and seccomp with a filter made before, setrlimit. No lock, no allocation; an error is the
    // number of errno.
    unsafe { command.pre_exec(prepare) };
}

/// Limits this process, and what it becomes.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// What the C library calls it.
pub(crate) fn errno_name(errno: libc::c_int) -> &'static str {
    match errno {
        libc::EPERM => "EPERM",
        libc::EINTR => "EINTR",
        libc::EIO => "EIO",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EBUSY => "EBUSY",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::EFBIG => "EFBIG",
        libc::ENOSPC => "ENOSPC",
        libc::EROFS => "EROFS",
        libc::ENOSYS => "ENOSYS",
        _ => "another",
    }
}
