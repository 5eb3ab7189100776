use super::*;

const LIMITS: Limits = Limits { key_bytes_max: 250, line_bytes_max: 2048, value_bytes_max: 1000, keys_max: 100 };

fn read(bytes: &[u8]) -> Parsed<Result<Request<'_>, Fault>> {
    request(bytes, &LIMITS, &mut Progress::default())
}

fn whole(bytes: &[u8]) -> Request<'_> {
    match read(bytes) {
        Parsed::Whole(Ok(request)) => request,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

fn fault(bytes: &[u8]) -> Fault {
    match read(bytes) {
        Parsed::Whole(Err(fault)) => fault,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

fn keys<'a>(request: &Request<'a>) -> Vec<&'a [u8]> {
    request.keys().collect()
}

/// A request, its command, its keys, its block, whether it is quiet.
type Case<'a> = (&'a [u8], Verb, &'a [&'a [u8]], &'a [u8], bool);

#[test]
fn every_command_is_read() {
    let cases: [Case<'_>; 35] = [
        (b"get a\r\n", Verb::Get, &[b"a"], b"", false),
        (b"get a bb  ccc \r\n", Verb::Get, &[b"a", b"bb", b"ccc"], b"", false),
        (b"get \x10a\tb\x7f\xff c\r\n", Verb::Get, &[b"\x10a\tb\x7f\xff", b"c"], b"", false),
        (b"set \x01 0 0 1\r\n\0\r\n", Verb::Set, &[b"\x01"], b"\0", false),
        (b"  get a\n", Verb::Get, &[b"a"], b"", false),
        (b"gets a b\r\n", Verb::Gets, &[b"a", b"b"], b"", false),
        (b"gat 30 a b\r\n", Verb::Gat, &[b"a", b"b"], b"", false),
        (b"gats -1 a noreply\r\n", Verb::Gats, &[b"a", b"noreply"], b"", false),
        (b"set k 0 0 5\r\nhello\r\n", Verb::Set, &[b"k"], b"hello", false),
        (b"set k 4294967295 -1 0 noreply\r\n\r\n", Verb::Set, &[b"k"], b"", true),
        (b"set k 0 0 2 other\r\n\r\n\r\n", Verb::Set, &[b"k"], b"\r\n", false),
        (b"add k 0 0 1\r\nx\r\n", Verb::Add, &[b"k"], b"x", false),
        (b"replace k 0 0 1\r\nx\r\n", Verb::Replace, &[b"k"], b"x", false),
        (b"append k 0 0 1\r\nx\r\n", Verb::Append, &[b"k"], b"x", false),
        (b"prepend k 0 0 1\r\nx\r\n", Verb::Prepend, &[b"k"], b"x", false),
        (b"cas k 0 0 1 18446744073709551615 noreply\r\nx\r\n", Verb::Cas, &[b"k"], b"x", true),
        (b"delete k\r\n", Verb::Delete, &[b"k"], b"", false),
        (b"delete k 0\r\n", Verb::Delete, &[b"k"], b"", false),
        (b"delete k noreply\r\n", Verb::Delete, &[b"k"], b"", true),
        (b"delete k 0 noreply\r\n", Verb::Delete, &[b"k"], b"", true),
        (b"incr k 18446744073709551615\r\n", Verb::Incr, &[b"k"], b"", false),
        (b"decr k 1 noreply\r\n", Verb::Decr, &[b"k"], b"", true),
        (b"touch k -1\r\n", Verb::Touch, &[b"k"], b"", false),
        (b"stats items\r\n", Verb::Stats, &[], b"", false),
        (b"verbosity 1 noreply\r\n", Verb::Verbosity, &[], b"", true),
        (b"version\r\n", Verb::Version, &[], b"", false),
        (b"flush_all\r\n", Verb::FlushAll, &[], b"", false),
        (b"flush_all noreply\r\n", Verb::FlushAll, &[], b"", true),
        (b"flush_all 10 noreply\r\n", Verb::FlushAll, &[], b"", true),
        (b"quit\r\n", Verb::Quit, &[], b"", false),
        (b"mg k v q O1\r\n", Verb::MetaGet, &[b"k"], b"", true),
        (b"ms k 2 T90\r\nhi\r\n", Verb::MetaSet, &[b"k"], b"hi", false),
        (b"md k q\r\n", Verb::MetaDelete, &[b"k"], b"", true),
        (b"ma k D2\r\n", Verb::MetaArithmetic, &[b"k"], b"", false),
        (b"mn\r\n", Verb::MetaNoop, &[], b"", false),
    ];
    for (bytes, verb, wanted, block, is_quiet) in cases {
        let behind = [bytes, b"get next\r\n"].concat();
        let request = whole(&behind);
        assert_eq!((request.verb, request.is_quiet), (verb, is_quiet), "{}", bytes.escape_ascii());
        assert_eq!((keys(&request), request.block), (wanted.to_vec(), block), "{}", bytes.escape_ascii());
        assert_eq!((request.bytes, request.key_count), (bytes, wanted.len()));
        assert_eq!(request.key(), wanted.first().copied().unwrap_or_default());
    }
}

