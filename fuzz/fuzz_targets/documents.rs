//! Any bytes as a JSON body: what is accepted, `serde_json` accepts as the same value, also when it was copied out part by part; what
//! it accepts and we refuse is over a limit, has a key twice, or holds half of a surrogate pair.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockkeeper::json::parse::{JsonError, JsonLimits};
use lockkeeper::json::strip::{Keep, write};
use lockkeeper::json::value::{Document, Kind, Value};
use serde_json::value::RawValue;

const LIMITS: JsonLimits = JsonLimits { bytes_max: 1 << 20, depth_max: 32, nodes_max: 10_000 };

fuzz_target!(|data: &[u8]| {
    let plain = serde_json::from_slice::<&RawValue>(data);
    match Document::parse(Bytes::copy_from_slice(data), &LIMITS) {
        Ok(document) => {
            assert!(plain.is_ok(), "{}", String::from_utf8_lossy(data));
            let expected = serde_json::from_slice::<serde_json::Value>(data).ok();
            assert_eq!(told(document.root()), expected, "{}", String::from_utf8_lossy(data));
            let written = write(&document, &all(document.root()));
            assert_eq!(serde_json::from_slice(&written).ok(), expected, "{}", String::from_utf8_lossy(data));
        }
        Err(JsonError::Syntax { .. } | JsonError::NotUtf8 { .. }) => {
            // It takes halves of surrogate pairs in what it does not look into.
            assert!(plain.is_err() || holds_half_a_pair(data), "{}", String::from_utf8_lossy(data));
        }
        Err(_) => {}
    }
});

/// A value as its readers are told of it; `None` if it holds a number that `serde_json` cannot hold.
fn told(value: Value<'_>) -> Option<serde_json::Value> {
    Some(match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => value.boolean()?.into(),
        Kind::Number => serde_json::from_str(value.raw()).ok()?,
        Kind::String => value.text()?.into_owned().into(),
        Kind::Array => value.items().map(told).collect::<Option<Vec<_>>>()?.into(),
        Kind::Object => {
            let members =
                value.members().map(|member| Some((member.key().into_owned(), told(member.value())?)));
            serde_json::Value::Object(members.collect::<Option<_>>()?)
        }
    })
}

/// Every value by itself.
fn all(value: Value<'_>) -> Keep {
    match value.kind() {
        Kind::Object => {
            Keep::Object(value.members().map(|member| (member.value().node(), all(member.value()))).collect())
        }
        Kind::Array => Keep::Array(value.items().map(|item| (item.node(), all(item))).collect()),
        _ => Keep::Whole,
    }
}

fn holds_half_a_pair(data: &[u8]) -> bool {
    let escapes = data.windows(3).any(|window| matches!(window, [b'\\', b'u', b'd' | b'D']));
    escapes && serde_json::from_slice::<serde_json::Value>(data).is_err()
}
