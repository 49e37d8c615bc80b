//! `pagehint`: how should a guest tell its host which pages are free? See `bench::cli` for the commands.

use std::io::Write;
use std::process::ExitCode;

use bench::cli::{self, Cli, exit};
use bench::run::signals;
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = anstream::stdout();
    let code = cli::run(&cli, &mut out).unwrap_or_else(|error| complain(&error));
    match signals::taken() {
        // It was shown what had ended; if that can be flushed no more, nobody is left to tell.
        Some(signal) => {
            let _ = out.flush();
            signals::end_by(signal)
        }
        None => code.into(),
    }
}

/// Says what went wrong, and what can be done about it.
fn complain(error: &anyhow::Error) -> exit::Code {
    // Standard error may be closed too; there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "pagehint: {error}");
    if let Some(way_out) = exit::way_out(error) {
        let _ = writeln!(anstream::stderr(), "pagehint: {way_out}");
    }
    exit::of(error)
}
