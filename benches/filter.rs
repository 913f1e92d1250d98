//! What filtering costs: lists of 40 fields a record in several shapes, against `serde_json`'s plain validation of the same bytes.
//!
//! `cargo bench --bench filter [SHAPE] [ROUNDS]`. Half of the fields are denied, one embedded record is decided on its own. `whole`
//! hands over the body at once, `pieces` in 64 KiB, `cold` with nothing learned from earlier bodies.
#![expect(clippy::disallowed_methods, reason = "edge: a benchmark reads the clock and its arguments")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up has failed"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use lockkeeper::bundle::profile::Profile;
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::json::scan::object::Scanner;
use lockkeeper::model::decision::Decision;
use lockkeeper::model::reason::Reason;
use lockkeeper::pipeline::decide::gate::{RecordVerdict, Visibility};
use lockkeeper::pipeline::enforce::scan::envelope::Envelope;
use lockkeeper::pipeline::enforce::scan::layout::Layouts;
use lockkeeper::pipeline::enforce::scan::place::Place;
use lockkeeper::pipeline::enforce::scan::task::{ScanLimits, Scanning, Task};
use lockkeeper::pipeline::enforce::scan::{Judge, Judgement, RawRecord};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, shape, times] = arguments.as_slice()
        && mode == "count"
    {
        return count(shape, times.parse().unwrap());
    }
    let only = arguments.first().map(String::as_str).unwrap_or_default();
    let rounds: usize = arguments.get(1).map_or(21, |rounds| rounds.parse().unwrap());
    let profile = profile();
    let layouts = layouts(&profile);
    println!("| shape | records | KB | serde_json, MB/s | whole, × | pieces, × | cold, × | out, KB |");
    println!("|---|---|---|---|---|---|---|---|");
    for shape in SHAPES.iter().filter(|shape| only.is_empty() || shape.name == only) {
        row(shape, &profile, &layouts, rounds);
    }
}

/// Filters a body so many times and prints its size, for `callgrind`: two runs with different numbers tell what one costs.
fn count(shape: &str, times: usize) {
    let profile = profile();
    let layouts = layouts(&profile);
    let shape = SHAPES.iter().find(|known| known.name == shape).unwrap();
    let body = (shape.body)(shape.records);
    let task = task(&profile, &layouts, shape);
    let mut scanner = Scanner::default();
    for _ in 0..times {
        let (scanning, learned) = whole(task, std::mem::take(&mut scanner), black_box(&body));
        scanner = learned;
        black_box(scanning.body.len());
    }
    println!("{}", body.len());
}

struct Shape {
    name: &'static str,
    route: &'static str,
    records: usize,
    body: fn(usize) -> String,
}

const SHAPES: &[Shape] = &[
    Shape { name: "flat", route: "GET /flat", records: 1_000, body: |n| list(n, &Maker::FLAT) },
    Shape { name: "hub", route: "GET /hub", records: 1_000, body: hub },
    Shape {
        name: "text",
        route: "GET /flat",
        records: 100,
        body: |n| list(n, &Maker { text: 3_000, ..Maker::FLAT }),
    },
    Shape {
        name: "num",
        route: "GET /flat",
        records: 1_000,
        body: |n| list(n, &Maker { is_numbers: true, ..Maker::FLAT }),
    },
    Shape {
        name: "pretty",
        route: "GET /flat",
        records: 1_000,
        body: |n| list(n, &Maker { is_pretty: true, ..Maker::FLAT }),
    },
    Shape {
        name: "absent",
        route: "GET /flat",
        records: 1_000,
        body: |n| list(n, &Maker { absent: 5, ..Maker::FLAT }),
    },
    Shape {
        name: "shuffle",
        route: "GET /flat",
        records: 1_000,
        body: |n| list(n, &Maker { is_shuffled: true, ..Maker::FLAT }),
    },
    Shape {
        name: "one",
        route: "GET /one/{id}",
        records: 1,
        body: |_| record(7, &Maker::FLAT, &mut Dice(7)),
    },
    Shape { name: "ten", route: "GET /flat", records: 10, body: |n| list(n, &Maker::FLAT) },
    Shape { name: "hundred", route: "GET /flat", records: 100, body: |n| list(n, &Maker::FLAT) },
    Shape { name: "many", route: "GET /flat", records: 10_000, body: |n| list(n, &Maker::FLAT) },
];

