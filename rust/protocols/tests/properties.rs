//! What holds for any bytes: no panic, the same at every split, and what is written reads back.

use alongside_protocols::{Asked, Body, Forward, Limits, Peer, chunked, fields, guard, scratch, write_framing};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: Limits = Limits { head_bytes_max: 2048, fields_max: 20, target_bytes_max: 512 };

/// Pieces that hostile and honest heads are made of.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "GET ",
        "POST ",
        "CONNECT ",
        "/",
        "*",
        "http://a/",
        " HTTP/1.1",
        " HTTP/1.0",
        " HTTP/1.2",
        "\r\n",
        "\n",
        "\r",
        "Host: a\r\n",
        "Host: b\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 05, 5\r\n",
        "hello",
        " ",
        "\t",
        ":",
        "Transfer-Encoding: chunked\r\n",
        "transfer_encoding: chunked\r\n",
        "Connection: close, x-a\r\n",
        "X-A: 1\r\n",
        "Connection: host\r\n",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "X-Forwarded-For: 1\r\n",
        "x_forwarded_for: 1\r\n",
        "X-Alongside-Key: 1\r\n",
        "Expect: 100-continue\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 304\r\n",
        "HTTP/1.1 101 S\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\nA: b\r\n\r\n",
        "5;x=y\r\n",
        "\r\n\r\n",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![6 => known, 1 => vec(any::<u8>(), 0..6)]
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(fragment(), 0..24).prop_map(|parts| parts.concat())
}

/// Whole lines, good each by itself.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[A-Za-z_-]{1,12}: ?[ -~]{0,12}\r\n",
        prop::sample::select(vec![
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close, x-a\r\n",
            "X-A: 1\r\n",
            "Upgrade: websocket\r\nConnection: upgrade\r\n",
            "X-Forwarded-For: 1\r\n",
            "x_forwarded_for: 1\r\n",
            "X-Alongside-Key: 1\r\n",
            "Expect: 100-continue\r\n",
            "TE: trailers\r\n",
            "Keep-Alive: 1\r\n",
        ])
        .prop_map(str::to_owned),
    ];
    vec(line, 0..8).prop_map(|lines| lines.concat().into_bytes())
}

/// A request that begins well, so that the rules beyond syntax are met too.
fn likely_request() -> impl Strategy<Value = Vec<u8>> {
    (
        "(GET|POST|OPTIONS|get) (/[a-z?=&%/.]{0,20}|\\*|http://[a-z.]{1,9}(:80)?/x) HTTP/1\\.[01]\r\n",
        prop_oneof![3 => lines(), 1 => soup()],
    )
        .prop_map(|(line, rest)| [line.as_bytes(), b"Host: a\r\n", &rest, b"\r\n\r\n"].concat())
}

type Fields = Vec<(String, Vec<u8>)>;

/// A request as plain values: method, target, authority, body, end-to-end fields.
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    target: Vec<u8>,
    body: Body,
    is_upgrade: bool,
    fields: Fields,
    head_bytes: usize,
}

const OF_THE_HOP: [&str; 14] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "expect",
    "http2-settings",
    "forwarded",
];

