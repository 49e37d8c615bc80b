//! Why the lab brought nothing back.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A file that is not what it should be.
pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Why the lab brought nothing back. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Something is not on this machine.
    #[error("{what}; to have it: {remedy}")]
    Missing {
        /// What is not there.
        what: String,
        /// The command that brings it.
        remedy: String,
    },
    /// A program that was to fetch or unpack something failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command line.
        command: String,
        /// What it said, or why it did not start.
        said: String,
    },
    /// There is no such kernel, as a choice.
    #[error(
        "{choice} is no kernel: give a series such as 6.1, a package such as linux-image-6.1.0-56-cloud-amd64, or a .deb file (for a guest, any bzImage too)"
    )]
    NoSuchKernel {
        /// What was asked for.
        choice: String,
    },
    /// The modules of a kernel without a driver.
    #[error(
        "{} has no {missing}, and the guest's kernel is not said to have it built in: give the directory of that kernel's modules, such as /lib/modules/VERSION", directory.display()
    )]
    NoModule {
        /// What.
        missing: String,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// A kernel package without something the lab needs.
    #[error("the kernel package {package} has no {what}: give another with --kernel")]
    Incomplete {
        /// The package.
        package: String,
        /// What it lacks.
        what: String,
    },
    /// A kernel module does not build.
    #[error("the module {module} does not build for {kernel}. The last that was said:\n{said}")]
    Build {
        /// The module.
        module: String,
        /// The kernel.
        kernel: String,
        /// The last lines of make and its compiler.
        said: String,
    },
    /// A program cannot be taken along.
    #[error("{} cannot be taken into the lab: {reason}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why not.
        reason: String,
    },
    /// What a guest is to boot is no kernel.
    #[error(transparent)]
    Guest(#[from] host::linux::LoadError),
    /// A file of the lab's own.
    #[error("{what}: {source}")]
    File {
        /// What was to be done.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// The machine did not power off in time.
    #[error("the lab did not end within {} s and was ended; give it longer with --deadline. The last of its console:\n{tail}", after.as_secs())]
    Deadline {
        /// How long it had.
        after: Duration,
        /// The last lines of its console.
        tail: String,
    },
    /// The machine ended and nothing came back.
    #[error("the lab ended ({status}) and brought nothing back: {reason}. The last of its console:\n{tail}")]
    Lost {
        /// How the emulator ended.
        status: ExitStatus,
        /// What is wrong with what came back.
        reason: String,
        /// The last lines of its console.
        tail: String,
    },
    /// Somebody wanted to stop.
    #[error("stopped by a signal; the lab was ended and nothing of it is left")]
    Stopped,
}

impl LabError {
    /// For errors of the file system.
    pub(crate) fn file(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }

    /// Of something that is missing only because nothing may be fetched.
    pub(super) fn without_offline(self) -> Self {
        match self {
            Self::Missing { what, remedy } => {
                Self::Missing { what, remedy: format!("leave out --offline; or {remedy}") }
            }
            other => other,
        }
    }
}
