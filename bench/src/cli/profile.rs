//! `pagehint profile RUN`: a host as the terms of the cost model, fitted to what a run measured, or by what doctor found.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Code, Usage};
use crate::archive::{Archive, file};
use crate::figure::interval::Sampling;
use crate::figure::json;
use crate::figure::table::Grid;
use crate::model::agree::agree;
use crate::model::fit::Fit;
use crate::model::floors::{doorbells_of, floors_of, transfer};
use crate::model::observed::Observed;
use crate::model::profile::Profile;
use crate::model::scale::Scale;
use crate::model::{examined, published, tables};

/// Flags of `pagehint profile`.
#[derive(Args)]
pub(super) struct ProfileOf {
    /// The run directory, of compare or batch; or a file of `doctor --json`, whose floors are the terms then.
    #[arg(value_name = "RUN|FILE.json")]
    run: PathBuf,
    /// Write the profile here. [default: print it after the tables]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Predict another run of the ladder by its floors (what doctor finds) and the terms of this one, and hold it against what
    /// it measured; may be given more than once.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "json", "agrees_with"])]
    predict: Vec<PathBuf>,
    /// Whether another run of the same plan says the same: the cheaper of every two cells that both call, and break-even batches;
    /// exit code 1 if not, 4 if there is nothing that both say.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "json"])]
    agrees_with: Option<PathBuf>,
    /// Print the fit as JSON instead: every term, every cell with what is predicted of it.
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

/// A run as the model has it.
struct Fitted {
    profile: Profile,
    fit: Fit,
    archive: Archive,
}

/// Fits a run.
fn fitted(run: &Path) -> anyhow::Result<Fitted> {
    let archive = Archive::open(run)?;
    let observed = Observed::of(&archive);
    let unit = Scale::from(archive.unit());
    let floors = doorbells_of(&archive);
    let fit = Fit::of(&observed.cells, &floors, unit, archive.plan.seed(), archive.sampling()).ok_or_else(|| {
        Usage(format!(
            "{} has no block with a report of every transport that the model knows: give a run of compare or batch that went through one block at least",
            run.display()
        ))
    })?;
    let name = run.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned());
    let environment = &archive.environment;
    let profile = Profile {
        name,
        host: environment.host.clone(),
        source: format!("fitted to {} of {}, begun {}", archive.plan.name, run.display(), environment.date),
        notes: notes(&observed, &archive),
        ..fit.profile()
    };
    Ok(Fitted { profile, fit, archive })
}

fn notes(observed: &Observed, archive: &Archive) -> Vec<String> {
    let mut notes = archive.environment.notes();
    notes.extend(archive.remarks.iter().cloned());
    if observed.raw > 0 {
        notes.push(format!(
            "of {} cells the stopwatch was not weighed: their figures have it in",
            observed.raw
        ));
    }
    if !observed.left_out.is_empty() {
        notes.push(format!("the model does not speak of {}", observed.left_out.join(", ")));
    }
    notes
}

/// A profile by what was typed for it: a run, what doctor found, a profile's file or a built-in one.
pub(super) fn named(name: &str) -> anyhow::Result<Profile> {
    let path = Path::new(name);
    Ok(match path {
        _ if path.is_dir() => fitted(path)?.profile,
        _ if is_examined(path) => examined::read(path)?,
        _ => published::profile(name)?,
    })
}

fn is_examined(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "json")
}

/// A host by what doctor found of it.
fn by_floors(asked: &ProfileOf, out: &mut dyn Write) -> anyhow::Result<Code> {
    let profile = examined::read(&asked.run)?;
    let of_a_run = [
        ("--predict", asked.predict.is_empty()),
        ("--agrees-with", asked.agrees_with.is_none()),
        ("--json", !asked.json),
    ];
    if let Some((flag, _)) = of_a_run.into_iter().find(|(_, is_absent)| !is_absent) {
        return Err(Usage(format!(
            "{flag} asks for a run, and {} is what doctor found: give a run directory, or leave the flag out",
            asked.run.display()
        ))
        .into());
    }
    writeln!(out, "{}", profile.host)?;
    show(out, &tables::of_profile(&profile))?;
    for note in &profile.notes {
        writeln!(out, "note: {note}")?;
    }
    write(asked, &profile, out)
}