fn is_end_to_end(name: &str, nominated: &[String]) -> bool {
    let folded = name.to_ascii_lowercase().replace('_', "-");
    let is_told = ["x-forwarded-", "x-alongside-", "x-original-", "x-real-ip", "x-rewrite-url", "x-http-method"];
    !OF_THE_HOP.contains(&folded.as_str())
        && !is_told.iter().any(|start| folded.starts_with(start))
        && !nominated.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Return the head, and what is written for the next hop with the final empty line.
fn see(bytes: &[u8]) -> Option<(Seen, Vec<u8>)> {
    let mut room = scratch();
    let head = guard::request(bytes, &mut room, &LIMITS).ok()??;
    let options = head.fields_named("connection").flat_map(fields::tokens);
    let nominated: Vec<String> = options.map(|option| String::from_utf8_lossy(option).into_owned()).collect();
    let end_to_end = head.fields().filter(|(name, _)| is_end_to_end(name, &nominated));
    let seen = Seen {
        method: head.method.to_owned(),
        target: head.target.to_vec(),
        body: head.body,
        is_upgrade: head.upgrade.is_some(),
        fields: end_to_end.map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        head_bytes: head.head_bytes,
    };
    let mut out = Vec::new();
    head.write(&Forward::new(Peer { ip: "192.0.2.1", scheme: "http" }), &mut out);
    out.extend_from_slice(b"\r\n");
    Some((seen, out))
}

fn is_accepted(bytes: &[u8]) -> Result<Option<usize>, u16> {
    guard::request(bytes, &mut scratch(), &LIMITS)
        .map(|head| head.map(|head| head.head_bytes))
        .map_err(|refusal| refusal.status)
}

/// Body, trailers, and where it ended; or the status.
type Decoded = Result<(Vec<u8>, Vec<u8>, Option<usize>), u16>;

fn decode(bytes: &[u8], cuts: &[usize]) -> Decoded {
    let mut decoder = chunked::Decoder::new(&LIMITS);
    let mut body = Vec::new();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    let mut at = 0;
    for end in ends {
        loop {
            let (used, piece) = decoder.decode(&bytes[at..end]).map_err(|refusal| refusal.status)?;
            at += used;
            match piece {
                chunked::Piece::More => break,
                chunked::Piece::Data(data) => body.extend_from_slice(data),
                chunked::Piece::End => return Ok((body, decoder.trailers().to_vec(), Some(at))),
            }
        }
    }
    Ok((body, Vec::new(), None))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_bytes_are_answered_and_never_panic(bytes in soup()) {
        let _ = is_accepted(&bytes);
        for asked in [Asked::default(), Asked { head: true, upgrade: false }, Asked { head: false, upgrade: true }] {
            let mut room = scratch();
            if let Ok(Some(head)) = guard::response(&bytes, &mut room, &LIMITS, asked) {
                head.write(&mut Vec::new());
                prop_assert!(head.head_bytes <= bytes.len());
            }
        }
        let _ = decode(&bytes, &[]);
    }

    #[test]
    fn a_request_means_the_same_however_it_arrives(bytes in likely_request()) {
        let whole = is_accepted(&bytes);
        for cut in 0..bytes.len() {
            match (is_accepted(&bytes[..cut]), whole) {
                // What is refused early would have been refused in the end.
                (Err(_), end) => prop_assert!(end.is_err(), "at {cut}"),
                (Ok(Some(head_bytes)), end) => prop_assert_eq!(Ok(Some(head_bytes)), end, "at {}", cut),
                (Ok(None), Ok(Some(head_bytes))) => prop_assert!(cut < head_bytes, "at {cut}"),
                (Ok(None), _) => {}
            }
        }
    }

    #[test]
    fn a_written_request_reads_back_and_has_nothing_of_the_hop(bytes in likely_request()) {
        if let Some((seen, out)) = see(&bytes) {
            let again = see(&out);
            prop_assert!(again.is_some(), "{}", out.escape_ascii());
            let (again, twice) = again.unwrap();
            prop_assert_eq!((&again.method, &again.target), (&seen.method, &seen.target));
            prop_assert_eq!((again.body, again.is_upgrade), (seen.body, seen.is_upgrade));
            prop_assert_eq!(again.head_bytes, out.len());
            prop_assert_eq!(&again.fields, &seen.fields);
            prop_assert_eq!(twice, out);
        }
    }

    #[test]
    fn a_chunked_body_means_the_same_at_every_split(
        bytes in vec(fragment(), 0..12).prop_map(|parts| parts.concat()),
        cuts in vec(any::<usize>(), 0..8),
    ) {
        prop_assert_eq!(decode(&bytes, &cuts), decode(&bytes, &[]));
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(decode(&bytes, &every), decode(&bytes, &[]));
    }

    #[test]
    fn written_chunks_read_back(parts in vec(vec(any::<u8>(), 0..300), 0..8), cuts in vec(any::<usize>(), 0..8)) {
        let mut out = Vec::new();
        for part in &parts {
            chunked::write_chunk(part, &mut out);
        }
        chunked::write_end(b"x-sum: 1\r\n", &mut out);
        let end = Some(out.len());
        out.extend_from_slice(b"next");
        prop_assert_eq!(decode(&out, &cuts), Ok((parts.concat(), b"x-sum: 1\r\n".to_vec(), end)));
    }

    #[test]
    fn written_framing_reads_back(length in any::<u64>()) {
        let mut out = b"POST / HTTP/1.1\r\nHost: a\r\n".to_vec();
        write_framing(Body::Length(length), &mut out);
        out.extend_from_slice(b"\r\n");
        let want = i64::try_from(length).ok().map(|_| Body::Length(length));
        prop_assert_eq!(see(&out).map(|(seen, _)| seen.body), want);
    }
}