#[test]
fn the_longest_key_is_a_key() {
    let bytes = [b"get ".as_slice(), &[b'k'; 250], b"\r\n"].concat();
    assert_eq!(whole(&bytes).key().len(), 250);
}

#[test]
fn every_command_has_one_word() {
    for verb in Verb::ALL {
        assert_eq!(Verb::of(verb.as_str().as_bytes()), Some(verb));
        assert_eq!(Verb::of(verb.as_str().to_ascii_uppercase().as_bytes()), None);
    }
}

/// What memcached 1.6 answers too; `tests/agreement/test_memcached_refusals.py` compares with it.
#[test]
fn what_is_wrong_is_answered_and_passed_over() {
    let long = [b'k'; 251];
    let set_long = [b"set ", &long[..], b" 0 0 1\r\nx\r\n"].concat();
    let get_long = [b"get a ", &long[..], b"\r\n"].concat();
    let get_one_too_long = [b"get ", &long[..], b"\r\n"].concat();
    let cases: [(&[u8], Reason, bool); 44] = [
        (&get_one_too_long, Reason::Line, false),
        (b"\r\n", Reason::Unknown, false),
        (b" \r\n", Reason::Unknown, false),
        (b"bogus a\r\n", Reason::Unknown, false),
        (b"GET a\r\n", Reason::Unknown, false),
        (b"get\r\n", Reason::Unknown, false),
        (b"get \r\n", Reason::Unknown, false),
        (b"gat 0\r\n", Reason::Unknown, false),
        (b"gat x a\r\n", Reason::Time, false),
        (b"get a\0\r\n", Reason::Line, false),
        (b"get a\rb\r\n", Reason::Line, false),
        (&get_long, Reason::Line, false),
        (b"set k 0 0\r\n", Reason::Unknown, false),
        (b"set k 0 0 1 a b\r\n", Reason::Unknown, false),
        (b"set k 0 0 -1\r\n", Reason::Line, false),
        (b"set k 0 0 x noreply\r\n", Reason::Line, true),
        (b"set k 0 0 2147483646\r\n", Reason::Line, false),
        (b"set k x 0 1\r\nx\r\n", Reason::Line, false),
        (b"set k 4294967296 0 1 noreply\r\nx\r\n", Reason::Line, true),
        (b"set k 0 2147483648 1\r\nx\r\n", Reason::Line, false),
        (b"set k 0 0x 1\r\nx\r\n", Reason::Line, false),
        (b"set k\0 0 0 1\r\nx\r\n", Reason::Line, false),
        (b"cas k 0 0 1\r\n", Reason::Unknown, false),
        (b"cas k 0 0 1 x\r\nx\r\n", Reason::Line, false),
        (&set_long, Reason::Line, false),
        (b"set k 0 0 3\r\nabcde", Reason::Chunk, false),
        (b"set k 0 0 3 noreply\r\na\r\nmn", Reason::Chunk, true),
        (b"delete\r\n", Reason::Unknown, false),
        (b"delete k 1\r\n", Reason::Usage, false),
        (b"delete k 1 noreply\r\n", Reason::Usage, true),
        (b"delete k noreply 0\r\n", Reason::Usage, false),
        (b"delete k 0 noreply x\r\n", Reason::Unknown, false),
        (b"incr k\r\n", Reason::Unknown, false),
        (b"incr k -1\r\n", Reason::Delta, false),
        (b"incr k 18446744073709551616 noreply\r\n", Reason::Delta, true),
        (b"touch k x\r\n", Reason::Time, false),
        (b"verbosity\r\n", Reason::Unknown, false),
        (b"flush_all x\r\n", Reason::Time, false),
        (b"me\r\n", Reason::Line, false),
        (b"ms k\r\n", Reason::Line, false),
        (b"ms k S1\r\n", Reason::Line, false),
        (b"ms k 1 !\r\nx\r\n", Reason::Flag, false),
        (b"ms k 1 T0 T0 q\r\nx\r\n", Reason::FlagAgain, false),
        (b"ms k! 1 b q\r\nx\r\n", Reason::Base64, false),
    ];
    for (bytes, reason, is_quiet) in cases {
        let behind = [bytes, b"get next\r\n"].concat();
        let wanted = Fault { reason, skip: bytes.len() as u64, is_quiet };
        assert_eq!(fault(&behind), wanted, "{}", bytes.escape_ascii());
        assert!(wanted.answer().ends_with(b"\r\n") && !wanted.is_fatal());
    }
}

