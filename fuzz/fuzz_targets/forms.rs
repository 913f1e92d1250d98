//! Any bytes as a form: what is read of it is what a common reader reads, and, written anew, reads the same; and a multipart form
//! that passes in pieces passes as it is, wherever it is cut.
//!
//! The first byte is also the size of the pieces; the rest of it then is the form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockkeeper::pipeline::map::{form, multipart};
use lockkeeper::pipeline::multipart::Scanner;

const TYPE: &str = "multipart/form-data; boundary=b";

fuzz_target!(|data: &[u8]| {
    if let Ok(pairs) = form::read(data) {
        let common: Vec<(String, String)> = form_urlencoded::parse(data).into_owned().collect();
        assert_eq!(common, pairs);
        assert_eq!(form::read(form::write(&pairs).as_bytes()).ok(), Some(pairs));
    }
    if let Ok(pairs) = multipart::read(data, TYPE) {
        let (written, content_type) = multipart::write(&pairs);
        assert_eq!(multipart::read(written.as_bytes(), &content_type).ok(), Some(pairs));
    }
    let Some((size, body)) = data.split_first() else { return };
    let whole = passed(body, body.len().max(1));
    assert_eq!(whole, passed(body, 1 + usize::from(*size)));
    if let Some(passed) = whole {
        assert_eq!(passed, body);
    }
});

/// What passes of a form that comes in pieces; `None` if it is refused.
fn passed(body: &[u8], size: usize) -> Option<Vec<u8>> {
    let names = ["a", "b", "file"].map(str::to_owned);
    let mut scanner = Scanner::new(TYPE, names.to_vec()).ok()?;
    let mut out = Vec::new();
    for piece in body.chunks(size) {
        out.extend_from_slice(&scanner.feed(piece).ok()?);
    }
    scanner.finish().ok().map(|()| out)
}
