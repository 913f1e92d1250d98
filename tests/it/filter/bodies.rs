//! Bodies that a CRM might send, and what chance makes of them.

use lockkeeper::testkit::dice::Dice;

/// A body for a route, in a random spelling.
pub fn body(route: &str, dice: &mut Dice) -> String {
    let mut maker = Maker { space: if dice.one_in(4) { "\n  " } else { "" }, depth: 0 };
    let records = dice.below(5);
    match route {
        "GET /one/{id}" => maker.record(dice),
        "GET /maybe/{id}" => match dice.below(4) {
            0 => "{\"result\":null}".to_owned(),
            1 => "{}".to_owned(),
            _ => format!("{{\"result\":{},\"more\":1}}", maker.record(dice)),
        },
        "GET /typed" => {
            let items: Vec<String> = (0..records)
                .map(|_| {
                    let (name, record) = if dice.one_in(3) {
                        ("person", maker.contact(dice))
                    } else {
                        ("deal", maker.record(dice))
                    };
                    record.replacen('{', &format!("{{\"what\":\"{name}\","), 1).replace(",}", "}")
                })
                .collect();
            format!("[{}]", items.join(","))
        }
        "GET /map" => {
            let members: Vec<String> = (0..records)
                .map(|number| format!("\"k{number}\":{{\"record\":{},\"x\":[{{}}]}}", maker.record(dice)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        "GET /second/{id}" => format!("{{\"rows\":[1,{},{{\"a\":2}}]}}", maker.record(dice)),
        _ => {
            let rows: Vec<String> = (0..records).map(|_| maker.record(dice)).collect();
            let mut members = [
                format!("\"data\":[{}]", rows.join(if dice.one_in(3) { " , " } else { "," })),
                format!("\"page\":{{\"next\":\"{}\",\"a\":[1,2]}}", maker.word(dice)),
                "\"total\":17".to_owned(),
                "\"count\":5".to_owned(),
                "\"all\":99".to_owned(),
                "\"debug\":{\"sql\":[null,true]}".to_owned(),
                format!("\"side\":{{\"contacts\":[{}]}}", maker.contact(dice)),
            ];
            let turn = dice.below(members.len());
            members.rotate_left(turn);
            format!("{{{}}}", members.join(","))
        }
    }
}

struct Maker {
    space: &'static str,
    depth: usize,
}

impl Maker {
    fn record(&mut self, dice: &mut Dice) -> String {
        self.depth += 1;
        let mut members = vec![format!("\"id\":{}", self.id(dice))];
        for key in [
            "title",
            "amount",
            "amount_text",
            "amount_eur",
            "margin",
            "score",
            "email",
            "note_html",
            "x",
            "y",
            "owner_id",
            "kind",
            "Margin",
            "AMOUNT_eur",
            "title ",
        ] {
            if !dice.one_in(4) {
                let value = self.scalar(dice);
                members.push(format!("\"{key}\":{}{value}", self.space));
            }
        }
        if !dice.one_in(3) {
            members.push(format!("\"address\":{}", self.address(dice)));
        }
        if dice.one_in(2) {
            members.push(format!(
                "\"owner\":{{\"name\":{},\"id\":{}}}",
                self.scalar(dice),
                self.scalar(dice)
            ));
        }
        if self.depth < 3 && dice.one_in(2) {
            members.push(format!("\"contact\":{}", self.contact(dice)));
        }
        if self.depth < 3 && dice.one_in(2) {
            let items: Vec<String> = (0..dice.below(3))
                .map(|_| match dice.below(5) {
                    0 => "5".to_owned(),
                    1 => "[{\"id\":1}]".to_owned(),
                    _ => self.contact(dice),
                })
                .collect();
            members.push(format!("\"contacts\":[{}]", items.join(",")));
        }
        if self.depth < 3 && dice.one_in(3) {
            members.push(format!("\"parent\":{}", self.record(dice)));
        }
        self.depth -= 1;
        if dice.one_in(3) {
            let turn = dice.below(members.len());
            members.rotate_left(turn);
        }
        format!("{{{}}}", members.join(&format!(",{}", self.space)))
    }

    fn contact(&mut self, dice: &mut Dice) -> String {
        let mut members =
            vec![format!("\"id\":{}", self.id(dice)), format!("\"name\":{}", self.scalar(dice))];
        if dice.one_in(2) {
            members.push(format!(
                "\"deals\":[{}]",
                if self.depth < 2 { self.record(dice) } else { String::new() }
            ));
        }
        if dice.one_in(8) {
            members.remove(0);
        }
        format!("{{{}}}", members.join(","))
    }

    fn address(&mut self, dice: &mut Dice) -> String {
        match dice.below(8) {
            0 => "null".to_owned(),
            1 => "[]".to_owned(),
            2 => "{}".to_owned(),
            _ => format!(
                "{{\"city\":{},\"zip\":{},\"geo\":{{\"lat\":{},\"lon\":1.5}},\"unit\":{},\"plus_code\":7}}",
                self.scalar(dice),
                self.scalar(dice),
                self.scalar(dice),
                self.scalar(dice)
            ),
        }
    }

    fn id(&mut self, dice: &mut Dice) -> String {
        match dice.below(20) {
            0 => "null".to_owned(),
            1 => "-3".to_owned(),
            2 => "\"\"".to_owned(),
            3 => "\"\\u0031\"".to_owned(),
            4..8 => format!("\"d{}\"", dice.below(6)),
            _ => dice.below(8).to_string(),
        }
    }

    fn scalar(&mut self, dice: &mut Dice) -> String {
        match dice.below(14) {
            0 => "null".to_owned(),
            1 => "true".to_owned(),
            2 => dice.below(100_000).to_string(),
            3 => format!("-{}.{}", dice.below(100), dice.below(1_000)),
            4 => format!("{}e{}", dice.below(100), dice.below(400)),
            5 => "123456789012345678901234567890".to_owned(),
            6 => "0.10".to_owned(),
            7 => "{\"deep\":[1,{\"er\":\"\"}]}".to_owned(),
            8 => "[]".to_owned(),
            9 => "\"Zo\\u00eb \\\"q\\\" \\/ \\ud83d\\ude00 é\"".to_owned(),
            10 => format!("\"{}\"", "long text of some length, ".repeat(dice.below(9))),
            _ => format!("\"{}\"", self.word(dice)),
        }
    }

    fn word(&mut self, dice: &mut Dice) -> &'static str {
        dice.pick(&["", "alpha", "beta gamma", "a string of exactly thirty-two b", "x", "München"])
    }
}

/// Changes some bytes of a body.
pub fn mutate(body: &str, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = near(&bytes, dice);
        let byte =
            *dice.pick_byte(b"\"\\{}[],:0123456789-+.eEnulltruefalse \n\x00\x1f\x7f\xc3\xa9\xed\xa0\x80u/a");
        match dice.below(9) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => {
                bytes.remove(at);
            }
            3 => bytes.truncate(at),
            4 => {
                let end = (at + dice.below(40)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let place = near(&bytes, dice);
                bytes.splice(place..place, part);
            }
            5 => {
                // A letter as an escape.
                if bytes[at].is_ascii_alphanumeric() {
                    let escape = format!("\\u{:04x}", bytes[at]);
                    bytes.splice(at..=at, escape.bytes());
                }
            }
            6 => {
                let end = (at + dice.below(60)).min(bytes.len());
                bytes.drain(at..end);
            }
            7 => {
                let other = near(&bytes, dice);
                bytes.swap(at, other);
            }
            _ => bytes.extend_from_slice(&[byte]),
        }
    }
    bytes
}

/// A place, often beside what gives a text its structure.
fn near(bytes: &[u8], dice: &mut Dice) -> usize {
    let at = dice.below(bytes.len());
    if dice.one_in(2) {
        return at;
    }
    let is_structure = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b'\\');
    let found = bytes.iter().skip(at).position(is_structure).map_or(at, |offset| at + offset);
    (found + dice.below(2)).min(bytes.len() - 1)
}
