use super::*;

const LIMITS: Limits = Limits { bulk_bytes_max: 1000, elements_max: 100, line_bytes_max: 100 };

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
