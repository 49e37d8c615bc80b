//! Figures in prose and tables, and the files they are to stand in.
//!
//! A figure is a number with decimals, or of three digits and more; smaller whole numbers count things, and nobody could
//! tell where they are from. Code, links, and what is filled in are passed over. A figure stands in a file if a number of
//! the file, rounded to as many decimals, is it; where the file is JSON, also in per cent. So a wrong figure that happens
//! to be another one of the same file is not found; figures of another run are.

use std::collections::BTreeSet;

type Read<'a> = &'a dyn Fn(&str) -> Result<String, String>;

const NAMED: &str = "<!-- figures: ";
const CLOSE: &str = "-->";

/// What is wrong with a document: figures without a file, or that do not stand in it.
pub(crate) fn faults(text: &str, read: Read<'_>) -> Vec<String> {
    let text = without_what_is_filled_in(text);
    let mut parts = text.split(NAMED);
    let unnamed = figures(parts.next().unwrap_or_default());
    let mut faults: Vec<String> =
        unnamed.into_iter().map(|figure| format!("no file is named beside {figure}")).collect();
    for part in parts {
        let Some((named, covered)) = part.split_once(CLOSE) else {
            faults.push(format!("{NAMED} has no end"));
            continue;
        };
        let named = named.trim();
        if named.starts_with("none, ") {
            continue;
        }
        match Known::of(named, read) {
            Ok(known) => {
                let missing = figures(covered).into_iter().filter(|figure| !known.has(figure));
                faults.extend(missing.map(|figure| format!("{figure} does not stand in {named}")));
            }
            Err(error) => faults.push(error),
        }
    }
    faults
}

/// The numbers that files have.
#[derive(Default)]
struct Known {
    numbers: Vec<f64>,
    shares: Vec<f64>,
    derived: BTreeSet<String>,
}

impl Known {
    fn of(named: &str, read: Read<'_>) -> Result<Self, String> {
        let mut known = Self::default();
        let mut parts = named.split(';').map(str::trim);
        for name in parts.next().unwrap_or_default().split_whitespace() {
            if [".md", ".json", ".txt"].iter().any(|ending| name.ends_with(ending)) {
                known.add(name, &read(name)?);
                continue;
            }
            for file in ["report.md", "environment.json"] {
                known.add(file, &read(&format!("{name}/{file}"))?);
            }
        }
        for equation in parts {
            let figure =
                known.derive(equation).ok_or_else(|| format!("{equation} does not follow from {named}"))?;
            known.derived.insert(figure);
        }
        Ok(known)
    }

    fn add(&mut self, name: &str, text: &str) {
        let numbers = numbers(text);
        if name.ends_with(".json") {
            self.shares.extend(&numbers);
        }
        self.numbers.extend(numbers);
    }

    fn has(&self, figure: &str) -> bool {
        let (value, decimals) = (figure.parse::<f64>().unwrap_or(f64::NAN), decimals(figure));
        let is = |number: f64| format!("{number:.decimals$}").parse() == Ok(value);
        self.derived.contains(figure)
            || self.numbers.iter().any(|number| is(*number))
            || self.shares.iter().any(|share| is(share * 100.0))
    }

    /// `A = B - C`, or with `+` or `/`: `A`, if `B` and `C` are known and make it.
    fn derive(&self, equation: &str) -> Option<String> {
        let words: Vec<&str> = equation.split_whitespace().collect();
        let [figure, "=", left, by, right] = words.as_slice() else { return None };
        if !self.has(left) || !(self.has(right) || *right == "1000000000") {
            return None;
        }
        let (left, right): (f64, f64) = (left.parse().ok()?, right.parse().ok()?);
        let made = match *by {
            "-" => left - right,
            "+" => left + right,
            "/" => left / right,
            _ => return None,
        };
        (format!("{made:.0$}", decimals(figure)) == **figure).then(|| (*figure).to_owned())
    }
}

