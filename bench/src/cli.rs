//! The commands, one a file.

mod compare;
mod doctor;
mod engine;
pub mod exit;
mod gate;
mod lab;
mod list;
mod options;
mod report;
mod run;

use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::export::json;
use crate::lab::{inside, places};
use crate::schema::Document;
use exit::Code;

/// Settles by measurement how a guest should tell its host which pages are free: hypercall or virtio queue.
#[derive(Parser, Debug)]
#[command(name = "pagehint", version, max_term_width = 110, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Say what this host can do and what would make its figures better; changes nothing.
    Doctor {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run the ladder from hypercall to virtio and compare its rungs.
    Compare(Box<options::CompareOptions>),
    /// Run one trial, every axis a flag.
    Run(Box<options::RunOptions>),
    /// Measure what the guest's reporting engine costs and gives back; see `pagehint list` for the experiments.
    Engine(Box<engine::EngineOptions>),
    /// Run the ladder, or any program, on hardware virtualisation that is emulated and counted in instructions.
    Lab(Box<options::LabOptions>),
    /// Rebuild the report of a run directory, finished or killed, and print it.
    Report {
        /// The run directory.
        directory: PathBuf,
    },
    /// The first process of the lab's machine.
    #[command(name = places::FIRST_PROCESS, hide = true)]
    LabInside,
    /// List presets, axes with their values, and built-in plans.
    List,
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
    match &cli.command {
        Command::Doctor { json } => doctor::run(*json, out),
        Command::Compare(options) => compare::run(options, out),
        Command::Run(options) => run::run(options, out),
        Command::Engine(options) => engine::run(options, out),
        Command::Lab(options) => lab::run(options, out),
        Command::LabInside => inside::first_process().map(|()| Code::Fine),
        Command::Report { directory } => report::run(directory, out),
        Command::List => list::run(out),
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
