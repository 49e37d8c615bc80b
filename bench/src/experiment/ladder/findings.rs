//! What the ladder shows, for files and people.

use abi::axes::Axis;

use super::compared::{Compared, cruxes};
use super::found::Found;
use super::{checks, sentences, stopwatch, tables};
use crate::archive::Archive;
use crate::experiment::contract::{Crux, Findings};
use crate::figure::check::Check;
use crate::figure::interval::pairs;
use crate::figure::table::Grid;
use crate::trial::timed::phases::Phase;

const HOW_TO_READ: &str = "\
- *a report* is a batch of ranges told to the host and acknowledged; *a range* is what it costs over the number of ranges.
- *to the rung before* is how much more a range costs than on that rung: the middle over blocks of the difference of the two medians in that block, with its 95 % \
interval over blocks. Without a mark the two are shown to differ (an exact signed-rank test, corrected for the comparisons of the table); `=` marks two that are equal within 5 %, \
`~` that neither can be said. Where instructions are counted the ends are the least and the largest block.
- *could have seen* is the smallest true difference that a comparison of this spread and so many blocks calls different four times in five, and *blocks needed* how many would call one of the margin (5 % of what is taken off) different and like things equal as often: from the spread of the blocks alone, by Student's distribution.
- Quantiles are compared block by block as medians are, each corrected as they are; one that takes more reports than a block has is not shown.
- *stopwatch* is what our own stamps, and the registers that are fetched where a port write stands in for a hypercall, \
cost a report on this host. It is weighed on empty calls in every block and taken off *a range*, *a report* and the steps, block by block; all else has it in.
- *processor time* is that of all threads of the runner, a report: stopwatch, choosing, touching and checking its pages included.
- *exits/1000* are exits to user space for every thousand ranges, by our count.
- *polls* and *wake-ups* are how often a report's interrupt found KVM spinning for the halted vCPU, and how often it had to wake it, by \
KVM's statistics.
- *unmapped* is the share of reported pages in no page table of the host afterwards, *back* the share whose frames the host
  can give to others; looked at in reports made for this. Part of a transparent huge page is unmapped and not back.
- *refault* is what touching a reported page again cost over touching a resident one.
- *transport* is a report less what the cheapest rung pays to discard the same pages in the same block: its own path, and by how much its own discard is dearer.
- *worth it*: where memory is what a host is short of and so many GiB are worth a processor, a range pays for its report and its refault if it \
stays free longer than T (docs/model.md).
- Phases follow one another and add up to the report. Shares are of summed cost, so rare dear reports weigh as much as \
they cost.
";

/// How the tables of timed trials are to be read.
#[must_use]
pub fn how_to_read() -> String {
    let line = |phase: &Phase| format!("  - *{}*: {}\n", phase.name(), phase.meaning());
    HOW_TO_READ.to_owned() + &Phase::ALL.iter().map(line).collect::<String>()
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        Self::new(archive)
    }

    fn tables(&self) -> Vec<Grid> {
        let of = |discard| {
            let apart = tables::apart(self, discard);
            [Some(tables::ladder(self, discard)), apart, Some(tables::phases(self, discard))]
        };
        let stopwatch = tables::stopwatch(self).into_iter();
        stopwatch.chain(self.discards().into_iter().flat_map(of).flatten()).collect()
    }

    fn details(&self) -> Vec<Grid> {
        let of = |discard| [tables::compared(self, discard), tables::quantiles(self, discard)];
        let compared = self.discards().into_iter().flat_map(of).flatten().chain(tables::worth(self));
        compared.chain(self.cells.iter().map(|cell| tables::one_cell(self.unit, cell))).collect()
    }

    fn comparisons(&self) -> usize {
        let of = |discard| {
            let cells = || self.cells.iter().filter(move |cell| cell.discard() == discard);
            let named = cells().filter(|cell| cell.rung.is_some() && cell.names_pages());
            cells().filter(|cell| cell.step.is_some()).count().max(pairs(named.count()))
        };
        self.discards().into_iter().map(of).max().unwrap_or_default()
    }

    fn cruxes(&self) -> Vec<Crux> {
        let of = |compared: &Compared| {
            let Compared { from, to, discard, per_range, said, .. } = compared;
            Crux {
                what: format!("{to} less {from} with discard {discard}"),
                interval: *per_range,
                said: *said,
            }
        };
        cruxes(&self.compared).map(of).collect()
    }

    fn sentences(&self) -> Vec<String> {
        sentences::all(self)
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![stopwatch::check_of(&self.stopwatch, &self.cells, self.unit)];
        checks.extend(checks::all(&self.cells, self.unit, self.how));
        checks
    }

    fn how_to_read(&self) -> String {
        how_to_read()
    }
}
