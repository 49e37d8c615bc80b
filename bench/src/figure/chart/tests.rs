//! Pictures, read back.

use roxmltree::{Document, Node};

use super::scale::width;
use super::*;
use crate::figure::interval::Interval;
use crate::figure::map::{Axis, Map, Place};
use crate::figure::quantity::Quantity;
use crate::figure::unit::Unit;

fn axis(scale: Scale, quantity: Quantity) -> Measure {
    Measure { label: "cost of <a> & b".to_owned(), quantity, scale }
}

fn chart(body: Body) -> Chart {
    Chart {
        id: "chart".to_owned(),
        title: "what \"a\" <costs> & why".to_owned(),
        reading: "Lower is better.".to_owned(),
        caveats: Vec::new(),
        body,
    }
}

fn interval(mean: f64) -> Interval {
    Interval { middle: mean, low: mean - 5.0, high: mean + 5.0, blocks: 8, p: Some(0.01) }
}

fn bars(scale: Scale) -> Chart {
    let long = "a name that is far too long to stand beside its figure on a narrow page";
    let bars = vec![
        Bar::of("one", &interval(20.0), "20 [15, 25] ns").toned(Tone::Base).below("group"),
        Bar::change(long, &interval(-30.0), "-30 [-35, -25] ns"),
        Bar::plain("no number", f64::NAN, "?"),
        Bar { from: f64::INFINITY, ends: Some((f64::NAN, f64::INFINITY)), ..Bar::plain("worse", 7.0, "7") },
    ];
    chart(Body::Bars(Bars { along: axis(scale, Quantity::Cost(Unit::Nanoseconds)), bars }))
}

fn plot(scale: Scale, join: Join, points: Vec<Point>) -> Chart {
    let line = |look, is_second| Line {
        name: format!("line {look} < & of a name that is long"),
        look,
        is_second,
        join,
        points: points.clone(),
    };
    let lines = vec![line(0, false), line(0, true), line(9, false)];
    let (x, y) = (axis(scale, Quantity::Count), axis(Scale::Log, Quantity::Cost(Unit::Nanoseconds)));
    chart(Body::Plot(Plot { x, y, lines }))
}

fn all() -> Vec<Chart> {
    let many = (0..500).map(|at| Point::at(f64::from(at), f64::from(at * at + 1))).collect();
    let labelled = |x, label: &str| Point { label: label.to_owned(), ..Point::of(x, &interval(40.0)) };
    let odd = vec![
        Point::at(f64::NAN, 1.0),
        Point::at(1.0, f64::INFINITY),
        Point::at(2.0, -1.0),
        labelled(2.0, "<two>"),
    ];
    let near = vec![
        labelled(1.0, "first"),
        labelled(1.0, "second"),
        labelled(1.01, "third"),
        labelled(30.0, "last of them"),
    ];
    vec![
        bars(Scale::Linear),
        bars(Scale::Log),
        plot(Scale::Linear, Join::Steps, many),
        plot(Scale::Doublings, Join::Straight, odd),
        plot(Scale::Linear, Join::Apart, near),
        plot(Scale::Nines, Join::Straight, (1..9).map(|at| Point::at(0.5_f64.powi(at), 900.0)).collect()),
        plot(Scale::Log, Join::Straight, Vec::new()),
        chart(Body::Bars(Bars { along: axis(Scale::Linear, Quantity::Bytes), bars: Vec::new() })),
        map(),
    ]
}

/// Fifteen who lie upon each other, one at each edge and one on no axis.
fn map() -> Chart {
    let axis = |name: &str| Axis::over(name, [100.0, 1e5], std::iter::empty());
    let place = |name: String, x, y| Place { name, x, y, remark: "at <3> GHz & more".to_owned() };
    let crowd = (0..15).map(|number| place(format!("host {number}"), Some(1e5), Some(100.0)));
    let edges = [(Some(2e3), None), (None, Some(2e3)), (None, None)];
    let edges = edges.into_iter().map(|(x, y)| place("a host with a name that is long".to_owned(), x, y));
    chart(Body::Map(Map {
        x: axis("an exit"),
        y: axis("a discard"),
        kinds: vec!["the first kind of all".to_owned(), "the second".to_owned()],
        columns: 4,
        cells: [vec![Some(0); 8], vec![Some(1); 7], vec![None]].concat(),
        places: crowd.chain(edges).collect(),
    }))
}

