//! Flags that every experiment takes, and how they become a plan.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use crate::experiment;
use crate::experiment::contract::Experiment;
use crate::figure::time::Utc;
use crate::plan::keys::Keys;
use crate::plan::{Plan, PlanError};

/// Flags of every experiment.
#[derive(Args, Clone, PartialEq, Debug, Default)]
pub(super) struct RunOptions {
    /// Take the quick plan: the same in less time.
    #[arg(long, conflicts_with = "plan")]
    pub(super) quick: bool,
    /// A plan: a TOML file, or the name of a built-in one.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Where the run directory goes; it must not hold anything. [default: results/runs/TIME-PLAN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show the resolved plan, the schedule and an estimate; run no trial and write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write down what is measured, and leave tables, answer and checks to `pagehint report`.
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) no_report: bool,
    /// Show what Linux guests say on their consoles.
    #[arg(long, help_heading = "Guest")]
    pub(super) console: bool,
    /// Where that lies which Linux guests boot, if it has been made.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(super) guest: Option<PathBuf>,
    /// Send back what there is after every trial: trials of the lab that take long.
    #[arg(long, hide = true)]
    pub(super) send_back: bool,
    #[command(flatten)]
    keys: Keys,
}

impl RunOptions {
    /// The plan with the flags in it; of the built-in ones `unnamed` if none is named.
    pub(super) fn plan(&self, experiment: &dyn Experiment, unnamed: &str) -> Result<Plan, PlanError> {
        let plan = match &self.plan {
            Some(path) => experiment.plan_at(path)?,
            None if self.quick => experiment.plan(Some("quick"))?,
            None => experiment.plan(Some(unnamed))?,
        };
        experiment.with_flags(plan, &self.keys)
    }

    /// Where the run of `plan` goes.
    pub(super) fn directory(&self, plan: &Plan) -> PathBuf {
        let now = Utc::from(SystemTime::now()).stamp();
        self.out.clone().unwrap_or_else(|| PathBuf::from("results/runs").join(format!("{now}-{}", plan.name)))
    }
}

/// A subcommand that is an experiment, with its flags.
pub(super) struct Asked {
    pub(super) experiment: &'static dyn Experiment,
    pub(super) options: RunOptions,
}

impl Subcommand for Asked {
    fn augment_subcommands(command: Command) -> Command {
        experiment::ALL.iter().fold(command, |command, experiment| {
            let flags = with_negative_numbers(RunOptions::augment_args(Command::new(experiment.command())));
            let flags = hide_what_is_not_looked_at(flags, *experiment);
            let flags = if experiment.looks_at(GUEST_KERNEL) {
                of_linux(flags)
            } else {
                flags.mut_arg("console", |flag| flag.hide(true))
            };
            // The flags have an `about` of their own.
            command.subcommand(flags.about(experiment.question()).long_about(None))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        experiment::ALL.iter().any(|experiment| experiment.command() == name)
    }
}

impl FromArgMatches for Asked {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = matches.subcommand().and_then(|(name, matches)| {
            let experiment = experiment::ALL.into_iter().find(|experiment| experiment.command() == name);
            Some((experiment?, matches))
        });
        let Some((experiment, matches)) = named else {
            return Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand));
        };
        Ok(Self { experiment, options: RunOptions::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The key of what Linux guests boot.
const GUEST_KERNEL: &str = "guest-kernel";

/// Where no other kernel is spoken of than the guest's, it is called so for short.
fn of_linux(command: Command) -> Command {
    let command = command.mut_arg("guest_kernel", |flag| flag.visible_alias("kernel"));
    command.mut_arg("guest_modules", |flag| flag.visible_alias("modules"))
}

/// A number below 0 is a value that will not do, and not a flag that nobody knows.
pub(super) fn with_negative_numbers(command: Command) -> Command {
    command.mut_args(|flag| {
        let takes_value = flag.get_action().takes_values();
        flag.allow_negative_numbers(takes_value)
    })
}

/// Takes the flags that mean nothing to an experiment out of its help. They are refused with a reason all the same.
fn hide_what_is_not_looked_at(command: Command, experiment: &dyn Experiment) -> Command {
    let keys = Keys::augment_args(Command::new("keys"));
    let all: Vec<String> = keys.get_arguments().map(|key| key.get_id().to_string()).collect();
    let looks_at = |id: &str| experiment.looks_at(&id.replace('_', "-"));
    all.into_iter()
        .filter(|id| !looks_at(id))
        .fold(command, |command, id| command.mut_arg(id, |key| key.hide(true)))
}
