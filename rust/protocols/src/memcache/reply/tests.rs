use super::*;

fn read(bytes: &[u8], expect: Expect) -> Parsed<Result<Reply<'_>, Stray>> {
    reply(bytes, expect, &mut Progress::default())
}

fn check(expect: Expect, cases: &[(&[u8], Outcome)]) {
    for (bytes, outcome) in cases {
        let behind = [bytes, b"END\r\n".as_slice()].concat();
        match read(&behind, expect) {
            Parsed::Whole(Ok(reply)) => {
                assert_eq!((reply.bytes, reply.outcome), (*bytes, *outcome), "{}", bytes.escape_ascii());
                assert_eq!(reply.is_error(), *outcome == Outcome::Error);
            }
            other => panic!("{}: {other:?}", bytes.escape_ascii()),
        }
        for end in 0..bytes.len() {
            assert!(matches!(read(&bytes[..end], expect), Parsed::More { .. }), "{}", bytes[..end].escape_ascii());
        }
    }
}

#[test]
fn lines_say_what_became_of_a_request() {
    let cases: [(&[u8], Outcome); 15] = [
        (b"STORED\r\n", Outcome::Done),
        (b"DELETED\r\n", Outcome::Done),
        (b"TOUCHED\r\n", Outcome::Done),
        (b"OK\r\n", Outcome::Done),
        (b"RESET\r\n", Outcome::Done),
        (b"VERSION 1.6.18\r\n", Outcome::Done),
        (b"18446744073709551615\r\n", Outcome::Done),
        (b"5  \r\n", Outcome::Done),
        (b"NOT_FOUND\r\n", Outcome::Miss),
        (b"NOT_STORED\r\n", Outcome::Unmet),
        (b"EXISTS\r\n", Outcome::Unmet),
        (b"ERROR\r\n", Outcome::Error),
        (b"CLIENT_ERROR bad data chunk\r\n", Outcome::Error),
        (b"SERVER_ERROR object too large for cache\r\n", Outcome::Error),
        (b"ERROR Too many open connections\r\n", Outcome::Error),
    ];
    check(Expect::Line, &cases);
}

#[test]
fn values_are_read_until_their_end() {
    let cases: [(&[u8], Outcome); 6] = [
        (b"END\r\n", Outcome::Miss),
        (b"VALUE a 0 1\r\nx\r\nEND\r\n", Outcome::Hit),
        (b"VALUE a 5 5 77\r\nEND\r\n\r\nVALUE b 0 0\r\n\r\nEND\r\n", Outcome::Hit),
        (b"SERVER_ERROR timed out\r\n", Outcome::Error),
        (b"VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory writing get response\r\n", Outcome::Error),
        (b"CLIENT_ERROR bad command line format\r\n", Outcome::Error),
    ];
    check(Expect::Values, &cases);
    let Parsed::Whole(Ok(reply)) = read(cases[2].0, Expect::Values) else { panic!() };
    assert_eq!(reply.line, b"END");
}

#[test]
fn a_plain_value_is_what_any_other_way_of_writing_it_is() {
    let plain = b"VALUE abc 7 4\r\n1\r\n2\r\n";
    assert_eq!(plain_value(plain), Some(Value { key: b"abc", bytes: plain }));
    let long = [b"VALUE ".as_slice(), &[b'k'; 300], b" 0 1\r\nx\r\n"].concat();
    let others: [&[u8]; 9] = [
        b"VALUE abc 7 4 123\r\n1\r\n2\r\n",
        b"VALUE abc  7 4\r\n1\r\n2\r\n",
        b"VALUE  abc 7 4\r\n1\r\n2\r\n",
        b"VALUE abc 7 0000000004\r\n1\r\n2\r\n",
        b"VALUE abc 7 4 \r\n1\r\n2\r\n",
        &long,
        b"VALUE abc 7 4\r\n1\r\n2",
        b"VALUE abc 7 4\r\n1\r\n2xy",
        b"VALUE abc 7 x\r\n1\r\n2\r\n",
    ];
    for (index, bytes) in others.iter().enumerate() {
        assert_eq!(plain_value(bytes), None, "{}", bytes.escape_ascii());
        let found = piece(bytes, &mut Progress::default());
        let is_value = matches!(found, Parsed::Whole(Ok(Piece::Value(value))) if value.bytes == *bytes);
        assert_eq!(is_value, index < 6, "{}: {found:?}", bytes.escape_ascii());
    }
}

#[test]
fn values_may_go_on_before_the_last_is_there() {
    let mut bytes: &[u8] = b"VALUE a 0 1\r\nx\r\nVALUE b 0 3\r\nxy";
    let mut progress = Progress::default();
    let Parsed::Whole(Ok(Piece::Value(value))) = piece(bytes, &mut progress) else { panic!() };
    assert_eq!(value, Value { key: b"a", bytes: b"VALUE a 0 1\r\nx\r\n" });
    bytes = &bytes[value.bytes.len()..];
    assert_eq!(piece(bytes, &mut progress), Parsed::More { need: 18 });
    bytes = b"VALUE b 0 3\r\nxyz\r\nEND\r\n";
    let Parsed::Whole(Ok(Piece::Value(value))) = piece(bytes, &mut progress) else { panic!() };
    assert_eq!(value.key, b"b");
    bytes = &bytes[value.bytes.len()..];
    assert_eq!(piece(bytes, &mut progress), Parsed::Whole(Ok(Piece::End(b"END\r\n"))));
    let error = b"SERVER_ERROR x\r\n";
    assert_eq!(piece(error, &mut progress), Parsed::Whole(Ok(Piece::Error(error))));
}

