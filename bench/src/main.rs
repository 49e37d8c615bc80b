//! `pagehint`: how should a guest tell its host which pages are free? See `bench::cli` for the commands.

use std::io::Write;
use std::process::ExitCode;

use bench::cli::{self, Cli};
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = anstream::stdout();
    match cli::run(&cli, &mut out) {
        Ok(code) => code.into(),
        Err(error) => {
            let code = cli::exit::of(&error);
            if code != cli::exit::Code::Fine {
                // Standard error may be closed too; there is nobody left to tell.
                let _ = writeln!(anstream::stderr(), "pagehint: {error}");
                if let Some(way_out) = cli::exit::way_out(&error) {
                    let _ = writeln!(anstream::stderr(), "pagehint: {way_out}");
                }
            }
            code.into()
        }
    }
}
