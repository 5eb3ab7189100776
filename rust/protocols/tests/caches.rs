//! What holds for any bytes of memcache and Redis: the checks of the fuzz targets, over bytes that are nearly right, and
//! what is written reads back.

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::{memcache, resp};
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "../../../fuzz/src/caches.rs"]
#[allow(dead_code, reason = "shared with the fuzz targets")]
mod caches;

fn soup(known: Vec<&'static str>) -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(known).prop_map(|text| text.as_bytes().to_vec());
    let part = prop_oneof![8 => known, 1 => vec(any::<u8>(), 0..5)];
    (any::<u8>(), vec(part, 0..24)).prop_map(|(step, parts)| [&[step][..], &parts.concat()].concat())
}

fn memcache_soup() -> impl Strategy<Value = Vec<u8>> {
    soup(vec![
        "get ",
        "gets k k2",
        "gat 0 ",
        "set k 0 0 ",
        "cas k 0 0 1 2",
        "ms k 3",
        "mg a2V5 b",
        "md k",
        "ma k",
        "mn",
        "me k",
        "delete ",
        "incr ",
        "touch ",
        "flush_all",
        "verbosity 1",
        "version",
        "quit",
        "stats",
        "k",
        "noreply",
        " noreply",
        " q",
        " v",
        " T0",
        " b",
        "0",
        "1",
        "3",
        "65",
        "9999999999",
        "-1",
        " ",
        "abc",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "VALUE k 0 1",
        "VALUE k 0 3 7\r\nabc\r\n",
        "END",
        "STAT a b",
        "STORED",
        "NOT_FOUND",
        "VA 1",
        "HD",
        "EN",
        "ERROR",
        "SERVER_ERROR x",
        "x\r\n",
    ])
}

fn resp_soup() -> impl Strategy<Value = Vec<u8>> {
    soup(vec![
        "*1\r\n",
        "*2\r\n",
        "*3\r\n",
        "*6\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*17\r\n",
        "*",
        "$",
        "$3\r\nGET\r\n",
        "$4\r\nEVAL\r\n",
        "$6\r\nZUNION\r\n",
        "$4\r\nMSET\r\n",
        "$1\r\nk\r\n",
        "$1\r\n1\r\n",
        "$2\r\n-1\r\n",
        "$0\r\n\r\n",
        "$-1\r\n",
        "$65\r\n",
        "$12\r\n",
        "+OK\r\n",
        "-ERR x\r\n",
        ":1\r\n",
        ":-5\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        ",x\r\n",
        "(12\r\n",
        "!3\r\nERR\r\n",
        "=5\r\ntxt:a\r\n",
        "%1\r\n",
        "%9\r\n",
        "~2\r\n",
        "|1\r\n",
        "|0\r\n",
        ">1\r\n",
        "%",
        "=",
        "PING\r\n",
        "set k \"a",
        "\\x41\\n",
        "\" ",
        "'",
        " ",
        "\r\n",
        "\n",
        "\r",
        "12",
        "-",
    ])
}

/// A word of a key's bytes.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![b'!'..=b'~', 0x80..=0xff_u8], 1..60)
}

fn array(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A reply of RESP2 of any shape.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    leaf().prop_recursive(4, 32, 5, |element| vec(element, 0..5).prop_map(|elements| aggregate('*', 1, &elements)))
}