fn decimals(figure: &str) -> usize {
    figure.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// All numbers of a text without their signs; thousands may stand apart, as in `10 000`.
fn numbers(text: &str) -> Vec<f64> {
    words(text).iter().filter_map(|word| word.parse().ok()).collect()
}

/// The figures of a text without their signs.
fn figures(text: &str) -> Vec<String> {
    let is_figure = |word: &String| word.contains('.') || word.len() >= 3;
    words(&prose(text)).into_iter().filter(is_figure).collect()
}

/// Runs of digits with at most one point in them, that are no part of a word.
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or(' ');
    let are_digits = |from: usize, many: usize| (from..from + many).all(|index| at(index).is_ascii_digit());
    let (mut words, mut index) = (Vec::new(), 0);
    while index < characters.len() {
        if !at(index).is_ascii_digit() {
            index += 1;
            continue;
        }
        let before = if index == 0 { ' ' } else { at(index - 1) };
        let (begin, mut word) = (index, String::new());
        loop {
            match at(index) {
                digit if digit.is_ascii_digit() => word.push(digit),
                '.' if !word.contains('.') && at(index + 1).is_ascii_digit() => word.push('.'),
                ' ' if begin < index
                    && !word.contains('.')
                    && are_digits(index + 1, 3)
                    && !at(index + 4).is_ascii_digit() => {}
                _ => break,
            }
            index += 1;
        }
        let after = at(index);
        // `6.1.0` and `v7` are no numbers.
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let goes_on = after == '.' && at(index + 1).is_ascii_digit();
        if !is_part(before) && before != '.' && !is_part(after) && !goes_on {
            words.push(word);
        }
    }
    words
}

/// A document without what is filled in from files.
fn without_what_is_filled_in(text: &str) -> String {
    cut(text, "<!-- from: ", "<!-- end -->")
}

/// A text without code, comments, and where its links lead.
fn prose(text: &str) -> String {
    let text = cut(text, "```", "```");
    let text = cut(&text, "<!--", "-->");
    let text = cut(&text, "`", "`");
    cut(&text, "](", ")")
}

/// A text without everything from `open` to `close`.
fn cut(text: &str, open: &str, close: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(open) {
        kept += before;
        kept.push(' ');
        rest = after.split_once(close).map_or("", |(_, after)| after);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Result<String, String> {
        match name {
            "run/report.md" => Ok("| 26.66 µs | 4914 instr | 10 000 | 3037 |".to_owned()),
            "run/environment.json" => Ok("{\"share\": 0.0316}".to_owned()),
            _ => Err(format!("no {name}")),
        }
    }

    fn faults_of(text: &str) -> Vec<String> {
        faults(text, &read)
    }

    #[test]
    fn figures_that_stand_in_the_file_are_fine() {
        let text = "2 cpus, `9.99`, [x](1234.md)\n<!-- figures: run; 1877 = 4914 - 3037 -->\n-26.7 µs, 4914, 10 000, 3.2 %, \
            1877 more\n```text\n77.7\n```\n<!-- from: x -->88.8<!-- end --> Linux 6.1.0, v700";
        assert_eq!(faults_of(text), Vec::<String>::new());
        assert_eq!(faults_of("<!-- figures: none, years -->2019"), Vec::<String>::new());
    }

    #[test]
    fn figures_that_do_not_are_found() {
        assert_eq!(faults_of("it takes 26.7 µs"), ["no file is named beside 26.7"]);
        let wrong = faults_of("<!-- figures: run -->26.8 µs, 4915, 10 001, 3.3 %");
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].contains("26.8 does not stand in run"), "{wrong:?}");
        assert!(faults_of("<!-- figures: gone -->1.5")[0].contains("no gone/report.md"));
        assert!(faults_of("<!-- figures: run; 1878 = 4914 - 3037 -->")[0].contains("does not follow"));
    }
}
