//! Headers by the specification, and what a hostile or broken peer sends in their place.

use super::*;

#[track_caller]
fn check(protocol: ProxyProtocol, bytes: &[u8], expected: Result<Told, &str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rest = b"GET / HTTP/1.1";
    let whole = [bytes, rest].concat();
    let mut stream = whole.as_slice();
    let found = runtime.block_on(read(&mut stream, protocol));
    match (found, expected) {
        (Ok(found), Ok(expected)) => {
            assert_eq!(found, expected);
            assert_eq!(stream, rest, "more than the header was read");
        }
        (Err(found), Err(expected)) => {
            let found = found.to_string();
            assert!(found.contains(expected), "{found}");
        }
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    }
}

fn caller(text: &str) -> Result<Told, &str> {
    Ok(Told::Caller(text.parse().unwrap()))
}

#[test]
fn version_1() {
    let v1 = |line: &str, expected| check(ProxyProtocol::V1, line.as_bytes(), expected);
    v1("PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n", caller("203.0.113.9"));
    v1("PROXY TCP6 2001:db8::9 ::1 0 65535\r\n", caller("2001:db8::9"));
    v1("PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n", caller("203.0.113.9"));
    v1("PROXY UNKNOWN\r\n", Ok(Told::Itself));
    v1("PROXY UNKNOWN anything at all\r\n", Ok(Told::Itself));
    v1("PROXY TCP4 203.0.113.9 10.0.0.1 56324\r\n", Err("six words"));
    v1("PROXY TCP4 203.0.113.9  10.0.0.1 1 2\r\n", Err("six words"));
    v1("PROXY TCP4 203.0.113.9 10.0.0.1 1 2 3\r\n", Err("six words"));
    v1("PROXY UDP4 203.0.113.9 10.0.0.1 1 2\r\n", Err("six words"));
    v1("PROXY TCP4 2001:db8::9 10.0.0.1 1 2\r\n", Err("family"));
    v1("PROXY TCP4 203.0.113.009 10.0.0.1 1 2\r\n", Err("family"));
    v1("PROXY TCP4 203.0.113.9 10.0.0.1 1 65536\r\n", Err("port"));
    v1("PROXY TCP4 203.0.113.9 10.0.0.1 01 2\r\n", Err("port"));
    v1("PROXY TCP4 203.0.113.9 10.0.0.1 +1 2\r\n", Err("port"));
    v1("PROXY TCP4 203.0.113.9 10.0.0.1 1 2\n", Err("stands alone"));
    v1(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)), Ok(Told::Itself));
    v1(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)), Err("longer"));
    v1("proxy TCP4 203.0.113.9 10.0.0.1 1 2\r\n", Err("does not begin"));
    v1("GET / HTTP/1.1\r\n\r\n", Err("does not begin"));
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, body].concat()
}

#[test]
fn version_2() {
    let takes = |bytes: &[u8], expected| check(ProxyProtocol::V2, bytes, expected);
    let four = [203, 0, 113, 9, 10, 0, 0, 1, 220, 4, 1, 187];
    let six: Vec<u8> =
        "2001:db8::9".parse::<Ipv6Addr>().unwrap().octets().into_iter().chain([0; 20]).collect();
    takes(&v2(0x21, 0x11, &four), caller("203.0.113.9"));
    takes(&v2(0x21, 0x11, &[&four[..], &[4, 0, 1, 0]].concat()), caller("203.0.113.9"));
    takes(&v2(0x21, 0x21, &six), caller("2001:db8::9"));
    takes(&v2(0x20, 0x00, &[]), Ok(Told::Itself));
    takes(&v2(0x20, 0x11, &four), Ok(Told::Itself));
    takes(&v2(0x21, 0x31, &[0; 216]), Ok(Told::Itself));
    takes(&v2(0x21, 0x11, &[0; 4096]), caller("0.0.0.0"));
    takes(&v2(0x21, 0x11, &[0; 4097]), Err("announces 4097"));
    takes(&v2(0x21, 0x11, &four[..11]), Err("cut off"));
    takes(&v2(0x21, 0x21, &six[..35]), Err("cut off"));
    takes(&v2(0x11, 0x11, &four), Err("version"));
    takes(&v2(0x22, 0x11, &four), Err("command"));
    takes(&v2(0x21, 0x12, &four), Err("stream"));
}

#[test]
fn only_the_configured_version_is_taken() {
    let line = b"PROXY UNKNOWN\r\n";
    let binary = v2(0x20, 0x00, &[]);
    check(ProxyProtocol::V2, line, Err("does not begin"));
    check(ProxyProtocol::V1, &binary, Err("does not begin"));
    check(ProxyProtocol::Any, line, Ok(Told::Itself));
    check(ProxyProtocol::Any, &binary, Ok(Told::Itself));
}
