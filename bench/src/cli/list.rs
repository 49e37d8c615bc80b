//! `pagehint list`.

use std::io::{self, Write};

use host::axes::{
    Axis, Backing, Carrier, Coalesce, Completion, Discard, Doorbell, RingChoice, Servicer, Workload,
};

use super::exit::Code;
use crate::axis::Named;
use crate::engine::experiment::Experiment;
use crate::histogram::Phase;
use crate::ladder::Rung;
use crate::meaning::Meaning;
use crate::plan::{BUILT_IN, Plan};

pub(super) fn run(out: &mut dyn Write) -> anyhow::Result<Code> {
    writeln!(out, "Presets: the ladder, each rung made of the one before (run --preset, compare --rungs)")?;
    for rung in Rung::ALL {
        writeln!(out, "  {:<16} {}", Named(*rung), rung.meaning())?;
    }
    writeln!(out, "\nAxes (run --AXIS VALUE)")?;
    axis::<Carrier>(out)?;
    axis::<Doorbell>(out)?;
    axis::<Servicer>(out)?;
    axis::<Completion>(out)?;
    axis::<Discard>(out)?;
    axis::<Coalesce>(out)?;
    axis::<Backing>(out)?;
    axis::<RingChoice>(out)?;
    axis::<Workload>(out)?;
    writeln!(out, "\nPhases of a report (tables, result files)")?;
    for phase in Phase::ALL {
        writeln!(out, "  {:<16} {}", Named(*phase), phase.meaning())?;
    }
    writeln!(out, "\nPlans (compare --plan NAME)")?;
    for (name, _) in BUILT_IN {
        let plan = Plan::built_in(name)?;
        let discards: Vec<String> = plan.discards.iter().map(Named::to_string).collect();
        writeln!(
            out,
            "  {name:<16} {}, with discards {}; {} blocks, {} reports of {} ranges of order {} a trial",
            rungs(&plan),
            discards.join(", "),
            plan.blocks,
            plan.reports,
            plan.batch,
            plan.order
        )?;
    }
    writeln!(out, "\nExperiments with the engine (engine NAME)")?;
    for experiment in Experiment::ALL {
        writeln!(out, "  {:<16} {}", Named(*experiment), experiment.question())?;
    }
    Ok(Code::Fine)
}

fn rungs(plan: &Plan) -> String {
    match plan.rungs.len() {
        0 => "every rung this host can run".to_owned(),
        some => format!("{some} rungs"),
    }
}

fn axis<A: Meaning>(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  --{}", A::AXIS)?;
    for value in A::ALL {
        writeln!(out, "    {:<16} {}", Named(*value), value.meaning())?;
    }
    Ok(())
}
