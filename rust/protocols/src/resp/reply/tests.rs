use super::*;

const LIMITS: Limits = Limits { bulk_bytes_max: 1000, elements_max: 100, line_bytes_max: 100, version: Version::Two };
const THREE: Limits = Limits { version: Version::Three, ..LIMITS };

fn read_three(bytes: &[u8]) -> Parsed<Result<Reply<'_>, Stray>> {
    reply(bytes, &THREE, &mut ReplyProgress::default())
}

fn whole_three(bytes: &[u8]) -> Reply<'_> {
    match read_three(bytes) {
        Parsed::Whole(Ok(reply)) => reply,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

fn read(bytes: &[u8]) -> Parsed<Result<Reply<'_>, Stray>> {
    reply(bytes, &LIMITS, &mut ReplyProgress::default())
}

fn whole(bytes: &[u8]) -> Reply<'_> {
    match read(bytes) {
        Parsed::Whole(Ok(reply)) => reply,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

#[test]
fn every_type_of_reply_is_read() {
    let cases: [(&[u8], Type, &[u8]); 13] = [
        (b"+OK\r\n", Type::Simple, b"OK"),
        (b"+\r\n", Type::Simple, b""),
        (b"-ERR unknown command\r\n", Type::Error, b"ERR unknown command"),
        (b":1\r\n", Type::Integer, b"1"),
        (b":-9223372036854775808\r\n", Type::Integer, b"-9223372036854775808"),
        (b"$3\r\nfoo\r\n", Type::Bulk, b"foo"),
        (b"$0\r\n\r\n", Type::Bulk, b""),
        (b"$12\r\n+OK\r\n:1\r\nxyz\r\n", Type::Bulk, b"+OK\r\n:1\r\nxyz"),
        (b"$-1\r\n", Type::Null, b""),
        (b"*-1\r\n", Type::Null, b""),
        (b"*0\r\n", Type::Array, b""),
        (b"*3\r\n$1\r\na\r\n$-1\r\n:5\r\n", Type::Array, b""),
        (b"*2\r\n*2\r\n*0\r\n+x\r\n*1\r\n*1\r\n:1\r\n", Type::Array, b""),
    ];
    for (bytes, kind, text) in cases {
        let behind = [bytes, b"+OK\r\n"].concat();
        let reply = whole(&behind);
        assert_eq!((reply.bytes, reply.kind, reply.text()), (bytes, kind, text), "{}", bytes.escape_ascii());
        for end in 0..bytes.len() {
            assert!(matches!(read(&bytes[..end]), Parsed::More { .. }), "{}", bytes[..end].escape_ascii());
        }
    }
}

#[test]
fn every_type_of_resp3_is_read() {
    let cases: [(&[u8], Type, &[u8]); 24] = [
        (b"_\r\n", Type::Null, b""),
        (b"$-1\r\n", Type::Null, b""),
        (b"#t\r\n", Type::Boolean, b"t"),
        (b"#f\r\n", Type::Boolean, b"f"),
        (b",1.5\r\n", Type::Double, b"1.5"),
        (b",-1e+300\r\n", Type::Double, b"-1e+300"),
        (b",inf\r\n", Type::Double, b"inf"),
        (b",-inf\r\n", Type::Double, b"-inf"),
        (b",nan\r\n", Type::Double, b"nan"),
        (
            b"(-3492890328409238509324850943850943825024385\r\n",
            Type::BigNumber,
            b"-3492890328409238509324850943850943825024385",
        ),
        (b"!8\r\nERR a\r\nb\r\n", Type::BulkError, b"ERR a\r\nb"),
        (b"=7\r\ntxt:a\r\n\r\n", Type::Verbatim, b"a\r\n"),
        (b"=4\r\nmkd:\r\n", Type::Verbatim, b""),
        (b"%0\r\n", Type::Map, b""),
        (b"%2\r\n+a\r\n%1\r\n:1\r\n_\r\n+b\r\n~1\r\n#t\r\n", Type::Map, b""),
        (b"~0\r\n", Type::Set, b""),
        (b"~2\r\n$1\r\na\r\n,1\r\n", Type::Set, b""),
        (b"*2\r\n%1\r\n:1\r\n:2\r\n~0\r\n", Type::Array, b""),
        (b">0\r\n", Type::Push, b""),
        (b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", Type::Push, b""),
        (b"|1\r\n+ttl\r\n:3600\r\n$3\r\nfoo\r\n", Type::Bulk, b"foo"),
        (b"|0\r\n|1\r\n*1\r\n|1\r\n+a\r\n+b\r\n:1\r\n~0\r\n:7\r\n", Type::Integer, b"7"),
        (b"|1\r\n+a\r\n+b\r\n-ERR x\r\n", Type::Error, b"ERR x"),
        (b"*2\r\n:1\r\n|1\r\n+ttl\r\n:3600\r\n:2\r\n", Type::Array, b""),
    ];
    for (bytes, kind, text) in cases {
        let behind = [bytes, b"+OK\r\n"].concat();
        let reply = whole_three(&behind);
        assert_eq!((reply.bytes, reply.kind, reply.text()), (bytes, kind, text), "{}", bytes.escape_ascii());
        for end in 0..bytes.len() {
            assert!(matches!(read_three(&bytes[..end]), Parsed::More { .. }), "{}", bytes[..end].escape_ascii());
        }
        let is_stray = matches!(read(&behind), Parsed::Whole(Err(Stray)));
        assert_eq!(is_stray, bytes != b"$-1\r\n", "RESP2 does not have {}", bytes.escape_ascii());
    }
}

#[test]
fn elements_of_resp3_are_replies_of_their_own() {
    let map = whole_three(b"%2\r\n+a\r\n~2\r\n:1\r\n_\r\n+b\r\n|1\r\n+c\r\n+d\r\n,1\r\n");
    let elements: Vec<_> = map.elements().map(|element| (element.bytes, element.kind)).collect();
    let attributed: &[u8] = b"|1\r\n+c\r\n+d\r\n,1\r\n";
    let set: &[u8] = b"~2\r\n:1\r\n_\r\n";
    assert_eq!(
        elements,
        [(&b"+a\r\n"[..], Type::Simple), (set, Type::Set), (b"+b\r\n", Type::Simple), (attributed, Type::Double)]
    );
    let array = whole_three(b"|1\r\n+a\r\n*0\r\n*2\r\n:1\r\n:2\r\n");
    assert_eq!((array.elements().len(), array.elements().rest()), (2, &b":1\r\n:2\r\n"[..]));
    assert_eq!(array.elements().map(|element| element.integer()).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert!(whole_three(b"!5\r\nOOM x\r\n").is_error() && whole_three(b"!5\r\nOOM x\r\n").word() == b"OOM");
}

#[test]
fn what_is_no_reply_of_resp3_is_stray() {
    let endless = [b",".as_slice(), &[b'1'; 100]].concat();
    let cases: [&[u8]; 24] = [
        b"_x\r\n",
        b"#x\r\n",
        b"#\r\n",
        b",\r\n",
        b",1,5\r\n",
        b"(\r\n",
        b"(1.5\r\n",
        b"(-\r\n",
        b"!-1\r\n",
        b"=-1\r\n",
        b"=3\r\ntxt\r\n",
        b"=4\r\ntxt \r\n",
        b"%-1\r\n",
        b"%51\r\n",
        b"%9223372036854775807\r\n",
        b"~-1\r\n",
        b"~101\r\n",
        b"|51\r\n",
        b">-1\r\n",
        b"*1\r\n>1\r\n",
        b"|1\r\n+a\r\n+b\r\n>1\r\n",
        b"$?\r\n",
        b".\r\n",
        &endless,
    ];
    for bytes in cases {
        assert_eq!(read_three(bytes), Parsed::Whole(Err(Stray)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn attributes_may_lie_in_attributes_as_deep_as_they_like() {
    let deep = [&b"|1\r\n".repeat(100_000)[..], &b"+a\r\n+b\r\n".repeat(100_000), b":1\r\n"].concat();
    let found = whole_three(&deep);
    assert_eq!((found.bytes.len(), found.integer()), (deep.len(), Some(1)));
}

#[test]
fn elements_are_replies_of_their_own() {
    let reply = whole(b"*4\r\n$1\r\na\r\n$-1\r\n*2\r\n:1\r\n:2\r\n-ERR x\r\n");
    let elements: Vec<_> = reply.elements().map(|element| element.bytes).collect();
    assert_eq!(elements, [b"$1\r\na\r\n".as_slice(), b"$-1\r\n", b"*2\r\n:1\r\n:2\r\n", b"-ERR x\r\n"]);
    assert_eq!(reply.elements().len(), 4);
    let inner: Vec<_> = reply.elements().nth(2).unwrap().elements().map(|element| element.integer()).collect();
    assert_eq!(inner, [Some(1), Some(2)]);
    assert_eq!(whole(b"+OK\r\n").elements().count() + whole(b"*-1\r\n").elements().count(), 0);
}

#[test]
fn words_and_numbers_are_told() {
    assert_eq!(whole(b"-OOM command not allowed\r\n").word(), b"OOM");
    assert_eq!(whole(b"-LOADING\r\n").word(), b"LOADING");
    assert!(whole(b"-ERR x\r\n").is_error() && !whole(b"+ERR x\r\n").is_error());
    assert_eq!(whole(b":-5\r\n").integer(), Some(-5));
    assert_eq!(whole(b"$1\r\n5\r\n").integer(), None);
}

#[test]
fn what_is_no_reply_is_stray() {
    let endless = [b"+".as_slice(), &[b'a'; 100]].concat();
    let cases: [&[u8]; 20] = [
        b"OK\r\n",
        b"\r\n",
        b"%1\r\n",
        b"_\r\n",
        b"+OK\n",
        b":\r\n",
        b":x\r\n",
        b":9223372036854775808\r\n",
        b":+1\r\n",
        b":1 \r\n",
        b"$-2\r\n",
        b"$x\r\n",
        b"$3\r\nfoox\r",
        b"$1001\r\n",
        b"$9223372036854775807\r\n",
        b"*-2\r\n",
        b"*101\r\n",
        b"*1\r\nx",
        b"*2\r\n:1\r\nHTTP",
        &endless,
    ];
    for bytes in cases {
        assert_eq!(read(bytes), Parsed::Whole(Err(Stray)), "{}", bytes.escape_ascii());
    }
    assert_eq!(read(b"$9223372036854775807\r\n"), Parsed::Whole(Err(Stray)));
    let wide = Limits { bulk_bytes_max: u64::MAX, ..LIMITS };
    let mut progress = ReplyProgress::default();
    let huge = reply(b"$9223372036854775807\r\n", &wide, &mut progress);
    assert!(matches!(huge, Parsed::More { .. } | Parsed::Whole(Err(Stray))));
}

#[test]
fn arrays_may_lie_as_deep_as_they_like() {
    let deep = [&b"*2\r\n".repeat(10_000)[..], b":1\r\n", &b"$-1\r\n".repeat(10_000)].concat();
    let behind = [&deep[..], b"+OK\r\n"].concat();
    assert_eq!(whole(&behind).bytes, deep);
    let mut progress = ReplyProgress::default();
    for end in (0..deep.len()).step_by(99) {
        assert!(matches!(reply(&behind[..end], &LIMITS, &mut progress), Parsed::More { .. }));
    }
    assert!(matches!(reply(&behind, &LIMITS, &mut progress), Parsed::Whole(Ok(reply)) if reply.bytes == deep));
}

#[test]
fn no_element_is_read_twice() {
    let bytes = [b"*100\r\n".as_slice(), &b"*2\r\n$10\r\n0123456789\r\n+0123\r\n".repeat(100)].concat();
    let mut progress = ReplyProgress::default();
    for end in 1..bytes.len() {
        assert!(matches!(reply(&bytes[..end], &LIMITS, &mut progress), Parsed::More { .. }));
        assert!(end - progress.at <= 17, "{end}: {progress:?}");
    }
    let parsed = reply(&bytes, &LIMITS, &mut progress);
    assert!(matches!(parsed, Parsed::Whole(Ok(reply)) if reply.elements().count() == 100));
    assert_eq!(progress, ReplyProgress::default(), "fresh for the next reply");
    let need = reply(b"$500\r\nabc", &LIMITS, &mut progress);
    assert_eq!(need, Parsed::More { need: 508 });
}

#[test]
fn the_ends_of_elements_are_told_as_far_as_they_are_seen() {
    let cases: [(&[u8], &[usize]); 10] = [
        (b"*4\r\n$2\r\nab\r\n$2\r\n\r\n\r\n$2\r\n$2\r\n$-1\r\n", &[12, 20, 28]),
        (b"*4\r\n$1\r\na\r\n$1\r\nb\r\n$10\r\n0123456789\r\n$1\r\nc\r\n", &[11, 18, 35]),
        (b"*3\r\n$1\r\na\r\n$-1\r\n$2\r\nbc\r\n", &[11, 16]),
        (b"*3\r\n_\r\n$10\r\n0123456789\r\n_\r\n", &[7, 24]),
        (b"*1\r\n$1\r\na\r\n", &[]),
        (b"*3\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n", &[11]),
        (b"*3\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*0\r\n$1\r\nc\r\n", &[]),
        (b"|1\r\n+a\r\n+b\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", &[]),
        (b"%1\r\n$1\r\na\r\n$1\r\nb\r\n", &[]),
        (b"$1\r\na\r\n", &[]),
    ];
    for (bytes, expected) in cases {
        let mut ends = vec![3];
        let parsed = reply_with(bytes, &THREE, &mut ReplyProgress::default(), Some(&mut ends));
        assert_eq!(parsed, Parsed::Whole(Ok(whole_three(bytes))));
        assert_eq!(ends, expected, "{}", bytes.escape_ascii());
        for end in 0..bytes.len() {
            let mut progress = ReplyProgress::default();
            let before = reply_with(&bytes[..end], &THREE, &mut progress, Some(&mut ends));
            assert!(matches!(before, Parsed::More { .. }));
            assert_eq!(
                reply_with(bytes, &THREE, &mut progress, Some(&mut ends)),
                Parsed::Whole(Ok(whole_three(bytes)))
            );
            assert!(expected.starts_with(&ends), "{} in two pieces, the first of {end}", bytes.escape_ascii());
        }
    }
}