#[test]
fn a_value_too_long_is_answered_at_once_and_passed_over() {
    let line = b"set k 0 0 1001\r\n";
    let wanted = Fault { reason: Reason::TooLarge, skip: line.len() as u64 + 1003, is_quiet: false };
    assert_eq!(fault(line), wanted);
    assert_eq!(wanted.answer(), b"SERVER_ERROR object too large for cache\r\n");
    let huge = b"set k 0 0 2147483645 noreply\r\n";
    let wanted = Fault { reason: Reason::TooLarge, skip: huge.len() as u64 + 2_147_483_647, is_quiet: true };
    assert_eq!(fault(huge), wanted);
    // Of the meta commands memcached answers errors in spite of `q`.
    assert!(!fault(b"ms k 1001 q\r\n").is_quiet);
}

/// Of `head`, so many spaces, and an end.
fn spaced(head: &str, bytes: usize, end: &str) -> Vec<u8> {
    format!("{head}{}{end}", " ".repeat(bytes - head.len() - end.len())).into_bytes()
}

#[test]
fn a_line_that_a_server_would_not_wait_for_is_passed_over() {
    for head in ["delete k", "gat 0 k", "touch k 0", "incr k 1", "mg k v", "md k", "me k", "mn", "flush_all", "version"]
    {
        assert!(matches!(read(&spaced(head, 1024, "\r\n")), Parsed::Whole(Ok(_))), "{head}");
        let long = spaced(head, 1025, "\r\n");
        let wanted = Fault { reason: Reason::Line, skip: 1025, is_quiet: false };
        assert_eq!(fault(&[&long, &b"get next\r\n"[..]].concat()), wanted, "{head}");
    }
    for (head, is_quiet) in [("set k 0 0 9", false), ("set k 0 0 9 noreply", true), ("ms k 9 T0 q", false)] {
        let long = [&spaced(head, 1025, "\r\n"), &b"flush_all\r\nget next\r\n"[..]].concat();
        assert_eq!(fault(&long), Fault { reason: Reason::Line, skip: 1036, is_quiet }, "{head}");
    }
    assert!(fault(&spaced("delete k noreply", 1025, "\r\n")).is_quiet);
    let of_get = [spaced("get k", 2000, "\r\n"), spaced("gets k", 2000, "\r\n"), spaced("", 200, "get k\r\n")];
    for long in of_get.iter().chain(&[spaced("get a b", 2000, "\r\n"), spaced("gat 0 a", 2000, " b\r\n")]) {
        assert!(matches!(read(long), Parsed::Whole(Ok(_))), "{}", long.escape_ascii());
    }
    let hidden = [b" ".repeat(101), spaced("get k", 1900, "\r\n")].concat();
    assert!(matches!(read(&hidden[1..]), Parsed::Whole(Ok(_))));
    assert_eq!(fault(&hidden).reason, Reason::Line);
}

