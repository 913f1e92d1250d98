//! What encoders wrote comes back; what they did not write, or what is too much, refuses.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

const LIMITS: CodingLimits = CodingLimits { ratio_max: 200, codings_max: 2 };
const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Uncompressed meta-blocks (RFC 7932 §9.2) in a window of 64 KiB.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for (index, block) in bytes.chunks(1 << 16).enumerate() {
        let window_bits = if index == 0 { 1 } else { 0 };
        let length = u32::try_from(block.len() - 1).unwrap();
        let head = ((length << 3) | (1 << 19)) << window_bits;
        coded.extend_from_slice(&head.to_le_bytes()[..3]);
        coded.extend_from_slice(block);
    }
    coded.push(if bytes.is_empty() { 0b110 } else { 0b11 });
    coded
}

fn coded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => gzip(bytes),
        Coding::Deflate => zlib(bytes),
        Coding::Brotli => brotli(bytes),
        Coding::Zstd => compress_to_vec(bytes, CompressionLevel::Fastest),
    }
}

/// What comes of a body that is fed in pieces of `size` bytes, and how much was read of it at most before that was told.
fn run(
    codings: &[Coding],
    coded: &[u8],
    size: usize,
    bytes_max: u64,
) -> (Result<Vec<u8>, CodingError>, usize) {
    let mut decoded = Vec::new();
    let mut read = || {
        let mut decoder = Decoder::new(codings, bytes_max, LIMITS)?;
        for piece in coded.chunks(size) {
            decoder.feed(piece);
            while decoder.read(&mut decoded)? > 0 {}
        }
        decoder.finish()
    };
    let result = read();
    let length = decoded.len();
    (result.map(|()| decoded), length)
}

fn decode(codings: &[Coding], coded: &[u8]) -> Result<Vec<u8>, CodingError> {
    let whole = run(codings, coded, PIECE_BYTES, u64::MAX).0;
    // A flaw is found where it stands, but told from where its piece began.
    assert_eq!(run(codings, coded, 7, u64::MAX).0.ok(), whole.clone().ok(), "in pieces of 7");
    whole
}

