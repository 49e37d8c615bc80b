//! The commands, one a file.

mod audience;
mod diff;
mod doctor;
pub mod exit;
mod experiment;
mod export;
mod gate;
mod guest;
mod lab;
mod list;
mod merge;
mod modules;
mod options;
mod profile;
mod report;
mod whatif;

use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::exchange::set;
use crate::figure::json;
use crate::lab::{inside, places};
use crate::run::signals;
use crate::schema::Document;
use audience::Audience;
use exit::Code;

/// Settles by measurement how a guest should tell its host which pages are free: hypercall or virtio queue.
#[derive(Parser)]
#[command(name = "pagehint", version, max_term_width = 110, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what this host can do and what would make its figures better; changes nothing.
    Doctor {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Experiment(Box<options::Asked>),
    /// Run an experiment, or any program, on hardware virtualisation that is emulated and counted in instructions.
    #[command(mut_arg("dry_run", |flag| flag.hide(true)), mut_arg("no_report", |flag| flag.hide(true)))]
    Lab(Box<lab::LabOptions>),
    /// Build the modules for a host's kernel and say where they are; none is loaded.
    Modules(modules::ModulesOptions),
    /// Rebuild the report of a run directory, finished or killed, or of a set, and print it.
    Report {
        /// The run directory.
        directory: PathBuf,
    },
    /// Hold a run against another: two builds, or what else is allowed to differ. Exit code 3 if a cell is worse.
    Diff(diff::DiffOptions),
    /// Put runs of many hosts into one set, which `pagehint report` shows by host and across hosts.
    Merge(merge::MergeOptions),
    /// Write a run as a file that other programs read.
    Export(export::ExportOptions),
    /// Say what reporting would cost on a host you describe, by a model: no trial is run.
    Whatif(Box<whatif::WhatIf>),
    /// Make the profile of a host from a run, for `pagehint whatif`, and say how far off the model is.
    Profile(profile::ProfileOf),
    /// The first process of the lab's machine.
    #[command(name = places::FIRST_PROCESS, hide = true)]
    LabInside,
    /// List presets, axes with their values, and built-in plans.
    List {
        /// Every value of every axis instead: where it comes from, what it goes with, and why not with the rest.
        #[arg(long)]
        matrix: bool,
        /// The same as JSON.
        #[arg(long, requires = "matrix")]
        json: bool,
    },
    /// Print the JSON schema of a file pagehint writes or reads.
    Schema {
        /// Which file.
        #[arg(value_enum, default_value_t = Document::Summary)]
        document: Document,
    },
    /// Print shell completions.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// Runs the command line.
///
/// # Errors
/// A sentence for the user; [`exit::of`] turns it into an exit code.
pub fn run(cli: &Cli, out: &mut dyn Write) -> anyhow::Result<Code> {
    signals::outlive_file_limits()?;
    // A program in the lab is ended when nobody hears it; every other command comes to its end.
    if let Command::Lab(options) = &cli.command
        && let Some((program, arguments)) = options.program()
    {
        return lab::run_program(options, program, arguments, out);
    }
    let mut out = Audience::of(out);
    let code = run_heard(&cli.command, &mut out)?;
    out.flush()?;
    Ok(code)
}

fn run_heard(command: &Command, out: &mut dyn Write) -> anyhow::Result<Code> {
    match command {
        Command::Doctor { json } => doctor::run(*json, out),
        Command::Experiment(asked) => experiment::run(asked, out),
        Command::Lab(options) => lab::run_plan(options, out),
        Command::Modules(options) => modules::run(options, out),
        Command::Whatif(asked) => whatif::run(asked, out),
        Command::Profile(asked) => profile::run(asked, out),
        Command::LabInside => inside::first_process().map(|()| Code::Fine),
        Command::Report { directory } if set::is_set(directory) => merge::report(directory, out),
        Command::Report { directory } => report::run(directory, out),
        Command::Diff(options) => diff::run(options, out),
        Command::Merge(options) => merge::run(options, out),
        Command::Export(options) => export::run(options, out),
        Command::List { matrix, json } => list::run(*matrix, *json, out),
        Command::Schema { document } => {
            out.write_all(json::pretty(&document.schema()).as_bytes())?;
            Ok(Code::Fine)
        }
        Command::Completions { shell } => {
            // Into memory first: the generator panics when the pipe it writes to is closed.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "pagehint", &mut script);
            out.write_all(&script)?;
            Ok(Code::Fine)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