fn leaf() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[+-][A-Za-z ]{0,9}\r\n".prop_map(String::into_bytes),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        data().prop_map(|data| bulk('$', &data)),
        Just(b"$-1\r\n".to_vec()),
        Just(b"*-1\r\n".to_vec()),
    ]
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn bulk(mark: char, data: &[u8]) -> Vec<u8> {
    [format!("{mark}{}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// What has elements, so many of which are one of those that its head counts.
fn aggregate(mark: char, each: usize, elements: &[Vec<u8>]) -> Vec<u8> {
    let elements = &elements[..elements.len() / each * each];
    [format!("{mark}{}\r\n", elements.len() / each).as_bytes(), &elements.concat()].concat()
}

/// A reply of RESP3 of any shape.
fn reply_three() -> impl Strategy<Value = Vec<u8>> {
    let newer = prop_oneof![
        Just(b"_\r\n".to_vec()),
        any::<bool>().prop_map(|is_so| if is_so { b"#t\r\n".to_vec() } else { b"#f\r\n".to_vec() }),
        any::<f64>().prop_map(|number| format!(",{number}\r\n").into_bytes()),
        any::<i128>().prop_map(|number| format!("({number}\r\n").into_bytes()),
        data().prop_map(|data| bulk('!', &data)),
        data().prop_map(|data| bulk('=', &[b"txt:", &data[..]].concat())),
    ];
    prop_oneof![leaf(), newer].prop_recursive(4, 32, 5, |element| {
        let marks = prop_oneof![Just(('*', 1)), Just(('~', 1)), Just(('%', 2))];
        let open = (marks, vec(element.clone(), 0..6));
        let open = open.prop_map(|((mark, each), elements)| aggregate(mark, each, &elements));
        let attributed = (vec(element.clone(), 0..4), element);
        let attributed = attributed.prop_map(|(pairs, of)| [aggregate('|', 2, &pairs), of].concat());
        prop_oneof![3 => open, 1 => attributed]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn bytes_of_memcache_mean_the_same_at_every_split(bytes in memcache_soup()) {
        caches::memcache(&bytes);
    }

    #[test]
    fn bytes_of_redis_mean_the_same_at_every_split(bytes in resp_soup()) {
        caches::resp(&bytes);
    }

    #[test]
    fn keys_are_read_as_they_are_written(keys in vec(key(), 1..8), spaces in vec(1..4_usize, 8)) {
        let mut bytes = b"gets".to_vec();
        for (key, spaces) in keys.iter().zip(spaces) {
            bytes.extend(vec![b' '; spaces]);
            bytes.extend_from_slice(key);
        }
        bytes.extend_from_slice(b"\r\n");
        let parsed = memcache::request(&bytes, &memcache::Limits::default(), &mut Progress::default());
        let Parsed::Whole(Ok(request)) = parsed else { return Err(TestCaseError::fail(format!("{parsed:?}"))) };
        prop_assert!(request.keys().eq(keys.iter().map(Vec::as_slice)));
    }

    #[test]
    fn values_are_read_as_they_are_written(values in vec((key(), vec(any::<u8>(), 0..99)), 0..5), step in 1..50_usize) {
        let mut bytes = Vec::new();
        for (key, value) in &values {
            bytes.extend([b"VALUE ", &key[..], format!(" 0 {}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat());
        }
        bytes.extend_from_slice(b"END\r\n");
        let mut progress = Progress::default();
        for end in (1..bytes.len()).step_by(step) {
            let parsed = memcache::reply(&bytes[..end], memcache::Expect::Values, &mut progress);
            prop_assert!(matches!(parsed, Parsed::More { .. }), "{parsed:?}");
        }
        let parsed = memcache::reply(&bytes, memcache::Expect::Values, &mut progress);
        prop_assert!(matches!(parsed, Parsed::Whole(Ok(reply)) if reply.bytes == bytes), "{parsed:?}");
        let mut rest = &bytes[..];
        for (key, _) in &values {
            let parsed = memcache::piece(rest, &mut Progress::default());
            let Parsed::Whole(Ok(memcache::Piece::Value(value))) = parsed else {
                return Err(TestCaseError::fail(format!("{parsed:?}")));
            };
            prop_assert_eq!(value.key, &key[..]);
            rest = &rest[value.bytes.len()..];
        }
    }

    #[test]
    fn arguments_are_read_as_they_are_written(args in vec(vec(any::<u8>(), 0..99), 1..9), step in 1..50_usize) {
        let bytes = array(&args);
        let mut progress = Progress::default();
        for end in (1..bytes.len()).step_by(step) {
            let parsed = resp::request(&bytes[..end], &resp::Limits::default(), &mut progress);
            prop_assert!(matches!(parsed, Parsed::More { .. }), "{parsed:?}");
        }
        let parsed = resp::request(&bytes, &resp::Limits::default(), &mut progress);
        let Parsed::Whole(Ok(resp::Message::Command(request))) = parsed else {
            return Err(TestCaseError::fail(format!("{parsed:?}")));
        };
        prop_assert!(request.args().eq(args.iter().map(Vec::as_slice)));
        prop_assert_eq!(request.bytes.len(), bytes.len());
    }

    #[test]
    fn replies_end_where_they_end(bytes in reply(), step in 1..50_usize) {
        end_where_they_end(&bytes, step, resp::Version::Two)?;
        end_where_they_end(&bytes, step, resp::Version::Three)?;
    }

    #[test]
    fn replies_of_resp3_end_where_they_end(bytes in reply_three(), step in 1..50_usize) {
        end_where_they_end(&bytes, step, resp::Version::Three)?;
    }
}

fn end_where_they_end(bytes: &[u8], step: usize, version: resp::Version) -> Result<(), TestCaseError> {
    let limits = resp::Limits { version, ..resp::Limits::default() };
    let behind = [bytes, b"+OK\r\n"].concat();
    let mut progress = resp::ReplyProgress::default();
    for end in (1..bytes.len()).step_by(step) {
        let parsed = resp::reply(&behind[..end], &limits, &mut progress);
        prop_assert!(matches!(parsed, Parsed::More { .. }), "{parsed:?}");
    }
    let parsed = resp::reply(&behind, &limits, &mut progress);
    prop_assert!(matches!(parsed, Parsed::Whole(Ok(reply)) if reply.bytes == bytes), "{parsed:?}");
    Ok(())
}
