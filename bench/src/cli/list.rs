//! `pagehint list`.

mod matrix;

use std::io::{self, Write};

use abi::addr::Order;
use host::axes::{Axis, Backing, Carrier, Completion, Discard, Doorbell, Freed, RULES, Way};

use super::exit::Code;
use crate::axes::named::Named;
use crate::axes::rung::Rung;
use crate::experiment;
use crate::figure::json;
use crate::trial::timed::phases::Phase;

pub(super) fn run(matrix: bool, json: bool, out: &mut dyn Write) -> anyhow::Result<Code> {
    match (matrix, json) {
        (true, true) => out.write_all(json::pretty(&matrix::rows()).as_bytes())?,
        (true, false) => matrix::write(out)?,
        (false, _) => everything(out)?,
    }
    Ok(Code::Fine)
}

fn everything(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "Presets: the ladder, each rung made of the one before (run and engine: --preset RUNG; the others: --rungs RUNG,…)"
    )?;
    for rung in Rung::LADDER {
        writeln!(out, "  {:<16} {}", Named(*rung), rung.meaning())?;
    }
    writeln!(out, "\nPresets beside the ladder, for whoever asks for them by name")?;
    for rung in Rung::BESIDE {
        writeln!(out, "  {:<20} {}", Named(*rung), rung.meaning())?;
    }
    writeln!(out, "\nAxes (run --AXIS VALUE; compare: --discards DISCARD,…)")?;
    axes(out)?;
    writeln!(out, "\nPhases of a report (tables, result files)")?;
    for phase in Phase::ALL {
        writeln!(out, "  {:<16} {}", Named(*phase), phase.meaning())?;
    }
    writeln!(out, "\nWhat goes together")?;
    for rule in RULES {
        writeln!(out, "  {}", rule)?;
    }
    writeln!(out, "\nDiscards that are made and free nothing")?;
    nothing_freed(out)?;
    writeln!(out, "\nExperiments (pagehint NAME), with their built-in plans (--plan NAME)")?;
    for experiment in experiment::ALL {
        writeln!(out, "  {:<16} {}", experiment.command(), experiment.question())?;
        let plans: Vec<&str> = experiment.plans().iter().map(|(name, _)| *name).collect();
        writeln!(out, "  {:<16} plans: {}", "", plans.join(", "))?;
    }
    Ok(())
}

/// Of all blocks, or of those that are smaller than a huge page.
fn nothing_freed(out: &mut dyn Write) -> io::Result<()> {
    let plain = Way::plain(Carrier::Batch, Doorbell::Port, Completion::Return);
    for discard in Discard::ALL {
        for backing in Backing::ALL {
            let way = Way { discard: *discard, backing: *backing, ..plain };
            let Some(why) = way.why_nothing(Order::PAGE).filter(|_| way.validate().is_ok()) else { continue };
            let of_all = way.frees(Order::HUGE) == Freed::Nothing;
            let blocks = if of_all { "" } else { ", blocks below order 9" };
            writeln!(out, "  {} of {}{blocks}: {why}", discard.name(), backing.name())?;
        }
    }
    Ok(())
}

fn axes(out: &mut dyn Write) -> io::Result<()> {
    for row in matrix::rows() {
        writeln!(out, "  --{}", row.axis)?;
        for value in row.values {
            writeln!(out, "    {:<16} {}", value.name, value.meaning)?;
        }
    }
    Ok(())
}
