//! Colours, dashes and markers. Nothing is told by colour alone: lines have markers and dashes, bars their sign and figure.

use crate::figure::markup::{Element, tenth};

/// Told apart by the most common kinds of colour blindness (Okabe and Ito 2008); on a dark ground the three that are too
/// dark there are lighter.
pub const COLOURS: [[&str; 2]; 8] = [
    ["#0072b2", "#4aa8e0"],
    ["#d55e00", "#ff8a3d"],
    ["#009e73", "#2cc79b"],
    ["#cc79a7", "#cc79a7"],
    ["#e69f00", "#e69f00"],
    ["#56b4e9", "#8ed0f5"],
    ["#7a6f00", "#f0e442"],
    ["#1a1a1a", "#f2f2f2"],
];

/// Ground, text, text beside it, lines of the grid: on light and on dark.
const INKS: [(&str, [&str; 2]); 4] = [
    (".chart .ground{fill:", ["#ffffff", "#16181d"]),
    (".chart .ink{fill:", ["#1a1a1a", "#ececec"]),
    (".chart .soft{fill:", ["#4d4d4d", "#b8b8b8"]),
    (".chart .grid{stroke:", ["#d9d9d9", "#3a3d45"]),
];

/// The rules of all pictures, for a page or for a picture that stands alone. Without variables, which few programs that
/// are no browsers know.
#[must_use]
pub fn rules() -> String {
    let mut text = ".chart{font-family:system-ui,sans-serif;font-size:12px}\
         .chart .line{fill:none;stroke-width:1.8}.chart .dashed{stroke-dasharray:5 4}\
         .chart .grid,.chart .axis,.chart .end{fill:none;stroke-width:1}.chart .end{stroke-width:1.5}\
         .chart text{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}.chart .strong{font-weight:600}.chart .touch{fill:transparent;stroke:none}.chart .open{fill-opacity:.18;stroke-width:1.5}\
         .chart .pale{fill-opacity:.3;shape-rendering:crispEdges}.chart .mark{stroke-width:1.3}\
         .chart .small{font-size:10px;stroke:none}.chart .large{font-size:20px;font-weight:700}\n"
        .to_owned();
    text.push_str(&inks(0));
    text.push_str("@media screen and (prefers-color-scheme:dark){\n");
    text.push_str(&inks(1));
    text + "}\n"
}

fn inks(scheme: usize) -> String {
    let mut text: String =
        INKS.iter().map(|(rule, colours)| format!("{rule}{}}}", colours[scheme])).collect();
    let (ground, ink) = (INKS[0].1[scheme], INKS[1].1[scheme]);
    // So that no line of the grid goes through a letter.
    text.push_str(&format!(
        ".chart text{{stroke:{ground}}}.chart .knocked{{fill:{ground}}}.chart .mark{{stroke:{ink}}}"
    ));
    text.push_str(&format!(".chart .axis,.chart .end{{stroke:{ink}}}\n"));
    for (look, colours) in COLOURS.iter().enumerate() {
        let colour = colours[scheme];
        text.push_str(&format!(".chart .s{look}{{stroke:{colour}}}.chart .f{look}{{fill:{colour}}}"));
    }
    text + "\n"
}

/// Classes of the line of a look.
pub(super) fn line(look: usize, is_second: bool) -> String {
    let dashed = if is_second != (look / COLOURS.len() % 2 == 1) { " dashed" } else { "" };
    format!("line s{}{dashed}", look % COLOURS.len())
}

/// The marker of a look; that of a second line is hollow.
pub(super) fn marker(look: usize, is_second: bool, x: f64, y: f64) -> Element {
    let hollow = if is_second { " open" } else { "" };
    let class = format!("f{0} s{0}{hollow}", look % COLOURS.len());
    let corners: &[(f64, f64)] = match look % 5 {
        0 => return Element::new("circle").with("class", class).at("cx", x).at("cy", y).at("r", 3.6),
        1 => &[(-3.3, -3.3), (3.3, -3.3), (3.3, 3.3), (-3.3, 3.3)],
        2 => &[(0.0, -4.4), (4.2, 3.2), (-4.2, 3.2)],
        3 => &[(0.0, -4.6), (4.6, 0.0), (0.0, 4.6), (-4.6, 0.0)],
        _ => &[(0.0, 4.4), (4.2, -3.2), (-4.2, -3.2)],
    };
    let points: Vec<String> =
        corners.iter().map(|(dx, dy)| format!("{},{}", tenth(x + dx), tenth(y + dy))).collect();
    Element::new("polygon").with("class", class).with("points", points.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_lines_look_different() {
        let mut looks: Vec<(String, String)> =
            (0..16).map(|look| (line(look, false), marker(look, false, 0.0, 0.0).to_string())).collect();
        looks.sort();
        looks.dedup();
        assert_eq!(looks.len(), 16);
        assert_ne!(line(3, false), line(3, true));
        // A page's style is text that HTML does not unescape.
        assert!(!rules().contains(['<', '>', '&']) && !rules().contains("url("));
    }
}
