//! What a directory of 100,000 people costs: time to load, resident memory, time of a look-up. `cargo bench --bench directory`.
//!
//! Prints a table; `docs/reference/directory.md` has its figures. Another number of people as an argument:
//! `cargo bench --bench directory -- 10000`.
#![expect(clippy::disallowed_methods, reason = "edge: a benchmark reads the clock, its arguments and /proc")]
#![expect(clippy::print_stdout, reason = "the table")]
#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot be set up has failed")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use lockkeeper::bundle::directory::{self, Directory};
use lockkeeper::bundle::schema::BASE;
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::model::principal::EntityRef;

fn main() {
    let people = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(100_000);
    let own = "type UserAttributes = { email?: String, crmIds?: Set<String> };";
    let (schema, _) =
        cedar_policy::Schema::from_cedarschema_str(&format!("{BASE}{own}")).expect("the base schema parses");
    let path = std::env::temp_dir().join(format!("lockkeeper-bench-{}.json", std::process::id()));
    std::fs::write(&path, file(people)).expect("a temporary file");
    let bytes = std::fs::metadata(&path).expect("the file was just written").len();
    row("people", people);
    row("file, MB", bytes / 1_000_000);
    let idle = resident("VmRSS");
    row("idle, resident, MB", idle);

    let (loaded, load_ms) = timed(|| load(&path, &schema));
    row("load, ms", load_ms);
    row("resident above idle, MB", resident("VmRSS").saturating_sub(idle));
    row("peak above idle, MB", resident("VmHWM").saturating_sub(idle));
    look_up(&loaded, people);

    let (snapshot, ms) = timed(|| loaded.snapshot());
    row("what the ledger keeps, MB", snapshot.len() / 1_000_000);
    row("writing that, ms", ms);
    drop(snapshot);
    let (refitted, ms) = timed(|| loaded.refit(&schema, &mut Problems::default()).expect("the same schema"));
    row("fitting to a new schema, ms", ms);
    drop(refitted);
    let (second, ms) = timed(|| load(&path, &schema));
    row("reload beside it, ms", ms);
    row("both resident above idle, MB", resident("VmRSS").saturating_sub(idle));
    let ((), ms) = timed(|| drop(loaded));
    row("dropping the old one, ms", ms);
    row("resident above idle, MB", resident("VmRSS").saturating_sub(idle));
    drop(second);
    let _ = std::fs::remove_file(&path);
}

fn load(path: &std::path::Path, schema: &cedar_policy::Schema) -> Directory {
    let mut problems = Problems::default();
    let text = std::fs::read_to_string(path).expect("the file was just written");
    let source: Arc<SourceFile> = SourceFile::new("directory", text);
    directory::load(&source, schema, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

fn look_up(directory: &Directory, people: usize) {
    let names: Vec<EntityRef> =
        (0..1_000).map(|step| EntityRef::new("User", user_id(step * 7_919 % people))).collect();
    let each = |what: &str, mut run: Box<dyn FnMut(&EntityRef) + '_>| {
        let (_, ns) = timed_ns(|| names.iter().for_each(&mut run));
        row(what, ns / 1_000);
    };
    each("person, ns", Box::new(|name| drop(black_box(directory.person(name)))));
    each("entity for Cedar, first time, ns", Box::new(|name| drop(black_box(directory.entity(name)))));
    each("entity for Cedar, kept, ns", Box::new(|name| drop(black_box(directory.entity(name)))));
    each("ancestors, ns", Box::new(|name| drop(black_box(directory.ancestors(name)))));
    let crm_ids: Vec<String> = (0..1_000).map(|step| crm_id(step * 7_919 % people)).collect();
    let (_, ns) =
        timed_ns(|| crm_ids.iter().for_each(|id| drop(black_box(directory.find("User", "crmId", id)))));
    row("person by the CRM's id, ns", ns / 1_000);
}

/// People with two roles, a team, a territory, a position, the CRM's id and an e-mail address, as a directory's export has them.
fn file(people: usize) -> String {
    let mut text = String::from("[\n");
    let group = |type_name: &str, number: usize, above: Option<usize>| {
        let parents =
            above.map(|above| reference(type_name, &format!("{type_name}-{above}"))).unwrap_or_default();
        format!(
            "{{\"uid\": {}, \"attrs\": {{}}, \"parents\": [{parents}]}},\n",
            reference(type_name, &format!("{type_name}-{number}"))
        )
    };
    for (type_name, count) in [("Role", 60), ("Team", 2_000), ("Territory", 300), ("Position", 5_000)] {
        for number in 0..count {
            text.push_str(&group(type_name, number, (number > 0).then(|| number / 8)));
        }
    }
    for number in 0..people {
        let parents =
            [("Role", 0), ("Role", number % 50 + 1), ("Team", number % 2_000), ("Territory", number % 300)];
        let parents: Vec<String> = parents.map(|(t, n)| reference(t, &format!("{t}-{n}"))).to_vec();
        let _ = write!(
            text,
            "{{\"uid\": {}, \"attrs\": {{\"active\": {}, \"crmId\": \"{}\", \"position\": {}, \"custom\": {{\"email\": \
             \"person.{number}@example.org\", \"crmIds\": [\"{number}\", \"x-{number}\"]}}}}, \"parents\": [{}]}}{}\n",
            reference("User", &user_id(number)),
            number % 20 != 0,
            crm_id(number),
            reference("Position", &format!("Position-{}", number % 5_000)),
            parents.join(", "),
            if number + 1 < people { "," } else { "" },
        );
    }
    text.push(']');
    text
}

fn user_id(number: usize) -> String {
    format!("b7e1c0de-0000-4000-8000-{number:012}")
}

fn crm_id(number: usize) -> String {
    format!("{}", 5_000_000 + number)
}

fn reference(type_name: &str, id: &str) -> String {
    format!("{{\"type\": \"{type_name}\", \"id\": \"{id}\"}}")
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, u128) {
    let (value, ns) = timed_ns(run);
    (value, ns / 1_000_000)
}

fn timed_ns<T>(run: impl FnOnce() -> T) -> (T, u128) {
    let start = Instant::now();
    let value = run();
    (value, start.elapsed().as_nanos())
}

/// Memory of this process in MB, as the system counts it.
fn resident(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with(which)).expect("Linux tells");
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kilobytes.expect("a number") / 1_000
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("{what:<36}{value:>12}");
}
