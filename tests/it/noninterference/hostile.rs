//! Twists of a request: other spellings of the same thing, headers and parameters that other servers listen to, bodies that two
//! readers take in two ways.

use lockkeeper::testkit::dice::Dice;

use super::model::Kind;
use super::requests::{Ask, Scene, held};

/// The same request, twisted.
pub fn twisted(ask: Ask, scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    match dice.below(4) {
        0 => with_header(ask, dice),
        1 => with_path(ask, dice),
        2 => with_parameter(ask, dice),
        _ if ask.body.is_some() => with_body(ask, scene, dice),
        _ => with_header(ask, dice),
    }
}

fn with_header(mut ask: Ask, dice: &mut Dice) -> Ask {
    ask.headers.push(dice.pick(HEADERS).to_owned());
    if dice.one_in(3) {
        ask.headers.push(dice.pick(HEADERS).to_owned());
    }
    ask
}

fn with_path(mut ask: Ask, dice: &mut Dice) -> Ask {
    let (path, query) = ask.target.split_once('?').unwrap_or((&ask.target, ""));
    let first = path.chars().nth(1).unwrap_or('d');
    let encoded = || format!("/%{:02x}{}", u32::from(first), path.get(2..).unwrap_or_default());
    let path = match dice.below(9) {
        0 => format!("{path}/"),
        1 => format!("/{path}"),
        2 => encoded(),
        3 => path.to_ascii_uppercase(),
        4 => format!("{path};x=1"),
        5 => format!("/.{path}"),
        6 => format!("{path}.json"),
        7 => path.replace("/deals/", "/deals%2f"),
        _ => path.replace("/1", "/01"),
    };
    ask.target = if query.is_empty() { path } else { format!("{path}?{query}") };
    ask
}

fn with_parameter(mut ask: Ask, dice: &mut Dice) -> Ask {
    let sign = if ask.target.contains('?') { '&' } else { '?' };
    let more = match ask.target.split_once('?') {
        Some((_, query)) if dice.one_in(3) => query.split('&').next().unwrap_or_default().to_owned(),
        _ => dice.pick(PARAMETERS).to_owned(),
    };
    ask.target = format!("{}{sign}{more}", ask.target);
    ask
}

fn with_body(mut ask: Ask, scene: &Scene<'_>, dice: &mut Dice) -> Ask {
    let Some(body) = ask.body.take() else { return ask };
    let inside = body.strip_prefix('{').unwrap_or(&body);
    let margin = held(scene, Kind::Deal, "margin", dice);
    let body = match dice.below(8) {
        0 => format!("{{\"mar\\u0067in\":{margin},{inside}"),
        1 => format!("{{\"margin\":{margin},\"margin\":1,{inside}"),
        2 => format!("\u{feff}{body}"),
        3 => format!("[{body}]"),
        4 => format!("{body} {body}"),
        5 => format!("{}1{}", "{\"a\":".repeat(80), "}".repeat(80)),
        6 => {
            ask.headers.push("Content-Type: application/x-www-form-urlencoded".to_owned());
            "title=x&margin=5".to_owned()
        }
        _ => {
            ask.headers.push("Content-Type: text/plain".to_owned());
            body
        }
    };
    Ask { body: Some(body), ..ask }
}

const HEADERS: &[&str] = &[
    "If-None-Match: *",
    "If-Match: *",
    "If-Match: \"0\"",
    "If-Modified-Since: Mon, 01 Jun 2026 00:30:00 GMT",
    "Range: bytes=0-40",
    "Range: records=0-1",
    "X-HTTP-Method-Override: DELETE",
    "X-HTTP-Method: GET",
    "X-Forwarded-User: u1",
    "X-Original-URL: /deals",
    "X_As_User: 11",
    "Accept: text/csv",
    "Accept: */*",
    "Accept-Encoding: gzip, br",
    "Accept-Language: de",
    "Prefer: return=representation",
    "Cookie: state=1",
    "Expect: 100-continue",
    "Connection: x-crm-key",
    "X-Debug: 1",
];

const PARAMETERS: &[&str] = &[
    "debug=1",
    "format=csv",
    "fields=margin",
    "sort=-margin",
    "%73ort=margin",
    "sort[]=margin",
    "SORT=margin",
    "margin__gte=1",
    "margin__contact__name=1",
    "filter[margin][gte][x]=1",
    "filter[margin=1",
    "q=",
    "_method=DELETE",
    "callback=f",
    "include_hidden=1",
    "select=",
    "select=margin&select=title",
    "expand=contact.company",
    "page=0",
    "x;y=1",
    "=",
];
