//! Flags, and how they change a plan or a trial.

use std::path::PathBuf;
use std::time::SystemTime;

use abi::addr::Order;
use clap::Args;
use host::axes::{Backing, Carrier, Coalesce, Completion, Discard, Doorbell, RingChoice, Servicer, Workload};
use host::timed::TimedSpec;

use crate::axis::Named;
use crate::lab::LabClock;
use crate::lab::kernel::Choice;
use crate::ladder::{CallBy, Rung, Transport};
use crate::plan::{Plan, PlanError};
use crate::size::bytes;
use crate::time::Utc;

/// What every trial has, whatever its transport.
#[derive(Args, Debug)]
#[command(next_help_heading = "Workload")]
pub(super) struct Common {
    /// Ranges in a report, 1 to 511.
    #[arg(long, value_name = "RANGES")]
    batch: Option<u16>,
    /// log2 of the pages in a range, 0 to 10.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=10))]
    order: Option<u8>,
    /// Which pages are freed.
    #[arg(long)]
    workload: Option<Named<Workload>>,
    /// What guest memory is made of.
    #[arg(long)]
    backing: Option<Named<Backing>>,
    /// What one discard covers.
    #[arg(long)]
    coalesce: Option<Named<Coalesce>>,
    /// The mode the payload runs in.
    #[arg(long)]
    guest_ring: Option<Named<RingChoice>>,
    /// Reports before the measured ones, a trial.
    #[arg(long, value_name = "REPORTS")]
    warmup: Option<u64>,
    /// Measured reports, a trial.
    #[arg(long)]
    reports: Option<u64>,
    /// Memory that is freed and reported, such as 64M; by default the smallest that serves.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    arena: Option<u64>,
    /// From which the order of trials and the workloads follow.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
}

impl Common {
    fn change(&self, plan: &mut Plan) {
        set(&mut plan.batch, self.batch);
        set(&mut plan.order, self.order);
        set(&mut plan.workload, self.workload);
        set(&mut plan.backing, self.backing);
        set(&mut plan.coalesce, self.coalesce);
        set(&mut plan.guest_ring, self.guest_ring);
        set(&mut plan.warmup, self.warmup);
        set(&mut plan.reports, self.reports);
        set(&mut plan.seed, self.seed);
        plan.arena = self.arena.or(plan.arena);
    }
}

fn set<T: Clone>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// Flags of `compare`.
#[derive(Args, Debug)]
pub(super) struct CompareOptions {
    /// Take the quick plan: the same ladder, fewer samples.
    #[arg(long, conflicts_with = "plan")]
    quick: bool,
    /// Show the resolved plan, the schedule and an estimate; run no trial and write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write down what is measured, and leave tables, answer and checks to `pagehint report`.
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) no_report: bool,
    #[command(flatten)]
    pub(super) run: PlanOptions,
}

impl CompareOptions {
    /// The plan with the flags in it.
    pub(super) fn plan(&self) -> Result<Plan, PlanError> {
        self.run.plan(if self.quick { "quick" } else { "default" })
    }
}

/// A plan, what is changed of it, and where its run goes.
#[derive(Args, Debug)]
pub(super) struct PlanOptions {
    /// A plan: a TOML file, or the name of a built-in one.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Where the run directory goes; it must not hold anything. [default: results/runs/TIME-PLAN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Rounds; every block runs every cell once.
    #[arg(long)]
    blocks: Option<u32>,
    /// Rungs of the ladder, separated by commas. [default: the plan's]
    #[arg(long, value_delimiter = ',', value_name = "RUNG,…")]
    rungs: Option<Vec<Named<Rung>>>,
    /// What the host does with the pages, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "DISCARD,…")]
    discards: Option<Vec<Named<Discard>>>,
    #[command(flatten)]
    common: Common,
}

