//! Any bytes as an answer: one pass over them makes of them what the slow twin on `serde_json` makes, whole, in pieces, in parts, with
//! what it learned of others and with nothing learned.
//!
//! The first byte chooses the route, the next ten who may see what and the size of pieces.
#![no_main]

#[path = "../../tests/it/filter/rig.rs"]
mod rig;
#[path = "../../tests/it/filter/twin.rs"]
mod twin;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use lockkeeper::json::scan::object::Scanner;
use rig::{ROUTES, Rig, View};

thread_local! {
    static RIG: (Rig, RefCell<Scanner>) = (Rig::new(), RefCell::default());
}

fuzz_target!(|data: &[u8]| {
    let Some(([route, hides, size, seed @ ..], body)) = data.split_first_chunk::<11>() else { return };
    let route = ROUTES[usize::from(*route) % ROUTES.len()];
    let view = View { seed: u64::from_le_bytes(*seed), hides: 2 + u64::from(*hides % 8) };
    RIG.with(|(rig, learned)| {
        let _ = rig.compare(route, &view, body, 1 + usize::from(*size), &mut learned.borrow_mut());
    });
});
