//! What the Linux guests of a plan boot: found, fetched and built before the first of them is run.

use std::path::{Path, PathBuf};

use host::linux::Report;

use super::exit::Usage;
use crate::axes::rung::CallBy;
use crate::experiment::contract::Experiment;
use crate::lab::build;
use crate::lab::error::LabError;
use crate::lab::guest::Guest;
use crate::lab::kernel::Choice;
use crate::lab::kernel::store::Store;
use crate::lab::places::{GUEST_INITRAMFS, GUEST_KERNEL};
use crate::lab::supply::Supply;
use crate::plan::Plan;
use crate::plan::keys::Keys;
use crate::site::emulated::LabCpu;
use crate::trial::linux::choices::Boots;
use crate::trial::spec::Spec;

/// Whether a plan that was resolved boots any.
pub(super) fn is_needed(experiment: &dyn Experiment, plan: &Plan) -> bool {
    let cells = experiment.cells(&plan.choices, CallBy::Hypercall);
    cells.iter().any(|cell| matches!(cell, Spec::Linux(_)))
}

/// Whether what a plan says of its kernel goes together, before anything is fetched.
pub(super) fn check(keys: &Keys) -> Result<(), Usage> {
    let kernel = kernel(keys);
    let is_file = kernel.parse::<Choice>().is_err();
    if is_file && calls(keys) {
        return Err(Usage(format!(
            "the module that reports by hypercall is built for Debian's kernels: {kernel} is a file, use --report-by off,virtio, or name a series or package"
        )));
    }
    if !is_file && let Some(modules) = &keys.guest_modules {
        return Err(Usage(format!(
            "{kernel} is a kernel of Debian's, whose modules come with it: leave out --guest-modules {modules}, or name a bzImage"
        )));
    }
    Ok(())
}

/// What it is, fetched and built if it has to be.
pub(super) fn of(keys: &Keys, supply: &mut Supply<'_>) -> Result<Guest, LabError> {
    let kernel = kernel(keys);
    let Ok(choice) = kernel.parse::<Choice>() else {
        let file = PathBuf::from(kernel);
        if !file.is_file() {
            return Err(LabError::NoSuchKernel { choice: kernel.to_owned() });
        }
        return Guest::of_file(file, keys.guest_modules.as_deref().map(Path::new));
    };
    let store = Store::of_user(LabCpu::Amd);
    let kernel = store.kernel(&choice, supply)?;
    let reporter = calls(keys).then(|| build::module(&build::GUEST, &kernel, &store, supply)).transpose()?;
    Guest::of(&kernel, reporter)
}

/// Where it lies if it has been made already.
pub(super) fn made(directory: &Path) -> Boots {
    Boots { kernel: directory.join(GUEST_KERNEL), initramfs: directory.join(GUEST_INITRAMFS) }
}

fn kernel(keys: &Keys) -> &str {
    keys.guest_kernel.as_deref().unwrap_or_default()
}

/// Whether some guest reports by our module.
fn calls(keys: &Keys) -> bool {
    keys.report_by.iter().flatten().any(|report: &crate::axes::named::Named<Report>| report.0.calls())
}
