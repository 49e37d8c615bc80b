//! Bars, a row each: the name and the figure above, the bar with its interval below. On an axis by powers of ten a point
//! stands in the bar's place.

use super::model::{Bar, Bars, Scale, Tone};
use super::scale::{Ruler, width};
use super::sheet::{EDGE, LINE, Sheet, cut, wrapped};
use crate::figure::markup::{Element, tenth};

/// Height of a bar.
const BAR: f64 = 12.0;
/// What is free below it.
const GAP: f64 = 10.0;

/// Draws it below what is on the sheet.
pub(super) fn draw(sheet: &mut Sheet, bars: &Bars) {
    legend(sheet, bars);
    let values = bars.bars.iter().flat_map(|bar| {
        let (low, high) = bar.ends.unwrap_or((bar.to, bar.to));
        [bar.from, bar.to, low, high]
    });
    let ruler = Ruler::over(&bars.along, values, sheet.size.marks());
    let half = ruler.marks().iter().map(|(_, text)| width(text) / 2.0).fold(EDGE, f64::max);
    let ruler = ruler.between(half.min(40.0) + 2.0, sheet.size.width() - half.min(40.0) - 2.0);
    let top = sheet.y;
    for bar in &bars.bars {
        if !bar.heading.is_empty() {
            sheet.y += 6.0;
            sheet.paragraph("ink strong", &bar.heading);
        }
        row(sheet, bars, bar, &ruler);
    }
    sheet.below(&ruler, top, &bars.along.label);
}

/// The tones that need a word.
fn legend(sheet: &mut Sheet, bars: &Bars) {
    let mut tones: Vec<Tone> =
        bars.bars.iter().map(|bar| bar.tone).filter(|tone| *tone != Tone::Plain).collect();
    tones.sort_unstable();
    tones.dedup();
    let entries = tones.into_iter().map(|tone| {
        let sample = move |x: f64, y: f64| vec![block(tone, x, x + BAR, y - 6.0)];
        (tone.name().to_owned(), Box::new(sample) as Box<dyn Fn(f64, f64) -> Vec<Element>>)
    });
    sheet.legend(entries.collect(), BAR);
}

const fn look(tone: Tone) -> usize {
    match tone {
        Tone::Plain => 0,
        Tone::Base | Tone::Whole => 7,
        Tone::More => 1,
        Tone::Less => 2,
        Tone::Unsaid => 3,
    }
}

fn block(tone: Tone, from: f64, to: f64, y: f64) -> Element {
    let look = look(tone);
    let open = if tone == Tone::Unsaid { " open" } else { "" };
    let class = format!("f{look} s{look}{open}");
    let (left, wide) = (from.min(to), (to - from).abs().max(1.0));
    Element::new("rect").with("class", class).at("x", left).at("y", y).at("width", wide).at("height", BAR)
}

fn row(sheet: &mut Sheet, bars: &Bars, bar: &Bar, ruler: &Ruler) {
    let room = sheet.size.width() - 2.0 * EDGE;
    let right = sheet.size.width() - EDGE;
    let shown = cut(&bar.shown, room);
    let is_beside = width(&bar.label) + width(&shown) + 12.0 <= room;
    let labels = if is_beside { vec![bar.label.clone()] } else { wrapped(&bar.label, room) };
    for (index, line) in labels.iter().enumerate() {
        sheet.y += if index == 0 { 0.0 } else { LINE };
        sheet.text("ink", "start", EDGE, sheet.y + 12.0, line);
    }
    sheet.y += if is_beside { 0.0 } else { LINE };
    sheet.text("soft", "end", right, sheet.y + 12.0, &shown);
    sheet.y += LINE;
    let title = format!("{}: {}", bar.label, bar.shown);
    let mut group = Element::new("g").holding(Element::of("title", title));
    if bars.along.has(bar.to) {
        let (to, middle) = (ruler.end(bar.to), sheet.y + BAR / 2.0);
        if bars.along.scale == Scale::Linear {
            group.push(block(bar.tone, ruler.end(bar.from), to, sheet.y));
        } else {
            let class = format!("f{0} s{0}", look(bar.tone));
            group
                .push(Element::new("circle").with("class", class).at("cx", to).at("cy", middle).at("r", 5.0));
        }
        group = group.all(bar.ends.map(|(low, high)| whisker(ruler.end(low), ruler.end(high), middle)));
    }
    sheet.draw(group);
    sheet.y += BAR + GAP;
}

fn whisker(low: f64, high: f64, y: f64) -> Element {
    let path = format!("M{0} {2}v8M{0} {3}H{1}M{1} {2}v8", tenth(low), tenth(high), tenth(y - 4.0), tenth(y));
    Element::new("path").with("class", "end").with("d", path)
}