#[test]
fn what_cannot_be_passed_over_is_fatal() {
    assert!(fault(b"\x80").is_fatal());
    assert_eq!(fault(b"\x80\x00\x00\x03").reason, Reason::Binary);
    let endless = [b'a'; 2048];
    assert_eq!(fault(&endless).reason, Reason::EndlessLine);
    assert!(fault(&endless).is_fatal());
    assert_eq!(read(&endless[1..]), Parsed::More { need: 0 });
    let many = [b"get".as_slice(), &b" k".repeat(101), b"\r\n"].concat();
    assert_eq!(fault(&many), Fault { reason: Reason::TooManyKeys, skip: many.len() as u64, is_quiet: false });
}

#[test]
fn the_length_of_a_message_is_told_as_soon_as_it_is_known() {
    let mut progress = Progress::default();
    assert_eq!(request(b"set k 0 0 5\r", &LIMITS, &mut progress), Parsed::More { need: 0 });
    assert_eq!(request(b"set k 0 0 5\r\n", &LIMITS, &mut progress), Parsed::More { need: 20 });
    assert_eq!(request(b"set k 0 0 5\r\nhello\r", &LIMITS, &mut progress), Parsed::More { need: 20 });
    let parsed = request(b"set k 0 0 5\r\nhello\r\n", &LIMITS, &mut progress);
    assert!(matches!(parsed, Parsed::Whole(Ok(request)) if request.block == b"hello"));
    assert_eq!(progress, Progress::default(), "fresh for the next message");
}

#[test]
fn no_byte_of_a_line_is_searched_twice() {
    let limits = Limits { line_bytes_max: 1 << 20, ..Limits::default() };
    let line = [b"get".as_slice(), &b" key".repeat(1000), b"\r\n"].concat();
    let mut progress = Progress::default();
    for end in 1..line.len() {
        assert_eq!(request(&line[..end], &limits, &mut progress), Parsed::More { need: 0 });
        assert_eq!(progress.seen, end);
    }
    let parsed = request(&line, &limits, &mut progress);
    assert!(matches!(parsed, Parsed::Whole(Ok(request)) if request.key_count == 1000));
}

#[test]
fn rest_is_what_stands_behind_the_key() {
    let words = |bytes| whole(bytes).rest().map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert_eq!(words(b"incr k 5 noreply\r\n"), [b"5".to_vec(), b"noreply".to_vec()]);
    assert_eq!(words(b"stats items 1\r\n"), [b"items".to_vec(), b"1".to_vec()]);
    assert_eq!(words(b"mn\r\n"), [b""; 0]);
}

#[test]
fn keys_are_found_where_they_stand() {
    let mut spots = vec![Spot { start: 7, bytes: 7 }];
    for bytes in
        [&b"get a bb ccc\r\n"[..], b" gets  a   bb ccc \n", b"gat 0 a bb ccc\r\n", b"get a bb  ccc\r\nget d\r\n"]
    {
        let found = request_with(bytes, &LIMITS, &mut Progress::default(), &mut spots);
        assert!(matches!(found, Parsed::Whole(Ok(request)) if request.key_count == 3));
        let keys: Vec<_> = spots.iter().map(|spot| spot.of(bytes)).collect();
        assert_eq!(keys, [&b"a"[..], b"bb", b"ccc"], "{}", bytes.escape_ascii());
    }
    assert_eq!(Spot { start: 3, bytes: 9 }.of(b"get a"), b"");
    let keys = |count: usize| [b"get", " k".repeat(count).as_bytes(), b"\r\n"].concat();
    assert_eq!(whole(&keys(LIMITS.keys_max)).key_count, LIMITS.keys_max);
    assert_eq!(fault(&keys(LIMITS.keys_max + 1)).reason, Reason::TooManyKeys);
    assert_eq!(fault(b"get a \0\r\n").reason, Reason::Line);
}
