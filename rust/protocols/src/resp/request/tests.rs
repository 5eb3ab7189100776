use super::*;
use crate::resp::Version;

const LIMITS: Limits = Limits { bulk_bytes_max: 1000, elements_max: 100, line_bytes_max: 100, version: Version::Two };

fn read(bytes: &[u8]) -> Parsed<Result<Message<'_>, Fault>> {
    request(bytes, &LIMITS, &mut Progress::default())
}

fn command(bytes: &[u8]) -> Request<'_> {
    match read(bytes) {
        Parsed::Whole(Ok(Message::Command(request))) => request,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

#[test]
fn arrays_of_bulk_strings_are_requests() {
    let bytes = b"*3\r\n$3\r\nSeT\r\n$1\r\nk\r\n$13\r\n\r\n$1\r\nx\r\n*1\r\n\r\nbehind";
    let request = command(bytes);
    assert_eq!(request.bytes, &bytes[..bytes.len() - 6]);
    assert_eq!((request.count, request.name()), (3, b"SeT".as_slice()));
    let args: Vec<_> = request.args().collect();
    assert_eq!(args, [b"SeT".as_slice(), b"k", b"\r\n$1\r\nx\r\n*1\r\n"]);
    assert_eq!((request.arg(1), request.arg(3)), (Some(b"k".as_slice()), None));
    let mut args = request.args();
    args.next();
    assert_eq!(args.next_framed(), Some(b"$1\r\nk\r\n".as_slice()));
    assert_eq!(args.len(), 1);
    assert_eq!(command(b"*1\r\n$0\r\n\r\n").name(), b"");
    assert_eq!(Message::Command(request).bytes(), bytes.len() - 6);
}

#[test]
fn nothing_is_passed_over() {
    for nothing in [b"*0\r\n".as_slice(), b"*-1\r\n", b"*-7\r\n", b"\r\n", b"\n", b"  \r\n"] {
        let behind = [nothing, b"PING\r\n"].concat();
        assert_eq!(read(&behind), Parsed::Whole(Ok(Message::Empty { bytes: nothing.len() })), "{nothing:?}");
    }
}

#[test]
fn a_line_is_a_request_too() {
    let cases: [(&[u8], &[&[u8]]); 9] = [
        (b"PING\r\n", &[b"PING"]),
        (b"  set  k\tv \n", &[b"set", b"k", b"v"]),
        (b"set k \"a b\\r\\n\\x41\\\"\\q\"\r\n", &[b"set", b"k", b"a b\r\nA\"q"]),
        (b"set k 'a \\' \\n'\r\n", &[b"set", b"k", b"a ' \\n"]),
        (b"set k \"\"\r\n", &[b"set", b"k", b""]),
        (b"set k ''\r\n", &[b"set", b"k", b""]),
        (b"set k a\"b c\"\r\n", &[b"set", b"k", b"ab c"]),
        (b"set k \\x41\r\n", &[b"set", b"k", b"\\x41"]),
        (b"set k \"\\xZ1\\t\\b\\a\"\r\n", &[b"set", b"k", b"xZ1\t\x08\x07"]),
    ];
    for (bytes, words) in cases {
        let behind = [bytes, b"PING\r\n"].concat();
        let Parsed::Whole(Ok(Message::Inline(inline))) = read(&behind) else {
            panic!("{}", bytes.escape_ascii());
        };
        assert_eq!((inline.bytes, inline.count), (bytes, words.len()));
        let mut out = Vec::new();
        inline.write(&mut out);
        assert_eq!(command(&out).args().collect::<Vec<_>>(), words, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_no_request_ends_the_connection_with_an_error() {
    let endless = [b'a'; 100];
    let cases: [(&[u8], Reason, &str); 32] = [
        (b"*1-\r\n", Reason::Count, "invalid multibulk length"),
        (b"*x\r\n", Reason::Count, "invalid multibulk length"),
        (b"*\r\n", Reason::Count, "invalid multibulk length"),
        (b"*1\n", Reason::Count, "invalid multibulk length"),
        (b"*01\r\n", Reason::Count, "invalid multibulk length"),
        (b"*+1\r\n", Reason::Count, "invalid multibulk length"),
        (b"*-0\r\n", Reason::Count, "invalid multibulk length"),
        (b"*101\r\n", Reason::Count, "invalid multibulk length"),
        (b"*99999999999999999999999", Reason::Count, "invalid multibulk length"),
        (b"*1\r\n+GET\r\n", Reason::NoBulk(b'+'), "expected '$', got '+'"),
        (b"*1\r\n\r\n", Reason::NoBulk(b'\r'), "expected '$', got '?'"),
        (b"*1\r\n$-1\r\n", Reason::Length, "invalid bulk length"),
        (b"*1\r\n$\r\n", Reason::Length, "invalid bulk length"),
        (b"*1\r\n$ 1\r\n", Reason::Length, "invalid bulk length"),
        (b"*1\r\n$1001\r\n", Reason::Length, "invalid bulk length"),
        (b"*1\r\n$18446744073709551615\r\n", Reason::Length, "invalid bulk length"),
        (b"*1\r\n$3\r\nGETx\n", Reason::End, "expected CRLF"),
        (b"*1\r\n$3\r\nGET\n\n", Reason::End, "expected CRLF"),
        (b"*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\ncx\n$1\r\nd\r\n$1\r\ne\r\n", Reason::End, "expected CRLF"),
        (b"*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\ncc\r\n$1\r\nd\r\n$1\r\ne\r\n", Reason::End, "expected CRLF"),
        (b"*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\n\nc\r\n$1\r\nd\r\n$1\r\ne\r\n", Reason::Length, "invalid bulk length"),
        (b"*5\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n", Reason::Length, "invalid bulk length"),
        (
            b"*5\r\n$1\r\na\r\n$1\r\nb\r\n+1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n",
            Reason::NoBulk(b'+'),
            "expected '$', got '+'",
        ),
        (&endless, Reason::InlineTooLong, "too big inline request"),
        (b"set k \"a\r\n", Reason::Quotes, "unbalanced quotes"),
        (b"set k 'a\r\n", Reason::Quotes, "unbalanced quotes"),
        (b"set k \"a\"b\r\n", Reason::Quotes, "unbalanced quotes"),
        (b"set k \"a\\\r\n", Reason::Quotes, "unbalanced quotes"),
        (b"POST / HTTP/1.1\r\n", Reason::Http, "HTTP"),
        (b"Host: localhost\r\n", Reason::Http, "HTTP"),
        (b"host:localhost\r\n", Reason::Http, "HTTP"),
        (b"post / HTTP/1.1\r\n", Reason::Http, "HTTP"),
    ];
    for (bytes, reason, text) in cases {
        assert_eq!(read(bytes), Parsed::Whole(Err(Fault { reason })), "{}", bytes.escape_ascii());
        let mut out = Vec::new();
        Fault { reason }.write(&mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("-ERR Protocol error: ") && out.ends_with("\r\n") && out.contains(text), "{out}");
        assert_eq!(out.lines().count(), 1);
    }
}

#[test]
fn the_length_of_a_message_is_told_as_soon_as_it_is_known() {
    let mut progress = Progress::default();
    let bytes = b"*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n";
    let needs: Vec<usize> = (0..bytes.len())
        .map(|end| match request(&bytes[..end], &LIMITS, &mut progress) {
            Parsed::More { need } => need,
            Parsed::Whole(_) => panic!("{end}"),
        })
        .collect();
    let (first, second) = (b"*2\r\n$3\r\n".len(), b"*2\r\n$3\r\nGET\r\n$5\r\n".len());
    assert_eq!(needs[..first], [0; 8]);
    assert_eq!(needs[first..first + 5], [first + 5; 5]);
    assert_eq!(needs[first + 5..second], [0; 4]);
    assert_eq!(needs[second..], [bytes.len(); 7]);
    assert!(matches!(request(bytes, &LIMITS, &mut progress), Parsed::Whole(Ok(Message::Command(_)))));
    assert_eq!(progress, Progress::default(), "fresh for the next message");
}

#[test]
fn no_argument_is_read_twice() {
    let bytes = [b"*100\r\n".as_slice(), &b"$10\r\n0123456789\r\n".repeat(100)].concat();
    let mut progress = Progress::default();
    for end in 1..bytes.len() {
        assert!(matches!(request(&bytes[..end], &LIMITS, &mut progress), Parsed::More { .. }));
        assert!(end <= 22 || end - progress.seen <= 17, "{end}: {progress:?}");
    }
    let parsed = request(&bytes, &LIMITS, &mut progress);
    assert!(matches!(parsed, Parsed::Whole(Ok(Message::Command(request))) if request.count == 100));
    let mut progress = Progress::default();
    for end in 1..99 {
        assert_eq!(request(&[b'a'; 99][..end], &LIMITS, &mut progress), Parsed::More { need: 0 });
        assert_eq!(progress.seen, end);
    }
}

#[test]
fn the_spots_of_arguments_are_where_they_stand_however_they_came() {
    let long = "v".repeat(200);
    let bytes =
        format!("*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$0\r\n\r\n$2\r\n\r\n\r\n$200\r\n{long}\r\n*1\r\n$4\r\nPING\r\n");
    assert_args(bytes.as_bytes(), &[b"MSET", b"a", b"", b"\r\n", long.as_bytes()]);
    let alike = b"*8\r\n$4\r\nMGET\r\n$4\r\n$4\r\n\r\n$4\r\n\r\n\r\n\r\n$3\r\nabc\r\n$1\r\n1\r\n$1\r\n\n\r\n$0\r\n\r\n$0\r\n\r\n*1\r\n";
    assert_args(alike, &[b"MGET", b"$4\r\n", b"\r\n\r\n", b"abc", b"1", b"\n", b"", b""]);
}

/// The first request of some bytes has these arguments, in whatever two pieces it comes.
fn assert_args(bytes: &[u8], expected: &[&[u8]]) {
    for end in 0..bytes.len() {
        let (mut progress, mut spots) = (Progress::default(), vec![Spot { start: 7, end: 9 }]);
        let before = request_with(&bytes[..end], &LIMITS, &mut progress, &mut spots);
        let parsed = if before == (Parsed::More { need: progress.need }) {
            request_with(bytes, &LIMITS, &mut progress, &mut spots)
        } else {
            before
        };
        let Parsed::Whole(Ok(Message::Command(request))) = parsed else { panic!("{parsed:?}") };
        let found: Vec<&[u8]> = spots.iter().map(|spot| spot.of(request.bytes)).collect();
        assert_eq!(found, expected, "in two pieces, the first of {end}");
        assert_eq!(request.args().collect::<Vec<_>>(), expected);
        assert_eq!((0..9).map_while(|index| request.arg(index)).collect::<Vec<_>>(), expected);
        let last = spots.last().map(|spot| spot.next());
        assert_eq!((request.name(), last), (expected[0], Some(request.bytes.len())));
    }
}