/// Rows that are alike and yet differ, and some that no encoder makes shorter.
fn rows(bytes: usize) -> Vec<u8> {
    let mut rows = Vec::new();
    let mut noise = 1_u32;
    while rows.len() < bytes {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        rows.extend_from_slice(format!("{{\"id\":{noise},\"stage\":\"won\"}},").as_bytes());
        rows.extend_from_slice(&noise.to_be_bytes());
    }
    rows.truncate(bytes);
    rows
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn what_was_coded_comes_back() {
    for length in [0, 1, 300, 70_000, 400_000] {
        let body = rows(length);
        for coding in ALL {
            let coded = coded(coding, &body);
            for size in [1, 5, 4096, 1 << 20] {
                assert!(
                    run(&[coding], &coded, size, u64::MAX).0.unwrap() == body,
                    "{coding} {length} {size}"
                );
            }
        }
    }
}

/// As other programs wrote them: zlib's and Google's encoders in Node.js 20, and zstd 1.5.
#[test]
fn what_others_coded_comes_back() {
    let rows: Vec<String> =
        (0..12).map(|id| format!("{{\"id\":{id},\"title\":\"Deal {id}\",\"stage\":\"won\"}}")).collect();
    let body = format!("{{\"data\":[{}]}}", rows.join(",")).into_bytes();
    for (coding, hex) in [
        (
            Coding::Gzip,
            "1f8b080000000000000375d13d0a80300083d1ab48e60ed69faa9dbd8538142c22880e161cc4bb8bb845b28637e5bb308514e0870bcb\
             049f1ba425ad111e7d0c6b96c3e048617e8773df709bcf597256b8825c215c49ae14ae2257095793ab8573e49c700db946b8965c2b\
             5c47ae533f73102b8bfc92fc9a8cf703655ba4d5ee010000",
        ),
        (
            Coding::Deflate,
            "789c75d13d0a80300083d1ab48e60ed69faa9dbd8538142c22880e161cc4bb8bb845b28637e5bb308514e0870bcb049f1ba425ad111e\
             7d0c6b96c3e048617e8773df709bcf597256b8825c215c49ae14ae2257095793ab8573e49c700db946b8965c2b5c47ae533f73102b\
             8bfc92fc9a8cf70377859241",
        ),
        (
            Coding::Brotli,
            "1bed0100049ee6f6a98e972fecb6ffe59526064183201a0d63209373ffee54a651d8522bd8185b8eeb08da514ea62c2fb64dee13f3c2\
             7bc08931aee3711e215bc5f8bf97252ea9510a265034919249944da6620a5553a99946ddf4514bd9293d3db12f",
        ),
        (
            Coding::Zstd,
            "28b52ffd64ee000d0300a2840f11907d9c78802e52b7b060939fa757778310dbfdffbf522921748e31a51032c67fd85e6df6e5513e7c3db800f445e6cb23c5137b10cbe174dd963ffca0eb17a810f8ecff1db033ac03101ce17313eb31d0ca952b94b179107792180b9014ae19becb",
        ),
    ] {
        assert_eq!(decode(&[coding], &bytes(hex)).unwrap(), body, "{coding}");
    }
}

#[test]
fn codings_lie_on_top_of_each_other() {
    let body = rows(100_000);
    for first in ALL {
        for second in ALL {
            let twice = coded(second, &coded(first, &body));
            assert!(decode(&[first, second], &twice).unwrap() == body, "{first}, {second}");
            if first != second {
                assert!(decode(&[second, first], &twice).is_err(), "{second}, {first}");
            }
        }
    }
    let three = Decoder::new(&[Coding::Gzip; 3], 1, LIMITS).map(|_| ());
    assert_eq!(three.unwrap_err(), CodingError::Stacked { found: 3 });
    let none = CodingLimits { codings_max: 0, ..LIMITS };
    assert_eq!(Decoder::new(&[Coding::Gzip], 1, none).map(|_| ()), Err(CodingError::Stacked { found: 1 }));
}

#[test]
fn names() {
    #[track_caller]
    fn check(values: &[&'static str], expected: Result<&[Coding], &str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        let expected = expected.map(<[Coding]>::to_vec).map_err(|name| CodingError::Unknown(name.to_owned()));
        assert_eq!(named_in(&headers), expected, "{values:?}");
    }
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    check(&[], Ok(&[]));
    check(&["identity"], Ok(&[]));
    check(&["gzip"], Ok(&[Gzip]));
    check(&["X-GZip"], Ok(&[Gzip]));
    check(&["deflate, br"], Ok(&[Deflate, Brotli]));
    check(&["deflate", "identity", "zstd"], Ok(&[Deflate, Zstd]));
    check(&["compress"], Err("compress"));
    check(&["gzip, dcb"], Err("dcb"));
    check(&["gzip;q=1"], Err("gzip;q=1"));
    check(&["gzip br"], Err("gzip br"));
    check(&["gzip,"], Err(""));
    check(&[""], Err(""));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_bytes(b"gz\xffip").unwrap());
    assert!(named_in(&headers).is_err(), "what is no text is not the absence of a coding");
}

#[test]
fn what_is_cut_off_is_not_whole() {
    let body = rows(3_000);
    for coding in ALL {
        let coded = coded(coding, &body);
        for end in 0..coded.len() {
            let found = run(&[coding], &coded[..end], 1 << 20, u64::MAX).0;
            assert!(matches!(found, Err(CodingError::Truncated { .. })), "{coding} {end}: {found:?}");
        }
    }
}

#[test]
fn nothing_follows_the_end() {
    let body = rows(3_000);
    for coding in ALL {
        for tail in [&b"\0"[..], b"\0\0\0\0\0\0\0\0", b"{}\r\n {}", b"\x1f", b"\x28\xb5\x2f"] {
            let found = decode(&[coding], &[&coded(coding, &body)[..], tail].concat());
            assert!(found.is_err(), "{coding} {tail:?}");
        }
        let other = if coding == Coding::Gzip { Coding::Zstd } else { Coding::Gzip };
        let both = [coded(coding, &body), coded(other, &body)].concat();
        let found = decode(&[coding], &both).unwrap_err();
        assert!(matches!(found, CodingError::Broken { what: TRAILING, .. }), "{coding}: {found}");
    }
}

#[test]
fn parts_follow_each_other_where_the_format_has_them() {
    let (one, two) = (rows(3_000), rows(500));
    for coding in ALL {
        let parts = [coded(coding, &one), coded(coding, &[]), coded(coding, &two)].concat();
        match coding {
            Coding::Gzip | Coding::Zstd => {
                assert_eq!(decode(&[coding], &parts).unwrap(), [&one[..], &two[..]].concat(), "{coding}");
            }
            Coding::Deflate | Coding::Brotli => assert!(decode(&[coding], &parts).is_err(), "{coding}"),
        }
    }
    let skippable = b"\x5f\x2a\x4d\x18\x03\0\0\0abc";
    let frames = [skippable, &coded(Coding::Zstd, &two)[..], b"\x50\x2a\x4d\x18\0\0\0\0"].concat();
    assert_eq!(decode(&[Coding::Zstd], &frames).unwrap(), two);
    // Each part costs time, however short it is.
    for coding in [Coding::Gzip, Coding::Zstd] {
        let many = |count: usize| coded(coding, b"").repeat(count);
        assert_eq!(decode(&[coding], &many(1_000)), Ok(Vec::new()), "{coding}");
        assert!(decode(&[coding], &many(1_001)).is_err(), "{coding}");
        let full = coded(coding, &rows(1_024)).repeat(1_500);
        assert_eq!(decode(&[coding], &full).unwrap().len(), 1_500 * 1_024, "{coding}");
    }
}

#[test]
fn one_coding_is_not_taken_for_another() {
    let body = rows(3_000);
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(&body).unwrap();
    assert_eq!(
        decode(&[Coding::Deflate], &raw.finish().unwrap()),
        Err(CodingError::Broken { coding: Coding::Deflate, what: "no head of zlib", at: 0 })
    );
    for label in ALL {
        for other in ALL.into_iter().filter(|other| *other != label) {
            assert!(decode(&[label], &coded(other, &body)).is_err(), "{other} as {label}");
        }
        assert!(decode(&[label], br#"{"data":[{"id":42,"title":"plain"}]}"#).is_err(), "plain as {label}");
    }
}

/// 16 MiB of zeros each, behind a head: what the encoder wrote between two flushes, as often as one likes.
fn brotli_bomb(times: usize) -> Vec<u8> {
    let first = bytes("cbffff3f002400e2b14072effff8ffff078004401c1680eefd9f01");
    let further = bytes("fcffff034002200e0b40f7fe8fffff7f004800c46101e8deff19");
    [first, further.repeat(times - 1), vec![3]].concat()
}

/// 128 KiB of zeros each, in blocks of four bytes.
fn zstd_bomb(times: usize) -> Vec<u8> {
    let mut bomb = bytes("28b52ffd0038");
    bomb.extend(bytes("02001000").repeat(times - 1));
    bomb.extend(bytes("03001000"));
    bomb
}

#[test]
fn bombs_go_off_nowhere() {
    let zeros = vec![0; 64 << 20];
    let bombs = [
        (Coding::Gzip, gzip(&zeros)),
        (Coding::Deflate, zlib(&zeros)),
        (Coding::Brotli, brotli_bomb(640)),
        (Coding::Zstd, zstd_bomb(81_920)),
    ];
    for (coding, bomb) in &bombs {
        for bytes_max in [1000, 16 << 20, u64::MAX] {
            let (result, length) = run(&[*coding], bomb, PIECE_BYTES, bytes_max);
            let fed = 200 * u64::try_from(bomb.len().min(2 * PIECE_BYTES)).unwrap();
            let expected = match result.unwrap_err() {
                CodingError::TooLarge { bytes_max: told } if told == bytes_max => bytes_max,
                CodingError::TooDense { ratio_max: 200 } => std::cmp::max(FREE_BYTES, fed),
                other => panic!("{coding}: {other}"),
            };
            let length = u64::try_from(length).unwrap();
            assert!(length <= expected + length_max(), "{coding} {bytes_max}: {length} of {expected}");
        }
        // A bomb in a parcel is a bomb.
        let twice = gzip(bomb);
        let (result, length) = run(&[*coding, Coding::Gzip], &twice, PIECE_BYTES, u64::MAX);
        assert!(result.unwrap_err().is_size(), "{coding} in gzip");
        assert!(length < 32 << 20, "{coding} in gzip: {length}");
    }
}

fn length_max() -> u64 {
    u64::try_from(PIECE_BYTES).unwrap()
}

#[test]
fn limits_are_the_largest_accepted() {
    for coding in ALL {
        let body = rows(100_000);
        let coded = coded(coding, &body);
        assert!(run(&[coding], &coded, 4096, 100_000).0.is_ok(), "{coding}");
        assert_eq!(run(&[coding], &coded, 4096, 99_999).0, Err(CodingError::TooLarge { bytes_max: 99_999 }));
    }
    // What is dense may be as long as it likes until it is long, and then `ratio_max` times what came.
    let dense = |bytes: u64, ratio_max| {
        let coded = gzip(&vec![0; usize::try_from(bytes).unwrap()]);
        let mut decoder =
            Decoder::new(&[Coding::Gzip], u64::MAX, CodingLimits { ratio_max, ..LIMITS }).unwrap();
        decoder.feed(&coded);
        let mut decoded = Vec::new();
        while decoder.read(&mut decoded)? > 0 {}
        Ok::<_, CodingError>(u64::try_from(coded.len()).unwrap())
    };
    let coded = dense(FREE_BYTES, 1).unwrap();
    assert_eq!(dense(FREE_BYTES + 1, 1), Err(CodingError::TooDense { ratio_max: 1 }));
    let ratio = (2 * FREE_BYTES).div_ceil(coded);
    assert!(dense(2 * FREE_BYTES, ratio).is_ok());
    assert_eq!(dense(2 * FREE_BYTES, ratio / 4), Err(CodingError::TooDense { ratio_max: ratio / 4 }));
}

#[test]
fn windows_and_dictionaries() {
    let zstd =
        |head: &str| decode(&[Coding::Zstd], &[bytes("28b52ffd"), bytes(head), bytes("010000")].concat());
    let broken = |coding, what, at| Err(CodingError::Broken { coding, what, at });
    // 8 MiB is the largest window, by its descriptor or by the length of a frame that is one segment.
    assert_eq!(zstd("0068"), Ok(Vec::new()));
    assert_eq!(zstd("0069"), broken(Coding::Zstd, "a window of more than 8 MiB", 0));
    assert_eq!(zstd("00ff"), broken(Coding::Zstd, "a window of more than 8 MiB", 0));
    assert_eq!(zstd("a001008000"), broken(Coding::Zstd, "a window of more than 8 MiB", 0));
    assert_eq!(zstd("016807"), broken(Coding::Zstd, "a dictionary that is not there", 0));
    // A length that the frame does not have.
    assert_eq!(zstd("a000000000"), Ok(Vec::new()));
    assert!(zstd("a001000000").is_err());
    assert_eq!(
        decode(&[Coding::Zstd], &bytes("28b52ffd0068ff0000")),
        broken(Coding::Zstd, "a block of a reserved type", 6)
    );
    assert_eq!(
        decode(&[Coding::Zstd], &bytes("28b52ffd0068faffff")),
        broken(Coding::Zstd, "a block that is too long", 6)
    );
    assert_eq!(
        decode(&[Coding::Deflate], &bytes("78bb000000")),
        broken(Coding::Deflate, "a dictionary that is not there", 0)
    );
    // A window of 2^26 bytes, in the extension that RFC 7932 does not have.
    assert!(decode(&[Coding::Brotli], &bytes("1146030303")).is_err());
}

#[test]
fn heads_of_gzip() {
    let plain = gzip(b"{}");
    let with = |flags: u8, extra: &[u8]| {
        let mut coded = plain[..10].to_vec();
        coded[3] = flags;
        [&coded[..], extra, &plain[10..]].concat()
    };
    let sum = |flags: u8, extra: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(&with(flags, extra)[..10 + extra.len()]);
        [extra, &crc.sum().to_le_bytes()[..2]].concat()
    };
    let all = [&b"\x03\0abc"[..], b"deals.json\0", b"a comment\0"].concat();
    for (flags, extra, is_accepted) in [
        (0, vec![], true),
        (1, vec![], true),
        (0x04, b"\x03\0abc".to_vec(), true),
        (0x08, b"deals.json\0".to_vec(), true),
        (0x1c, all.clone(), true),
        (0x1e, sum(0x1e, &all), true),
        (0x02, vec![0, 0], false),
        (0x20, vec![], false),
        (0x80, vec![], false),
        (0x08, [&[b'x'; 4085][..], b"\0"].concat(), true),
        (0x08, [&[b'x'; 4086][..], b"\0"].concat(), false),
        (0x08, vec![b'x'; 9000], false),
    ] {
        assert_eq!(decode(&[Coding::Gzip], &with(flags, &extra)).is_ok(), is_accepted, "{flags:#x}");
    }
    let mut other_method = plain.clone();
    other_method[2] = 7;
    assert!(decode(&[Coding::Gzip], &other_method).is_err());
}

proptest! {
    /// Where there is a checksum, what was changed is refused or means the same. It never panics and never runs away.
    #[test]
    fn changed_bytes(place in 0_usize..4096, bits in 1_u8.., length in 0_usize..3000) {
        let body = rows(length);
        for coding in ALL {
            let mut coded = coded(coding, &body);
            let place = place % coded.len();
            coded[place] ^= bits;
            let found = decode(&[coding], &coded);
            // The one that is used here writes no checksum into frames, and brotli has none.
            if matches!(coding, Coding::Gzip | Coding::Deflate) {
                prop_assert!(found.is_err() || found == Ok(body.clone()), "{} {}", coding, place);
            }
        }
    }

    #[test]
    fn noise(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
        for coding in ALL {
            let _ = decode(&[coding], &noise);
            let head: &[u8] = match coding {
                Coding::Gzip => b"\x1f\x8b\x08\0\0\0\0\0\0\0",
                Coding::Deflate => b"\x78\x9c",
                Coding::Brotli => b"\x1b",
                Coding::Zstd => b"\x28\xb5\x2f\xfd\0\x68",
            };
            let _ = decode(&[coding], &[head, &noise].concat());
        }
    }
}
