//! A run on the terminal: the answer in a sentence, tables, the answer in full, checks.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::summary::Shown;
use crate::experiment::ladder::gate::{Change, GREW};
use crate::experiment::ladder::tables;
use crate::experiment::told::Headline;
use crate::figure::check::{Check, Standing};
use crate::figure::curve;
use crate::figure::table::{Grid, NOTHING_BACK};

/// Sentences are wrapped at this width.
const WIDTH: usize = 110;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints tables, curves, answer and checks of a run.
///
/// # Errors
/// As the writer's.
pub fn show(out: &mut dyn Write, shown: &Shown) -> io::Result<()> {
    let Shown { summary, found, .. } = shown;
    head(out, &summary.host, &summary.notes, &summary.remarks)?;
    if let Some(headline) = &summary.headline {
        first(out, headline)?;
    }
    for table in found.tables() {
        grid(out, &summary.host, &table)?;
    }
    let curves = curve::lines(&found.curves());
    if !curves.is_empty() {
        writeln!(out, "\nmemory over time\non {}", summary.host)?;
    }
    for line in curves {
        writeln!(out, "{line}")?;
    }
    answer(out, &summary.answer)?;
    checks(out, &summary.checks)
}

/// Prints rungs against those of a reference, what grew in red.
///
/// # Errors
/// As the writer's.
pub fn show_growth(out: &mut dyn Write, changes: &[Change]) -> io::Result<()> {
    let grid = tables::growth(changes);
    writeln!(out, "\n{}", paint(BOLD, &grid.title))?;
    writeln!(out, "{}", grid.to_text().replace(GREW, &paint(RED, GREW)))
}

fn head(out: &mut dyn Write, host: &str, notes: &[String], remarks: &[String]) -> io::Result<()> {
    writeln!(out, "{}", paint(BOLD, host))?;
    for note in notes {
        bullet(out, "note:", note)?;
    }
    for remark in remarks {
        bullet(out, &paint(YELLOW, "remark:"), remark)?;
    }
    Ok(())
}

fn grid(out: &mut dyn Write, host: &str, grid: &Grid) -> io::Result<()> {
    writeln!(out, "\n{}\n{}", paint(BOLD, &grid.title), grid.place(host))?;
    // The table cannot colour a cell itself; the words are the same width in red.
    writeln!(out, "{}", grid.to_text().replace(NOTHING_BACK, &paint(RED, NOTHING_BACK)))
}

/// The answer in one sentence, how sure it is, and the figures that carry it.
fn first(out: &mut dyn Write, headline: &Headline) -> io::Result<()> {
    writeln!(out, "\n{}", paint(BOLD, "Answer"))?;
    wrap(&headline.sentence, WIDTH).iter().try_for_each(|line| writeln!(out, "  {}", paint(BOLD, line)))?;
    bullet(out, "How sure:", &headline.confidence)?;
    headline
        .figures
        .iter()
        .try_for_each(|figure| bullet(out, "-", &format!("{}: {}", figure.what, figure.value)))
}

fn answer(out: &mut dyn Write, sentences: &[String]) -> io::Result<()> {
    if sentences.len() < 2 {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(BOLD, "Answer in full"))?;
    sentences.iter().try_for_each(|sentence| bullet(out, "-", sentence))
}

fn checks(out: &mut dyn Write, checks: &[Check]) -> io::Result<()> {
    writeln!(out, "\n{}", paint(BOLD, "Checks"))?;
    for check in checks {
        let style = match check.standing {
            Standing::Holds => GREEN,
            Standing::Unknown | Standing::Doubtful => YELLOW,
            Standing::Fails => RED,
        };
        bullet(out, &paint(style, check.standing.word()), &format!("{}: {}", check.what, check.detail))?;
    }
    Ok(())
}

/// A sentence behind a mark, wrapped.
///
/// # Errors
/// As the writer's.
pub fn bullet(out: &mut dyn Write, mark: &str, sentence: &str) -> io::Result<()> {
    for (index, line) in wrap(sentence, WIDTH).iter().enumerate() {
        if index == 0 {
            writeln!(out, "  {mark} {line}")?;
        } else {
            writeln!(out, "      {line}")?;
        }
    }
    Ok(())
}

/// Lines of at most `width` characters, broken between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_every_word_and_the_width() {
        let text = "one two three four five six seven µµµµ";
        let lines = wrap(text, 10);
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|line| line.chars().count() <= 10), "{lines:?}");
    }
}
