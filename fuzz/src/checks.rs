//! What must hold for any bytes; run by the fuzzer, and over the kept corpus by `cargo test`.

use alongside_protocols::{Asked, Body, Forward, Limits, Peer, chunked, guard as guarding, scratch};

const LIMITS: Limits = Limits { head_bytes_max: 4096, fields_max: 24, target_bytes_max: 512 };

/// Names that must not be among what is written for the next hop (`_` as `-`).
const OF_THE_HOP: [&str; 13] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "expect",
    "http2-settings",
    "forwarded",
    "x-real-ip",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
];

fn request_end(bytes: &[u8]) -> Result<Option<usize>, u16> {
    let mut room = scratch();
    let head = guarding::request(bytes, &mut room, &LIMITS);
    head.map(|head| head.map(|head| head.head_bytes)).map_err(|refusal| refusal.status)
}

fn response_end(bytes: &[u8], asked: Asked) -> Result<Option<usize>, u16> {
    let mut room = scratch();
    let head = guarding::response(bytes, &mut room, &LIMITS, asked);
    head.map(|head| head.map(|head| head.head_bytes)).map_err(|refusal| refusal.status)
}

/// A head means the same however much of it has arrived, and a refusal is final.
pub fn head(bytes: &[u8]) {
    check_prefixes(bytes, request_end);
    for (head, upgrade) in [(false, false), (true, false), (false, true)] {
        check_prefixes(bytes, |bytes| response_end(bytes, Asked { head, upgrade }));
    }
}

fn check_prefixes(bytes: &[u8], end: impl Fn(&[u8]) -> Result<Option<usize>, u16>) {
    let whole = end(bytes);
    for cut in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        match (end(&bytes[..cut]), whole) {
            (Err(_), whole) => assert!(whole.is_err(), "refused at {cut}, taken whole"),
            (Ok(Some(early)), whole) => assert_eq!(whole, Ok(Some(early)), "ended at {cut}"),
            (Ok(None), Ok(Some(late))) => assert!(cut < late, "incomplete at {cut}, ended at {late}"),
            (Ok(None), _) => {}
        }
    }
}

type Decoded = Result<(Vec<u8>, Vec<u8>, Option<usize>), u16>;

fn decode(bytes: &[u8], step: usize) -> Decoded {
    let mut decoder = chunked::Decoder::new(&LIMITS);
    let (mut body, mut base) = (Vec::new(), 0);
    for part in bytes.chunks(step.max(1)) {
        let mut at = 0;
        loop {
            let (used, piece) = decoder.decode(&part[at..]).map_err(|refusal| refusal.status)?;
            at += used;
            match piece {
                chunked::Piece::More => break,
                chunked::Piece::Data(data) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(data);
                }
                chunked::Piece::End => return Ok((body, decoder.trailers().to_vec(), Some(base + at))),
            }
        }
        assert_eq!(at, part.len(), "`More` leaves nothing over");
        base += part.len();
    }
    Ok((body, decoder.trailers().to_vec(), None))
}

/// Chunks mean the same at every split; what is written of them reads back. The first byte is the split.
pub fn chunks(bytes: &[u8]) {
    let Some((&step, bytes)) = bytes.split_first() else { return };
    let whole = decode(bytes, bytes.len());
    assert_eq!(decode(bytes, usize::from(step)), whole);
    assert_eq!(decode(bytes, 1), whole);
    if let Ok((body, trailers, Some(_))) = whole {
        let mut out = Vec::new();
        body.chunks(usize::from(step).max(1)).for_each(|data| chunked::write_chunk(data, &mut out));
        chunked::write_end(&trailers, &mut out);
        let end = out.len();
        assert_eq!(decode(&out, 3), Ok((body, trailers, Some(end))));
    }
}

/// What is written of a request means the same, is strict, and has nothing of the hop or forged.
pub fn guard(bytes: &[u8]) {
    let mut room = scratch();
    let Ok(Some(head)) = guarding::request(bytes, &mut room, &LIMITS) else { return };
    let mut out = Vec::new();
    head.write(&Forward::new(Peer { ip: "192.0.2.1", scheme: "http" }), &mut out);
    out.extend_from_slice(b"\r\n");
    check_written(&out, head.body, head.upgrade.is_some());
    // What came in may be within the limits by a few bytes that our own fields need.
    let limits = Limits { head_bytes_max: 1 << 16, fields_max: 128, ..LIMITS };
    let mut room = scratch();
    let Ok(Some(again)) = guarding::request(&out, &mut room, &limits) else {
        panic!("not read back: {}", out.escape_ascii());
    };
    assert_eq!((again.method, again.target, again.body), (head.method, head.target, head.body));
    assert_eq!(again.upgrade.is_some(), head.upgrade.is_some());
    assert!(again.is_http11 && again.head_bytes == out.len());
    if !head.authority.is_empty() {
        assert_eq!(again.authority, head.authority);
    }
}

/// A second reading, line by line and without the parser.
fn check_written(out: &[u8], body: Body, is_upgrade: bool) {
    assert!(out.ends_with(b"\r\n\r\n"));
    let text = &out[..out.len() - 4];
    let mut lines = text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let words = lines.next().unwrap_or_default().split(|&byte| byte == b' ').count();
    assert_eq!(words, 3, "{}", out.escape_ascii());
    let (mut hosts, mut lengths, mut codings) = (0, 0, 0);
    for line in lines {
        assert!(!line.iter().any(|&byte| byte < b' ' && byte != b'\t'), "{}", out.escape_ascii());
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or_default();
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase().replace('_', "-");
        match name.as_str() {
            "host" => hosts += 1,
            "content-length" => lengths += 1,
            "transfer-encoding" => codings += 1,
            "connection" | "upgrade" => assert!(is_upgrade),
            "x-forwarded-for" => assert_eq!(line, b"x-forwarded-for: 192.0.2.1"),
            "x-forwarded-proto" | "x-forwarded-host" => {}
            other => {
                assert!(!other.is_empty() && !OF_THE_HOP.contains(&other), "{other}");
                let is_forged = ["x-forwarded-", "x-alongside-", "x-original-"];
                assert!(!is_forged.iter().any(|start| other.starts_with(start)), "{other}");
            }
        }
    }
    let framed = match body {
        Body::None => (0, 0),
        Body::Length(_) => (1, 0),
        _ => (0, 1),
    };
    assert_eq!((hosts, (lengths, codings)), (1, framed), "{}", out.escape_ascii());
}
