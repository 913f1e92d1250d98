//! What `scripts/compare` and `scripts/export-500mb` need in Rust: the data, a client that times single requests, and
//! Lockkeeper's own decisions.
//!
//! Without a mode it only says what it is for, so that `cargo bench` goes on. Results are JSON on standard output.
//! A client in Python would add its own 100 µs of jitter to the 50 µs that are to be told apart here.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: a benchmark reads clock, arguments and files, and connects"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up has failed"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod data;
mod decide;
mod latency;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["data", folder] => write_data(Path::new(folder)),
        ["latency", plan] => latency::run(plan),
        ["decide", bundle, folder, runs] => {
            decide::run(Path::new(bundle), Path::new(folder), runs.parse().unwrap());
        }
        _ => println!("compare: run scripts/compare, which installs what it compares with"),
    }
}

/// The files that the upstream serves, the directory, and a block of records for an export.
fn write_data(folder: &Path) {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("deal.json", data::record(VIEWED));
    write("deals.json", data::list(LISTED));
    write("directory.cedarentities.json", data::directory());
    let block: Vec<String> = (0..LISTED).map(data::record).collect();
    write("block.json", block.join(","));
}

/// The record that is viewed: 24 of its 40 fields are shown.
const VIEWED: usize = 7;
/// Records of the list: about 1 MB.
const LISTED: usize = 1_000;
