//! What stands between markers, from the file that the marker names.

use bench::figure::table::Grid;
use bench::figure::unit::{Unit, percent};

type Read<'a> = &'a dyn Fn(&str) -> Result<String, String>;

const FROM: &str = "<!-- from: ";
const CLOSE: &str = " -->";
const END: &str = "<!-- end -->";

/// The text with everything that is from files as it stands there.
pub(crate) fn filled(text: &str, read: Read<'_>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, marked)) = rest.split_once(FROM) {
        let (marker, after) = marked.split_once(CLOSE).ok_or("a marker has no end")?;
        let (_, after) = after.split_once(END).ok_or_else(|| format!("{marker}: there is no {END}"))?;
        let found = of(marker, read).map_err(|error| format!("{marker}: {error}"))?;
        filled += &format!("{before}{FROM}{marker}{CLOSE}{found}{END}");
        rest = after;
    }
    Ok(filled + rest)
}

fn of(marker: &str, read: Read<'_>) -> Result<String, String> {
    let (name, what) = marker.split_once(", ").ok_or("a file and what of it are needed")?;
    let text = read(name)?;
    if let Some(number) = what.strip_prefix("number ") {
        return figure(&text, number);
    }
    let columns = what.strip_prefix("columns ").and_then(|what| what.split_once(", table "));
    let (columns, title) =
        columns.ok_or("`columns N, table TITLE` or `number POINTER as FORMAT` is needed")?;
    table(&text, title, &positions(columns)?)
}

/// `1-3 7` as 0, 1, 2, 6.
fn positions(columns: &str) -> Result<Vec<usize>, String> {
    let number = |text: &str| {
        text.parse::<usize>().ok().filter(|number| *number > 0).ok_or(format!("{text} is no column"))
    };
    let mut positions = Vec::new();
    for part in columns.split(' ') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        positions.extend(number(first)? - 1..number(last)?);
    }
    Ok(positions)
}

/// A table of a `report.md` as a terminal shows it, with its title.
fn table(report: &str, title: &str, columns: &[usize]) -> Result<String, String> {
    let mut lines = report.lines().skip_while(|line| line.strip_prefix("### ") != Some(title)).skip(2);
    let cells = |line: &str| -> Result<Vec<String>, String> {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let cell =
            |at: &usize| cells.get(*at).map(|cell| (*cell).to_owned()).ok_or(format!("no column {}", at + 1));
        columns.iter().map(cell).collect()
    };
    let header = cells(lines.next().ok_or("there is no such table")?)?;
    let rows: Result<_, String> = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    let text = Grid::new("", header, rows?).to_text();
    Ok(format!("\n```text\n{title}\n{text}\n```\n"))
}

/// A number of a JSON file: `POINTER as FORMAT`.
fn figure(json: &str, asked: &str) -> Result<String, String> {
    let (pointer, format) = asked.split_once(" as ").ok_or("` as FORMAT` is needed")?;
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let number =
        value.pointer(pointer).and_then(serde_json::Value::as_f64).ok_or("there is no such number")?;
    match format {
        "ns" => Ok(Unit::Nanoseconds.show(number)),
        "instr" => Ok(Unit::Instructions.show(number)),
        "percent" => Ok(percent(number)),
        "whole" => Ok(format!("{number:.0}")),
        _ => Err(format!("{format} is no format: ns, instr, percent, whole")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "### a table\n\n| a | b |c |\n|---|---|---|\n| x | 1.0 | 2 |\n\non a host\n";

    fn read(name: &str) -> Result<String, String> {
        match name {
            "report.md" => Ok(REPORT.to_owned()),
            "summary.json" => Ok("{\"a\": [{\"b\": 1234.5}, 0.031]}".to_owned()),
            _ => Err(format!("no {name}")),
        }
    }

    #[test]
    fn tables_and_numbers_are_filled_in_and_the_rest_is_left() {
        let text = "before <!-- from: report.md, columns 1 3, table a table -->old<!-- end --> between \
            <!-- from: summary.json, number /a/0/b as ns --><!-- end --> or \
            <!-- from: summary.json, number /a/1 as percent --><!-- end -->";
        let filled = filled(text, &read).unwrap();
        for part in
            ["before <!--", "a table\n", "│ x  2 │", "--> between <!--", "-->1.23 µs<!-- end -->", ">3.1 %<"]
        {
            assert!(filled.contains(part), "{part}: {filled}");
        }
        assert!(!filled.contains("old") && !filled.contains("1.0"), "{filled}");
        assert_eq!(super::filled(&filled, &read).unwrap(), filled);
    }

    #[test]
    fn what_cannot_be_filled_in_is_said_with_its_marker() {
        for (marker, fault) in [
            ("none.md, columns 1, table a", "no none.md"),
            ("report.md, columns 1, table another", "no such table"),
            ("report.md, columns 4, table a table", "no column 4"),
            ("report.md, columns 0, table a table", "no column"),
            ("summary.json, number /z as ns", "no such number"),
            ("summary.json, number /a/1 as miles", "no format"),
            ("report.md", "a file and what"),
        ] {
            let error = filled(&format!("{FROM}{marker}{CLOSE}{END}"), &read).unwrap_err();
            assert!(error.contains(marker) && error.contains(fault), "{error}");
        }
        assert!(
            filled("<!-- from: report.md, columns 1, table a table -->", &read)
                .unwrap_err()
                .contains("there is no")
        );
    }
}
