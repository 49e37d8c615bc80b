//! `pagehint whatif`: ladder, break-even and verdict of a host that is described.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use abi::axes::Axis;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde::Serialize;

use super::exit::{Code, Usage};
use super::profile::{named, show};
use crate::archive::file;
use crate::figure::chart::Body;
use crate::figure::json;
use crate::figure::map;
use crate::figure::size::whole;
use crate::model::cost::{Blocks, HUGE};
use crate::model::even::{CALLS, Contest, Even, VIRTIO, largest};
use crate::model::profile::{Figure, Profile, ProfileError};
use crate::model::scale::{Quantity, Scale, quantity};
use crate::model::term::Term;
use crate::model::worth::{GIB_PER_CPU, Worth};
use crate::model::{published, tables, winners};

/// Flags of `pagehint whatif`.
#[derive(Args)]
pub(super) struct WhatIf {
    /// A profile: one that is built in, a file, what `doctor --json` wrote, or a run directory. [default: nothing is known but what flags say]
    #[arg(long, value_name = "NAME|FILE|RUN")]
    profile: Option<String>,
    /// Where to take what it does not know from; more than one are asked in turn.
    #[arg(long, value_name = "NAME|FILE|RUN")]
    fill: Vec<String>,
    #[command(flatten)]
    terms: Terms,
    /// Ranges in a report.
    #[arg(long, value_parser = whole::<u16>, default_value_t = 32)]
    batch: u16,
    /// Orders of ranges, separated by commas.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=10), value_delimiter = ',', default_value = "0,4,9")]
    orders: Vec<u8>,
    /// GiB of memory that are worth as much as a processor: as many as the host has of one for the other.
    #[arg(long, default_value_t = GIB_PER_CPU)]
    gib_per_cpu: f64,
    /// Draw who wins over exit and discard here, with every profile that knows both: the figure, and beside it its data as CSV.
    #[arg(long, value_name = "FILE.svg")]
    map: Option<PathBuf>,
    /// More hosts for the map.
    #[arg(long, value_name = "NAME|FILE|RUN", requires = "map")]
    on_map: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A flag for each term.
pub(super) struct Terms(BTreeMap<Term, Quantity>);

impl Args for Terms {
    fn augment_args(command: Command) -> Command {
        command.next_help_heading("Terms").args(Term::ALL.iter().map(|term| {
            let flag = Arg::new(term.name()).long(term.name()).value_name("COST").help(term.meaning());
            let flag = flag.value_parser(quantity).action(ArgAction::Set);
            if *term == Term::RefaultPage { flag.visible_alias("refault") } else { flag }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Terms {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |term: &Term| Some((*term, *matches.get_one::<Quantity>(term.name())?));
        Ok(Self(Term::ALL.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What is said of a host.
#[derive(Serialize)]
struct Said {
    /// That nothing of it was measured.
    model: bool,
    profile: Profile,
    contests: Vec<Contest>,
    break_even: Vec<Even>,
    gib_per_cpu: f64,
    worth_it: Vec<Worth>,
}

pub(super) fn run(asked: &WhatIf, out: &mut dyn Write) -> anyhow::Result<Code> {
    check(asked)?;
    let profile = described(asked)?;
    let said = say(asked, profile);
    if asked.json {
        out.write_all(json::pretty(&said).as_bytes())?;
    } else {
        print(&said, out)?;
    }
    if let Some(path) = &asked.map {
        let files = draw(asked, &said.profile, path)?;
        if !asked.json {
            writeln!(out, "\n{files}")?;
        }
    }
    Ok(Code::Fine)
}

fn check(asked: &WhatIf) -> Result<(), Usage> {
    if !(1..=largest()).contains(&asked.batch) {
        return Err(Usage(format!("--batch {}: a report has 1 to {} ranges", asked.batch, largest())));
    }
    if !(asked.gib_per_cpu.is_finite() && asked.gib_per_cpu > 0.0) {
        return Err(Usage(format!("--gib-per-cpu {}: write a number above 0, such as 4", asked.gib_per_cpu)));
    }
    if asked.profile.is_none() && asked.terms.0.is_empty() && asked.map.is_none() {
        let known = published::ALL.map(|(name, _)| name).join(", ");
        return Err(Usage(format!(
            "no host is described: give --profile with a run directory, a file, or one of {known}; or flags such as --exit 1200ns --kick 900ns --wake-up 4us"
        )));
    }
    Ok(())
}

/// The host with its flags in it, and filled.
fn described(asked: &WhatIf) -> anyhow::Result<Profile> {
    let scale = asked.terms.0.values().next().map_or(Scale::Ns, |cost| cost.scale);
    let profile = match &asked.profile {
        Some(name) => named(name)?,
        None => nobody(scale),
    };
    let profile =
        if asked.terms.0.values().any(|cost| cost.scale == Scale::Ns) { profile.in_time() } else { profile };
    for (term, cost) in &asked.terms.0 {
        if cost.scale != profile.unit {
            return Err(ProfileError::Unit {
                what: format!("--{}", term.name()),
                found: cost.scale.name(),
                name: profile.name,
                expected: profile.unit.name(),
                change: "give it in the same unit; cycles become time by frequency-mhz in a profile",
            }
            .into());
        }
    }
    let set: BTreeMap<Term, Figure> =
        asked.terms.0.iter().map(|(term, cost)| (*term, Figure::exactly(cost.value))).collect();
    let mut profile = profile.with(&set)?;
    if !set.is_empty() {
        let names: Vec<&str> = set.keys().map(|term| term.name()).collect();
        profile.notes.push(format!("from the command line: {}", names.join(", ")));
    }
    for name in &asked.fill {
        let other = named(name)?.in_time();
        let own = if other.unit == Scale::Ns { profile.in_time() } else { profile };
        profile = own.filled_from(&other)?;
    }
    Ok(profile)
}

/// A host of which nothing is known.
fn nobody(unit: Scale) -> Profile {
    Profile {
        name: "described".to_owned(),
        host: "a host described on the command line".to_owned(),
        source: "the command line".to_owned(),
        unit,
        frequency_mhz: None,
        error: None,
        notes: Vec::new(),
        terms: BTreeMap::new(),
    }
}

/// What is asked about: every order without a discard once, with one each, and where it is a huge page both ways.
fn blocks(orders: &[u8]) -> Vec<Blocks> {
    let first = orders.first().map(|order| Blocks { order: *order, discarded: false, huge: false });
    let of = |order: &u8| {
        let small = Blocks { order: *order, discarded: true, huge: false };
        [Some(small), (*order >= HUGE).then_some(Blocks { huge: true, ..small })]
    };
    first.into_iter().chain(orders.iter().flat_map(of).flatten()).collect()
}

fn say(asked: &WhatIf, profile: Profile) -> Said {
    let blocks = blocks(&asked.orders);
    let worth = |blocks: &Blocks| {
        let of = |rung| Worth::of(&profile, rung, asked.batch, *blocks, asked.gib_per_cpu);
        [CALLS[1], VIRTIO].into_iter().filter_map(of).collect::<Vec<_>>()
    };
    Said {
        model: true,
        contests: blocks.iter().map(|blocks| Contest::of(&profile, asked.batch, *blocks)).collect(),
        break_even: blocks
            .iter()
            .flat_map(|blocks| CALLS.map(|call| Even::of(&profile, call, *blocks)))
            .collect(),
        gib_per_cpu: asked.gib_per_cpu,
        worth_it: blocks.iter().flat_map(worth).collect(),
        profile,
    }
}

fn print(said: &Said, out: &mut dyn Write) -> anyhow::Result<()> {
    let profile = &said.profile;
    writeln!(out, "MODEL, nothing of this was measured: {}\nsource: {}", profile.host, profile.source)?;
    for note in &profile.notes {
        writeln!(out, "note: {note}")?;
    }
    show(out, &tables::of_profile(profile))?;
    for contest in &said.contests {
        show(out, &tables::of_contest(profile, contest))?;
    }
    show(out, &tables::of_evens(profile, &said.break_even))?;
    if !said.worth_it.is_empty() {
        show(out, &tables::of_worth(profile, &said.worth_it, said.gib_per_cpu))?;
    }
    writeln!(out)?;
    for contest in &said.contests {
        writeln!(out, "MODEL: {}", contest.sentence())?;
    }
    Ok(())
}

/// Writes the map and its data; says where.
fn draw(asked: &WhatIf, profile: &Profile, path: &Path) -> anyhow::Result<String> {
    let mut hosts = published::all()?;
    for name in &asked.on_map {
        hosts.push(named(name)?.in_time());
    }
    hosts.push(profile.clone().in_time());
    let blocks =
        Blocks { order: asked.orders.first().copied().unwrap_or_default(), discarded: true, huge: false };
    let chart = winners::chart(profile, &hosts, asked.batch, blocks).map_err(|unknown| {
        Usage(format!(
            "no map can be drawn by {}: it does not know {unknown}; fill it (--fill RUN)",
            profile.name
        ))
    })?;
    let table = path.with_extension("csv");
    let Body::Map(map) = &chart.body else { return Ok(String::new()) };
    for (path, text) in [(path, chart.file()), (&table, map::csv(map))] {
        file::write(path, text.as_bytes())
            .map_err(|error| anyhow::anyhow!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(format!("{}, {}", path.display(), table.display()))
}
