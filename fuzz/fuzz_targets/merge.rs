//! Any record, any body and anything that a caller may see: what a full replacement becomes.
//!
//! Lines: a letter for each field (seen, hidden, masked), the body, the record, and another record whose hidden values take the
//! place of the record's own. Checked:
//!
//! * what comes of body and record is what a plain reading of the rules makes of them (`merge/twin.rs`), byte for byte: hidden
//!   values are the record's, all else is the caller's;
//! * with other hidden values the same is told: refused or not, which keys count as kept, sent back, overwritten or changed, and
//!   what of the result its caller sees.
#![no_main]

#[path = "merge/rig.rs"]
mod rig;
#[path = "merge/twin.rs"]
mod twin;

use libfuzzer_sys::fuzz_target;
use rig::Rig;
use twin::{Members, View};

thread_local! {
    static RIG: Rig = Rig::new();
}

fuzz_target!(|data: &str| {
    let mut lines = data.splitn(4, '\n');
    let (Some(seen), Some(body), Some(record)) = (lines.next(), lines.next(), lines.next()) else { return };
    let other = lines.next().unwrap_or("{}");
    RIG.with(|rig| {
        let view = View::new(seen);
        let found = rig.merge(&view, record, body);
        let (Some(found), Some(fields), Some(asked)) = (found, Members::read(record), Members::read(body))
        else {
            return;
        };
        let expected = twin::merged(&view, &fields, &asked);
        let found_fields =
            found.as_ref().map(|found| twin::plain(&Members::read(&found.written).expect("an object")));
        assert_eq!(found_fields, expected, "{view:?}\n{body}\n{record}");
        let Some(others) = Members::read(other).filter(|_| fields.is_composed()) else { return };
        let mixed = twin::with_hidden_of(&view, &fields, &others);
        // The other record may be none that the proxy would read.
        let Some(beside) = rig.merge(&view, &mixed, body) else { return };
        let beside = beside
            .unwrap_or_else(|| panic!("refused by what is hidden: {view:?}\n{body}\n{record}\n{mixed}"));
        let found = found.expect("a record in its shape is merged");
        assert_eq!(found.told, beside.told, "{view:?}\n{body}\n{record}\n{mixed}");
        let visible = |text: &str| twin::visible(&view, &Members::read(text).expect("an object"));
        assert_eq!(visible(&found.written), visible(&beside.written), "{view:?}\n{body}\n{record}\n{mixed}");
    });
});
