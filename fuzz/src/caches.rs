//! What must hold for any bytes of memcache or Redis; run by the fuzzer, and over the kept corpus by `cargo test`.

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::{memcache as mc, resp as redis};

const MEMCACHE: mc::Limits =
    mc::Limits { key_bytes_max: mc::KEY_BYTES_MAX, line_bytes_max: 512, value_bytes_max: 64, keys_max: 16 };

const REDIS: redis::Limits =
    redis::Limits { bulk_bytes_max: 64, elements_max: 16, line_bytes_max: 128, version: redis::Version::Two };

/// A message: its bytes and what it says. Or why it is refused, behind how much is passed over.
type Found = Result<(usize, String), (u64, String)>;

/// Reads one message, and goes on from where it was.
type Reader = Box<dyn FnMut(&[u8]) -> Parsed<Found>>;

/// Give `bytes` in pieces of `step`; return the first message, if there is one.
fn feed(bytes: &[u8], step: usize, mut read: Reader) -> Option<Found> {
    let mut end = 0;
    while end < bytes.len() {
        end = (end + step.max(1)).min(bytes.len());
        match read(&bytes[..end]) {
            Parsed::More { need } => assert!(need == 0 || need > end, "needs {need} of {end}"),
            Parsed::Whole(found) => return Some(found),
        }
    }
    None
}

/// Check that a stream means the same at every split, and that every message of it has a byte at least.
fn check(bytes: &[u8], step: usize, reader: impl Fn() -> Reader) {
    let mut rest = bytes;
    loop {
        let whole = feed(rest, rest.len(), reader());
        for step in [1, step] {
            let split = feed(rest, step, reader());
            match (&whole, &split) {
                // How much a fatal fault passes over is how much there was.
                (Some(Err((_, one))), Some(Err((_, other)))) => assert_eq!(one, other),
                _ => assert_eq!(whole, split, "in pieces of {step}: {}", rest.escape_ascii()),
            }
        }
        let used = match whole {
            Some(Ok((bytes, _))) => bytes as u64,
            Some(Err((skip, _))) => skip,
            None => return,
        };
        assert!(used > 0, "no progress at {}", rest.escape_ascii());
        let Some(left) = usize::try_from(used).ok().and_then(|used| rest.get(used..)) else { return };
        rest = left;
    }
}

/// Requests and replies of memcache mean the same at every split; the first byte is the split.
pub fn memcache(bytes: &[u8]) {
    let Some((&step, bytes)) = bytes.split_first() else { return };
    let step = usize::from(step);
    check(bytes, step, || {
        let mut progress = Progress::default();
        let mut spots = Vec::new();
        Box::new(move |bytes| match mc::request_with(bytes, &MEMCACHE, &mut progress, &mut spots) {
            Parsed::More { need } => Parsed::More { need },
            Parsed::Whole(Ok(request)) => {
                check_memcache(&request);
                if matches!(request.kind(), mc::Kind::Get | mc::Kind::Gat) && request.key_count > 1 {
                    assert!(spots.iter().map(|spot| spot.of(request.bytes)).eq(request.keys()));
                }
                Parsed::Whole(Ok((request.bytes.len(), format!("{request:?}"))))
            }
            Parsed::Whole(Err(fault)) => {
                Parsed::Whole(Err((fault.skip, format!("{:?} {}", fault.reason, fault.is_quiet))))
            }
        })
    });
    for expect in [mc::Expect::Line, mc::Expect::Values, mc::Expect::Meta] {
        check(bytes, step, || {
            let mut progress = Progress::default();
            Box::new(move |bytes| match mc::reply(bytes, expect, &mut progress) {
                Parsed::More { need } => Parsed::More { need },
                Parsed::Whole(Ok(reply)) => {
                    if expect == mc::Expect::Values {
                        check_pieces(reply.bytes);
                    }
                    Parsed::Whole(Ok((reply.bytes.len(), format!("{reply:?}"))))
                }
                Parsed::Whole(Err(stray)) => Parsed::Whole(Err((u64::MAX, format!("{stray:?}")))),
            })
        });
    }
}

/// The pieces of a reply of values are all of it.
fn check_pieces(mut bytes: &[u8]) {
    loop {
        let parsed = mc::piece(bytes, &mut Progress::default());
        let Parsed::Whole(Ok(piece)) = parsed else { panic!("not read in pieces: {}", bytes.escape_ascii()) };
        if let mc::Piece::Value(value) = piece {
            let found = mc::value_of(bytes, value.key, &Progress::default());
            assert!(found.is_none_or(|length| length == value.bytes.len()));
            let other = if value.key == b"a" { b"b" } else { b"a" };
            assert_eq!(mc::value_of(bytes, other, &Progress::default()), None);
        }
        bytes = &bytes[piece.bytes().len()..];
        if !matches!(piece, mc::Piece::Value(_)) {
            return assert!(bytes.is_empty());
        }
    }
}