#[test]
fn marks_of_a_map_do_not_lie_upon_each_other_and_everybody_is_said() {
    for size in [Size::Narrow, Size::Wide] {
        let text = map().svg(size).to_string();
        let document = Document::parse(&text).unwrap();
        let marks = document.descendants().filter(|node| node.has_tag_name("circle"));
        let places: Vec<(f64, f64)> = marks.flat_map(reach).collect();
        assert_eq!(places.len(), 2 * 17, "on the map and in the list");
        for (index, one) in places.iter().enumerate() {
            let near =
                places[index + 1..].iter().find(|other| (one.0 - other.0).hypot(one.1 - other.1) < 16.0);
            assert_eq!(near, None, "{one:?}");
        }
    }
    let (said, table) = (map().description(), map().table().to_markdown());
    assert!(said.contains("the first kind of all: 50") && said.contains("host 3: 100 µs / 100 ns"), "{said}");
    assert!(table.contains("host 14") && table.contains("? |"), "{table}");
}

/// Every place that an element names, with how far its text reaches.
fn reach(node: Node<'_, '_>) -> Vec<(f64, f64)> {
    let number = |name| node.attribute(name).map(|value| value.parse::<f64>().unwrap());
    let numbers = |text: &str| -> Vec<f64> {
        let parts = text.split(|c: char| c.is_ascii_alphabetic() || c == ',' || c == ' ');
        parts.filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect()
    };
    match node.tag_name().name() {
        "text" => {
            let (x, y, wide) =
                (number("x").unwrap(), number("y").unwrap(), width(node.text().unwrap_or_default()));
            let left = match node.attribute("text-anchor") {
                Some("end") => x - wide,
                Some("middle") => x - wide / 2.0,
                _ => x,
            };
            vec![(left, y - 10.0), (left + wide, y + 3.0)]
        }
        "rect" => {
            let (x, y) = (number("x").unwrap_or_default(), number("y").unwrap_or_default());
            vec![(x, y), (x + number("width").unwrap(), y + number("height").unwrap())]
        }
        "circle" => vec![(number("cx").unwrap(), number("cy").unwrap())],
        "polygon" => {
            numbers(node.attribute("points").unwrap()).chunks(2).map(|pair| (pair[0], pair[1])).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn pictures_are_well_formed_and_nothing_is_outside() {
    for chart in all() {
        for size in [Size::Narrow, Size::Wide] {
            let text = chart.svg(size).to_string();
            let document = Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let root = document.root_element();
            let view: Vec<f64> =
                root.attribute("viewBox").unwrap().split(' ').map(|part| part.parse().unwrap()).collect();
            for node in root.descendants() {
                for (x, y) in reach(node) {
                    let is_inside =
                        (-0.5..=view[2] + 0.5).contains(&x) && (-0.5..=view[3] + 0.5).contains(&y);
                    assert!(is_inside, "{x} {y} of {node:?} is outside {view:?}: {:?}", node.text());
                }
                for attribute in node.attributes() {
                    assert!(
                        !["NaN", "inf"].iter().any(|odd| attribute.value().contains(odd)),
                        "{attribute:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn pictures_say_what_they_show() {
    for chart in all() {
        let text = chart.file();
        let document = Document::parse(&text).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        let named: Vec<&str> = root.attribute("aria-labelledby").unwrap().split(' ').collect();
        for id in named {
            let node = root.children().find(|node| node.attribute("id") == Some(id)).unwrap();
            assert!(node.text().is_some_and(|text| text.len() > 10), "{id}");
        }
        assert!(text.contains("prefers-color-scheme:dark"));
    }
    let empty = plot(Scale::Log, Join::Straight, Vec::new());
    assert!(empty.description().contains("nothing to draw"));
}

#[test]
fn every_mark_has_its_value_and_so_has_the_table() {
    let chart = bars(Scale::Linear);
    let text = chart.svg(Size::Narrow).to_string();
    assert!(text.contains("<title>one: 20 [15, 25] ns</title>"));
    assert!(text.contains("no difference shown") || text.contains("less"), "tones are named");
    let table = chart.table().to_markdown();
    assert!(table.contains("20 [15, 25] ns") && table.contains("no number"), "{table}");
    let points = vec![Point::at(1.0, 10.0), Point::of(2.0, &interval(20.0))];
    let chart = plot(Scale::Doublings, Join::Straight, points);
    let text = chart.svg(Size::Wide).to_string();
    assert!(text.contains("20.0 ns at 2 [15.0 ns, 25.0 ns]"), "{text}");
    assert!(chart.table().to_markdown().contains("20.0 ns"));
}

#[test]
fn what_the_ends_of_few_blocks_would_be_is_not_drawn() {
    let few = Interval { blocks: 3, ..interval(20.0) };
    assert_eq!((Bar::of("", &few, "").ends, Point::of(1.0, &few).ends), (None, None));
    assert_eq!(Bar::of("", &interval(20.0), "").ends, Some((15.0, 25.0)));
    assert_eq!(Bar::change("", &Interval { p: Some(0.4), ..interval(20.0) }, "").tone, Tone::Unsaid);
}