#[test]
fn meta_commands_are_answered_once() {
    let cases: [(&[u8], Outcome); 12] = [
        (b"HD\r\n", Outcome::Done),
        (b"HD ka O1 c7\r\n", Outcome::Done),
        (b"MN\r\n", Outcome::Done),
        (b"VA 1\r\nx\r\n", Outcome::Hit),
        (b"VA 4 f5 t-1 kEN W\r\nEN\r\n\r\n", Outcome::Hit),
        (b"VA 0 Z\r\n\r\n", Outcome::Hit),
        (b"ME a exp=-1 la=2 cas=26 fetch=no cls=1 size=61\r\n", Outcome::Hit),
        (b"EN\r\n", Outcome::Miss),
        (b"NF O5\r\n", Outcome::Miss),
        (b"NS\r\n", Outcome::Unmet),
        (b"EX ka\r\n", Outcome::Unmet),
        (b"CLIENT_ERROR invalid flag\r\n", Outcome::Error),
    ];
    check(Expect::Meta, &cases);
}

#[test]
fn what_was_not_asked_for_is_stray() {
    let cases: [(Expect, &[u8]); 15] = [
        (Expect::Line, b"END\r\n"),
        (Expect::Line, b"VALUE a 0 1\r\n"),
        (Expect::Line, b"HD\r\n"),
        (Expect::Line, b"\r\n"),
        (Expect::Line, b"STORED\n"),
        (Expect::Line, b"5a\r\n"),
        (Expect::Values, b"STORED\r\n"),
        (Expect::Values, b"VALUE a 0\r\n"),
        (Expect::Values, b"VALUE a 0 x\r\n"),
        (Expect::Values, b"VALUE a 0 1\r\nxyz"),
        (Expect::Values, b"VALUE a 0 1\r\nx\r\nSTORED\r\n"),
        (Expect::Meta, b"END\r\n"),
        (Expect::Meta, b"VA\r\n"),
        (Expect::Meta, b"VA 1\r\nxyz"),
        (Expect::Meta, b"STORED\r\n"),
    ];
    for (expect, bytes) in cases {
        assert_eq!(read(bytes, expect), Parsed::Whole(Err(Stray)), "{}", bytes.escape_ascii());
    }
    assert_eq!(read(&[b'a'; LINE_BYTES_MAX], Expect::Line), Parsed::Whole(Err(Stray)));
    assert_eq!(read(&[b'a'; LINE_BYTES_MAX - 1], Expect::Line), Parsed::More { need: 0 });
}

#[test]
fn no_value_is_read_twice() {
    let bytes = b"VALUE key 0 10\r\n0123456789\r\n".repeat(200);
    let mut progress = Progress::default();
    let mut seen = 0;
    for end in 1..=bytes.len() {
        assert!(matches!(reply(&bytes[..end], Expect::Values, &mut progress), Parsed::More { .. }));
        assert!(progress.left >= seen && end - progress.left < 28 + 1, "{end}: {progress:?}");
        seen = progress.left;
    }
    let whole = [&bytes[..], b"END\r\n"].concat();
    let parsed = reply(&whole, Expect::Values, &mut progress);
    assert!(matches!(parsed, Parsed::Whole(Ok(reply)) if reply.bytes == whole));
}

#[test]
fn a_value_is_known_by_its_key_if_it_is_whole_and_plain() {
    let fresh = Progress::default();
    let value = b"VALUE some:longer:key 12 3\r\nabc\r\nEND\r\n";
    let whole = value.len() - 5;
    assert_eq!(value_of(value, b"some:longer:key", &fresh), Some(whole));
    for key in [&b"some:longer:kez"[..], b"some:longer:ke", b"some:longer:key ", b"Some:longer:key", b"", &[b'k'; 90]] {
        assert_eq!(value_of(value, key, &fresh), None, "{}", key.escape_ascii());
    }
    for end in 0..whole {
        assert_eq!(value_of(&value[..end], b"some:longer:key", &fresh), None, "{end}");
    }
    let late = Progress { need: value.len() + 1, ..fresh };
    assert_eq!(value_of(value, b"some:longer:key", &late), None);
    for strange in
        [&b"VALUE k 0 1 7\r\na\r\n"[..], b"VALUE k 0 1\r\nabc", b"VALUE k  0 1\r\na\r\n", b"VALUE k 0 \r\n\r\n"]
    {
        assert_eq!(value_of(strange, b"k", &fresh), None, "{}", strange.escape_ascii());
    }
}