impl PlanOptions {
    /// The plan with the flags in it; a built-in one if none is named.
    pub(super) fn plan(&self, unnamed: &str) -> Result<Plan, PlanError> {
        let mut plan = match &self.plan {
            None => Plan::built_in(unnamed)?,
            Some(path) => match path.to_str().filter(|_| !path.exists()).map(Plan::built_in) {
                Some(Ok(plan)) => plan,
                _ => Plan::read(path)?,
            },
        };
        set(&mut plan.blocks, self.blocks);
        set(&mut plan.rungs, self.rungs.clone());
        set(&mut plan.discards, self.discards.clone());
        self.common.change(&mut plan);
        Ok(plan)
    }

    /// Where the run of `plan` goes.
    pub(super) fn directory(&self, plan: &Plan) -> PathBuf {
        let now = Utc::from(SystemTime::now()).stamp();
        self.out.clone().unwrap_or_else(|| PathBuf::from("results/runs").join(format!("{now}-{}", plan.name)))
    }
}

/// What is about a plan in [`LabOptions`], and means nothing for a program.
const OF_PLANS: [&str; 16] = [
    "against",
    "plan",
    "out",
    "blocks",
    "rungs",
    "discards",
    "batch",
    "order",
    "workload",
    "backing",
    "coalesce",
    "guest_ring",
    "warmup",
    "reports",
    "arena",
    "seed",
];

/// Flags of `lab`.
#[derive(Args, Debug)]
pub(super) struct LabOptions {
    /// What time is in the lab: instructions, which repeat exactly, or the clock on the wall, which is quicker.
    #[arg(long, default_value_t = Named(LabClock::Instructions))]
    pub(super) clock: Named<LabClock>,
    /// Debian's kernel to boot: a series (6.1, 6.12), a package, or a .deb file. [default: that of --against, else 6.1]
    #[arg(long)]
    pub(super) kernel: Option<Choice>,
    /// How long the lab may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) deadline: u64,
    /// Install and download nothing.
    #[arg(long)]
    pub(super) offline: bool,
    /// A run to compare with: fail if any rung has grown.
    #[arg(long, value_name = "DIR")]
    pub(super) against: Option<PathBuf>,
    #[command(flatten)]
    pub(super) run: PlanOptions,
    /// Run this program in the lab instead, with its arguments; its exit code is ours.
    #[arg(last = true, value_name = "PROGRAM", conflicts_with_all = OF_PLANS)]
    pub(super) program: Vec<String>,
}

/// Flags of `run`.
#[derive(Args, Debug)]
pub(super) struct RunOptions {
    /// The rung to start from; the flags below change it.
    #[arg(long, default_value_t = Named(Rung::Virtio))]
    preset: Named<Rung>,
    /// Where ranges travel.
    #[arg(long, help_heading = "Transport")]
    carrier: Option<Named<Carrier>>,
    /// How the host is told.
    #[arg(long, help_heading = "Transport")]
    doorbell: Option<Named<Doorbell>>,
    /// Who acts.
    #[arg(long, help_heading = "Transport")]
    servicer: Option<Named<Servicer>>,
    /// How the guest learns.
    #[arg(long, help_heading = "Transport")]
    completion: Option<Named<Completion>>,
    /// What the host does with a range.
    #[arg(long, default_value_t = Named(Discard::DontNeed))]
    discard: Named<Discard>,
    /// Keep the run in this directory; it must not hold anything.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl RunOptions {
    /// The trial, where presets call by `call`. A doorbell that was asked for is never replaced.
    pub(super) fn spec(&self, call: CallBy) -> TimedSpec {
        let mut plan = Plan { reports: 1000, warmup: 100, ..Plan::default() };
        self.common.change(&mut plan);
        let Transport { carrier, doorbell, servicer, completion } = self.preset.0.transport(call);
        let transport = Transport {
            carrier: self.carrier.map_or(carrier, |given| given.0),
            doorbell: self.doorbell.map_or(doorbell, |given| given.0),
            servicer: self.servicer.map_or(servicer, |given| given.0),
            completion: self.completion.map_or(completion, |given| given.0),
        };
        debug_assert!(Order::new(u64::from(plan.order)).is_ok());
        plan.spec_of(transport, self.discard.0, plan.seed)
    }
}