pub(super) fn run(asked: &ProfileOf, out: &mut dyn Write) -> anyhow::Result<Code> {
    if is_examined(&asked.run) {
        return by_floors(asked, out);
    }
    let Fitted { profile, fit, archive } = fitted(&asked.run)?;
    if let Some(other) = &asked.agrees_with {
        return compare(&archive, &Archive::open(other)?, out);
    }
    if !asked.predict.is_empty() {
        return predict(&profile, floors_of(&archive).instruction, &asked.predict, out);
    }
    if asked.json {
        out.write_all(json::pretty(&fit).as_bytes())?;
        return Ok(Code::Fine);
    }
    writeln!(out, "{}", archive.environment.host)?;
    let is_counted = archive.sampling() == Sampling::Counted;
    for grid in tables::of_fit(&fit, is_counted) {
        show(out, &grid)?;
    }
    for sentence in tables::sentences(&fit) {
        writeln!(out, "{sentence}")?;
    }
    write(asked, &profile, out)
}

/// Writes the profile where it was asked for, or prints it.
fn write(asked: &ProfileOf, profile: &Profile, out: &mut dyn Write) -> anyhow::Result<Code> {
    let text = profile.to_toml();
    match &asked.out {
        Some(path) => {
            file::write(path, text.as_bytes())
                .map_err(|source| anyhow::anyhow!("{} cannot be written: {source}", path.display()))?;
            writeln!(out, "\n{}", path.display())?;
        }
        None => write!(out, "\n{text}")?,
    }
    Ok(Code::Fine)
}

/// Says whether two runs agree.
fn compare(one: &Archive, other: &Archive, out: &mut dyn Write) -> anyhow::Result<Code> {
    let agreement = agree(one, other);
    writeln!(
        out,
        "{} pairs of cells, {} called by both runs, {} of them the other way round; {} break-even batches, {} not within each other's ends",
        agreement.compared,
        agreement.called,
        agreement.contrary.len(),
        agreement.even,
        agreement.uneven.len()
    )?;
    for fault in agreement.contrary.iter().chain(&agreement.uneven) {
        writeln!(out, "not alike: {fault}")?;
    }
    if agreement.called + agreement.even == 0 {
        writeln!(
            out,
            "nothing is said by both: give runs of the same plan, with blocks enough to call something"
        )?;
        return Ok(Code::Wanting);
    }
    Ok(if agreement.holds() { Code::Fine } else { Code::Error })
}

/// Predicts other hosts by their floors.
fn predict(
    profile: &Profile,
    guest: Option<f64>,
    runs: &[PathBuf],
    out: &mut dyn Write,
) -> anyhow::Result<Code> {
    for run in runs {
        let other = fitted(run)?;
        if other.profile.unit != profile.unit {
            return Err(Usage(format!(
                "{} is in {}, {} in {}: what floors leave open cannot be taken from the other",
                profile.name,
                profile.unit.name(),
                other.profile.name,
                other.profile.unit.name()
            ))
            .into());
        }
        let cells = Observed::of(&other.archive).cells;
        let transfer = transfer(profile, guest, &other.profile, &floors_of(&other.archive), &cells);
        show(out, &tables::of_transfer(&transfer, profile.unit))?;
        writeln!(out, "{}", tables::transferred(&transfer))?;
    }
    Ok(Code::Fine)
}

pub(super) fn show(out: &mut dyn Write, grid: &Grid) -> anyhow::Result<()> {
    Ok(writeln!(out, "\n{}\n{}", grid.title, grid.to_text())?)
}
