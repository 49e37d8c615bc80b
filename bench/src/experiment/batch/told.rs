//! Batches in one sentence, and in a picture.

use super::found::{Found, LINUX, Priced};
use super::pictures;
use crate::archive::Archive;
use crate::experiment::told::{Headline, KeyFigure, Told, caveats};
use crate::figure::chart::{Body, Chart, Join, Line, Measure, Plot, Point};
use crate::figure::quantity::Quantity;
use crate::figure::unit::{float, percent};
use crate::model::even::Even;
use crate::model::{published, winners};

impl Told for Found {
    fn headline(&self) -> Option<Headline> {
        let first = self.contests.iter().rev().find(|contest| contest.blocks.discarded)?;
        let fit = self.fit.as_ref()?;
        let confidence = fit.held_out.map_or_else(
            || "a model; too few cells to say how far off it is".to_owned(),
            |held| {
                let (median, covered) = (percent(held.median), percent(held.covered));
                format!("a model: of {} cells it had not seen the middle one was off by {median}, its band held {covered}", held.cells)
            },
        );
        let figures = self.even.iter().filter(|even| even.blocks == first.blocks).take(3);
        let figure = |even: &Even| {
            let what = format!(
                "from so many ranges on virtio is no dearer than {}, {}",
                even.against,
                even.blocks.title()
            );
            KeyFigure::new(what, even.show())
        };
        Some(Headline { sentence: self.said_of(first), confidence, figures: figures.map(figure).collect() })
    }

    fn charts(&self, archive: &Archive) -> Vec<Chart> {
        let Some(unit) = self.unit else { return Vec::new() };
        let kinds = self.prices.chunk_by(|one, other| one.report.blocks == other.report.blocks);
        let chart = |(number, prices): (usize, &[Priced])| {
            let line = |(look, cells): (usize, &[Priced])| Line {
                name: cells.first().map(|cell| cell.report.rung.to_string()).unwrap_or_default(),
                look,
                is_second: false,
                join: Join::Straight,
                points: cells
                    .iter()
                    .map(|cell| Point::of(float(cell.report.batch.into()), &cell.a_range))
                    .collect(),
            };
            let lines =
                prices.chunk_by(|one, other| one.report.rung == other.report.rung).enumerate().map(line);
            let blocks = prices.iter().map(|cell| cell.a_range.blocks).min().unwrap_or_default();
            Chart {
                id: format!("batch-{number}"),
                title: format!("What a range costs, by the ranges of a report: {}", prices.first().map(|cell| cell.report.blocks.title()).unwrap_or_default()),
                reading: "Median report over its ranges, measured, without the stopwatch, with 95 % intervals over blocks, by powers of ten; lower is cheaper.".to_owned(),
                caveats: caveats(unit, blocks),
                body: Body::Plot(Plot {
                    x: Measure::doublings("ranges a report", Quantity::Count),
                    y: Measure::powers("a range", Quantity::Cost(unit)),
                    lines: lines.collect(),
                }),
            }
        };
        let costs: Vec<Chart> = kinds.clone().enumerate().map(chart).collect();
        let Some(fit) = &self.fit else { return costs };
        let profile = fit.profile().called(&archive.environment.host);
        let even = |(number, prices)| pictures::even(number, unit, &profile, prices, &self.even);
        // Those that are discarded first: without a discard nothing is given back.
        let mut evens: Vec<Chart> = kinds.enumerate().filter_map(even).collect();
        let kept = evens
            .len()
            .min(usize::from(self.prices.first().is_some_and(|cell| !cell.report.blocks.discarded)));
        evens.rotate_left(kept);
        let discarded =
            self.prices.iter().find(|cell| cell.report.blocks.discarded && !cell.report.blocks.huge);
        let map = discarded.and_then(|cell| {
            let mut hosts = published::all().ok()?;
            hosts.push(profile.clone());
            winners::chart(&profile, &hosts, LINUX, cell.report.blocks).ok()
        });
        evens.into_iter().chain(map).chain(costs).collect()
    }
}