fn row(shape: &Shape, profile: &Profile, layouts: &Layouts, rounds: usize) {
    let body = (shape.body)(shape.records);
    let task = task(profile, layouts, shape);
    let (warmed, mut scanner) = whole(task, Scanner::default(), &body);
    assert_eq!(warmed.sets.sets.values().map(Vec::len).sum::<usize>(), shape.records * 2);
    let repeats = (200_000 / body.len()).max(1);
    let mut times = [const { Vec::new() }; 4];
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..repeats).for_each(|_| run());
        start.elapsed().as_secs_f64() / repeats as f64
    };
    for _ in 0..rounds {
        times[0].push(time(&mut || {
            let ignored: serde::de::IgnoredAny = serde_json::from_str(black_box(&body)).unwrap();
            black_box(ignored);
        }));
        times[1].push(time(&mut || {
            let (scanning, learned) = whole(task, std::mem::take(&mut scanner), black_box(&body));
            scanner = learned;
            black_box(scanning.body.len());
        }));
        times[2].push(time(&mut || {
            let mut envelope = Envelope::new(task, Fixed::new(profile), std::mem::take(&mut scanner));
            body.as_bytes().chunks(65_536).for_each(|piece| envelope.feed(black_box(piece)).unwrap());
            let (scanning, learned) = envelope.finish().unwrap();
            scanner = learned;
            black_box(scanning.body.len());
        }));
        times[3].push(time(&mut || {
            black_box(whole(task, Scanner::default(), black_box(&body)).0.body.len());
        }));
    }
    let medians = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!(
        "| {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {} |",
        shape.name,
        shape.records,
        body.len() / 1_000,
        body.len() as f64 / medians[0] / 1e6,
        medians[1] / medians[0],
        medians[2] / medians[0],
        medians[3] / medians[0],
        warmed.body.len() / 1_000,
    );
}

fn layouts(profile: &Profile) -> Layouts {
    let needed = |name: &str| {
        let paths =
            profile.types[profile.type_named(name).unwrap().0].attributes.iter().flat_map(|of| of.at.clone());
        &*paths.collect::<Vec<_>>().leak()
    };
    Layouts::new(profile, needed).unwrap()
}

fn task<'t>(profile: &'t Profile, layouts: &'t Layouts, shape: &Shape) -> Task<'t> {
    let (_, route) = profile.route_labelled(shape.route).unwrap();
    Task {
        profile,
        layouts,
        shape: &route.shape,
        route_type: None,
        asked_id: None,
        expected: None,
        selection: None,
        other_pages: None,
        limits: ScanLimits { depth: 64, keys: 100_000, records: 100_000, step_bytes: 1 << 22 },
    }
}

fn whole(task: Task<'_>, scanner: Scanner, body: &str) -> (Scanning, Scanner) {
    Envelope::new(task, Fixed::new(task.profile), scanner).whole(body.as_bytes()).unwrap()
}

/// Decides by the owner alone, among verdicts that are there already: what remains is the filter.
struct Fixed {
    verdicts: Vec<RecordVerdict>,
}