/// A request has the keys that it says, within their limits, and is the same but answered when it is written loud.
fn check_memcache(request: &mc::Request<'_>) {
    assert_eq!(request.keys().count(), request.key_count);
    for key in request.keys() {
        assert!(!key.is_empty() && key.len() <= mc::KEY_BYTES_MAX && !key.iter().any(|byte| b" \0\r\n".contains(byte)));
    }
    let mut room = [0; mc::KEY_ROOM_BYTES];
    let placed = request.placement_key(&mut room).to_vec();
    let mut out = Vec::new();
    request.write_loud(&mut out);
    let Parsed::Whole(Ok(again)) = mc::request(&out, &mc::Limits::default(), &mut Progress::default()) else {
        panic!("not read back: {}", out.escape_ascii());
    };
    assert!(!again.is_quiet && again.bytes.len() == out.len());
    assert_eq!((again.verb, again.block), (request.verb, request.block));
    assert!(again.keys().eq(request.keys()));
    assert_eq!(again.placement_key(&mut room), placed);
}

/// Requests and replies of Redis mean the same at every split; the first byte is the split.
pub fn resp(bytes: &[u8]) {
    let Some((&step, bytes)) = bytes.split_first() else { return };
    let step = usize::from(step);
    check(bytes, step, || {
        let mut progress = Progress::default();
        Box::new(move |bytes| match redis::request(bytes, &REDIS, &mut progress) {
            Parsed::More { need } => Parsed::More { need },
            Parsed::Whole(Ok(message)) => {
                check_resp(&message);
                Parsed::Whole(Ok((message.bytes(), format!("{message:?}"))))
            }
            Parsed::Whole(Err(fault)) => Parsed::Whole(Err((u64::MAX, format!("{fault:?}")))),
        })
    });
    let [two, three] = [redis::Version::Two, redis::Version::Three].map(|version| redis::Limits { version, ..REDIS });
    for limits in [two, three] {
        check(bytes, step, || {
            let mut progress = redis::ReplyProgress::default();
            Box::new(move |bytes| match redis::reply(bytes, &limits, &mut progress) {
                Parsed::More { need } => Parsed::More { need },
                Parsed::Whole(Ok(reply)) => {
                    check_elements(&reply);
                    check_passing(reply.bytes, step, limits.version);
                    assert_eq!(redis::element_bytes(bytes), Some(reply.bytes.len()), "{}", reply.bytes.escape_ascii());
                    Parsed::Whole(Ok((reply.bytes.len(), format!("{reply:?}"))))
                }
                Parsed::Whole(Err(stray)) => Parsed::Whole(Err((u64::MAX, format!("{stray:?}")))),
            })
        });
    }
    if let Parsed::Whole(Ok(reply)) = redis::reply(bytes, &two, &mut redis::ReplyProgress::default()) {
        let found = redis::reply(bytes, &three, &mut redis::ReplyProgress::default());
        assert_eq!(found, Parsed::Whole(Ok(reply)), "a reply of RESP2 is one of RESP3");
    }
}

/// A reply is passed over to where it ends, in pieces of any length.
fn check_passing(reply: &[u8], step: usize, version: redis::Version) {
    if reply.starts_with(b">") {
        return;
    }
    let mut passing = redis::Passing::new(version);
    for piece in reply.chunks(step.max(1)) {
        assert!(!passing.is_over(), "over before the end of {}", reply.escape_ascii());
        assert_eq!(passing.pass(piece), Ok(piece.len()), "{}", reply.escape_ascii());
    }
    assert!(passing.is_over(), "not over at the end of {}", reply.escape_ascii());
}

/// A request's arguments are all of it; a line written as an array reads back.
fn check_resp(message: &redis::Message<'_>) {
    match message {
        redis::Message::Empty { .. } => {}
        redis::Message::Command(request) => {
            assert_eq!(request.args().count(), request.count);
            let (mut args, mut framed) = (request.args(), Vec::new());
            while let Some(arg) = args.next_framed() {
                framed.extend_from_slice(arg);
            }
            assert!(request.bytes.ends_with(&framed) && !framed.is_empty());
            if let Some(command) = redis::commands::find(request.name()) {
                let keys: Vec<_> = command.keys(request).collect();
                assert!(keys.len() < request.count);
                assert!(command.key(request).is_none_or(|key| keys.first() == Some(&key)));
            }
        }
        redis::Message::Inline(inline) => {
            let mut out = Vec::new();
            inline.write(&mut out);
            let parsed = redis::request(&out, &redis::Limits::default(), &mut Progress::default());
            let Parsed::Whole(Ok(redis::Message::Command(request))) = parsed else {
                panic!("not read back: {}", out.escape_ascii());
            };
            assert_eq!((request.count, request.bytes.len()), (inline.count, out.len()));
        }
    }
}

/// An array's elements are all of it.
fn check_elements(reply: &redis::Reply<'_>) {
    let elements: usize = reply.elements().map(|element| element.bytes.len()).sum();
    assert!(elements < reply.bytes.len() && (elements == 0 || reply.bytes[reply.bytes.len() - elements - 1] == b'\n'));
    for element in reply.elements() {
        check_elements(&element);
    }
    assert!(reply.kind != redis::Type::Integer || reply.integer().is_some());
}