impl Fixed {
    fn new(profile: &Profile) -> Self {
        let verdict = |type_index: usize, is_mine: bool| {
            let fields = profile.types[type_index].fields.len();
            let mut verdict = RecordVerdict::hidden(Decision::deny(Reason::NoPermit), fields + 1);
            verdict.view = Decision::allow(vec!["p".to_owned()]);
            let shown = |index: usize| {
                if index.is_multiple_of(2) || is_mine { Visibility::Shown } else { Visibility::Hidden }
            };
            verdict.fields = (0..fields).map(shown).chain([Visibility::Hidden]).collect();
            verdict
        };
        Self { verdicts: vec![verdict(0, false), verdict(1, true), verdict(2, false)] }
    }
}

impl Judge for Fixed {
    fn judge(&mut self, record: &RawRecord<'_>) -> Judgement {
        black_box(matches!(record.places.first(), Some(Place::Found(_))));
        Judgement::Verdict(u32::try_from(record.type_index).unwrap())
    }

    fn verdict(&self, number: u32) -> &RecordVerdict {
        &self.verdicts[number as usize]
    }
}

fn profile() -> Profile {
    let mut text = String::from(
        "profile = 1\n[field_sets]\npublic = []\n[types.Deal]\nid = \"id\"\n[types.Deal.attributes]\nowner = { at = \"owner_id\", as = \"User\" }\namount = { at = \"field4\", as = \"string\" }\nstage = { at = \"stage\", as = \"string\" }\n[types.Deal.fields]\n",
    );
    text.push_str("owner_id = { sets = [\"public\"] }\nstage = { sets = [\"public\"] }\ncontact = { sets = [\"public\"], is = \"Contact\", hide = \"null\" }\n");
    for field in 0..FIELDS {
        writeln!(text, "field{field} = {{ sets = [\"public\"] }}").unwrap();
    }
    text.push_str("[types.Contact]\nid = \"id\"\n[types.Contact.fields]\nname = { sets = [\"public\"] }\nphone = { sets = [\"public\"] }\n");
    text.push_str("[types.Hub]\nid = \"id\"\n[types.Hub.attributes]\nowner = { at = \"properties.owner_id\", as = \"User\" }\n[types.Hub.fields]\n\"properties.owner_id\" = { sets = [\"public\"] }\n\"properties.stage\" = { sets = [\"public\"] }\n\"properties.contact\" = { sets = [\"public\"], is = \"Contact\", hide = \"null\" }\n");
    for field in 0..FIELDS {
        writeln!(text, "\"properties.field{field}\" = {{ sets = [\"public\"] }}").unwrap();
    }
    for (path, at, type_name) in [("/flat", "$.data[*]", "Deal"), ("/hub", "$.results[*]", "Hub")] {
        writeln!(text, "[[routes]]\nmatch = \"GET {path}\"\naction = \"list\"\nrecords = {{ at = \"{at}\", type = \"{type_name}\" }}\nhidden_rows = \"visible\"").unwrap();
    }
    text.push_str("[[routes]]\nmatch = \"GET /one/{id}\"\naction = \"view\"\nrecords = { at = \"$\", type = \"Deal\" }\n");
    let mut problems = Problems::default();
    Profile::load(&SourceFile::new("p", &text), &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

/// What records are made of.
struct Maker {
    text: usize,
    is_numbers: bool,
    is_pretty: bool,
    /// One of so many fields is missing.
    absent: u64,
    is_shuffled: bool,
}

impl Maker {
    const FLAT: Maker = Maker { text: 0, is_numbers: false, is_pretty: false, absent: 0, is_shuffled: false };
}

fn list(records: usize, maker: &Maker) -> String {
    let mut dice = Dice(42);
    let (open, between, close) = if maker.is_pretty {
        ("{\n  \"data\": [\n    ", ",\n    ", "\n  ]\n}")
    } else {
        ("{\"data\":[", ",", "]}")
    };
    let records: Vec<String> = (0..records).map(|number| record(number, maker, &mut dice)).collect();
    format!("{open}{}{close}", records.join(between))
}

fn hub(records: usize) -> String {
    let mut dice = Dice(42);
    let one = |number: usize| {
        let record = record(number, &Maker::FLAT, &mut dice);
        let (_, properties) = record.split_once(',').unwrap();
        format!(
            "{{\"id\":\"{number}\",\"properties\":{{{properties},\"createdAt\":\"2026-01-01T00:00:00Z\",\"archived\":false}}"
        )
    };
    let records: Vec<String> = (0..records).map(one).collect();
    format!("{{\"results\":[{}]}}", records.join(","))
}

fn record(number: usize, maker: &Maker, dice: &mut Dice) -> String {
    let mut members = vec![
        ("owner_id".to_owned(), format!("\"u{}\"", dice.below(60))),
        (
            "stage".to_owned(),
            format!("\"{}\"", ["lead", "qualified", "proposal", "won", "lost"][dice.index(5)]),
        ),
        (
            "contact".to_owned(),
            format!(
                "{{\"id\":\"c{}\",\"name\":\"{}\",\"phone\":\"+49 {}\"}}",
                dice.below(999),
                word(dice),
                dice.below(999_999)
            ),
        ),
    ];
    for field in 0..FIELDS {
        let value =
            if field < 3 && maker.text > 0 { long_text(maker.text, dice) } else { value(field, maker, dice) };
        members.push((format!("field{field}"), value));
    }
    if maker.absent > 0 {
        members.retain(|(key, _)| key == "contact" || key == "owner_id" || dice.below(maker.absent) > 0);
    }
    if maker.is_shuffled {
        for last in (1..members.len()).rev() {
            members.swap(last, dice.index(last + 1));
        }
    }
    members.insert(0, ("id".to_owned(), number.to_string()));
    let (colon, comma) = if maker.is_pretty { (": ", ",\n      ") } else { (":", ",") };
    let members: Vec<String> =
        members.into_iter().map(|(key, value)| format!("\"{key}\"{colon}{value}")).collect();
    let body = members.join(comma);
    if maker.is_pretty { format!("{{\n      {body}\n    }}") } else { format!("{{{body}}}") }
}

fn value(field: usize, maker: &Maker, dice: &mut Dice) -> String {
    if maker.is_numbers && field < 33 {
        return format!("{}.{:02}", dice.below(10_000_000), dice.below(100));
    }
    match field % 10 {
        0 => format!("\"{} {}\"", word(dice), word(dice)),
        1 => format!("{}", dice.below(1_000_000)),
        2 => format!("{}.{:02}", dice.below(100_000), dice.below(100)),
        3 => ["null", "true", "false"][dice.index(3)].to_owned(),
        4 => format!("\"{}\"", word(dice)),
        5 => format!("\"2026-0{}-1{}T08:30:00Z\"", 1 + dice.below(9), dice.below(9)),
        6 if field == 36 => format!("\"Zo\\u00eb says \\\"{}\\\" \\u2013 München\"", word(dice)),
        6 => "null".to_owned(),
        7 if field == 17 => format!("[\"{}\",\"{}\"]", word(dice), word(dice)),
        7 if field == 27 => format!("{{\"street\":\"{} 5\",\"city\":\"{}\"}}", word(dice), word(dice)),
        7 => format!("\"{}@{}.example\"", word(dice), word(dice)),
        8 => "\"\"".to_owned(),
        _ => format!("{}", 100_000_000_000_000_000_000_u128 + u128::from(dice.below(1 << 40))),
    }
}

fn word(dice: &mut Dice) -> &'static str {
    ["alpha", "beta", "gamma industries", "delta", "epsilon holding", "zeta", "eta gmbh & co", "theta"]
        [dice.index(8)]
}

fn long_text(length: usize, dice: &mut Dice) -> String {
    let mut text = String::from("\"");
    while text.len() < length {
        write!(
            text,
            "<p class=\\\"{}\\\">{} and then some more words of plain text</p>\\n",
            word(dice),
            word(dice)
        )
        .unwrap();
    }
    text.push('"');
    text
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }
}

const FIELDS: usize = 37;
