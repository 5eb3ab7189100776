use super::*;
use crate::memcache::{Expect, Limits, Parsed, Progress, reply, request};

fn whole(bytes: &[u8]) -> Request<'_> {
    match request(bytes, &Limits::default(), &mut Progress::default()) {
        Parsed::Whole(Ok(request)) => request,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

fn loud(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    whole(bytes).write_loud(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_key_in_base64_is_placed_as_the_server_sees_it() {
    let mut room = [0; KEY_ROOM_BYTES];
    assert_eq!(whole(b"mg YQBi b v\r\n").placement_key(&mut room), b"a\0b");
    assert_eq!(whole(b"ms YQ== 1 T0 b\r\nx\r\n").placement_key(&mut room), b"a");
    assert_eq!(whole(b"mg YQBi v\r\n").placement_key(&mut room), b"YQBi");
    assert_eq!(whole(b"get b64 b\r\n").placement_key(&mut room), b"b64");
    let longest = BASE64.encode(&[7; 186]);
    assert!(longest.len() <= 250);
    assert_eq!(whole(format!("mg {longest} b\r\n").as_bytes()).placement_key(&mut room), [7; 186]);
}

#[test]
fn base64_is_as_strict_as_memcacheds() {
    for key in ["YQ", "Y", "!!", "YQ=", "YR==", "=="] {
        let bytes = format!("mg {key} b\r\n");
        let parsed = request(bytes.as_bytes(), &Limits::default(), &mut Progress::default());
        assert!(matches!(parsed, Parsed::Whole(Err(fault)) if fault.reason == Reason::Base64), "{key}");
    }
}

#[test]
fn flags_are_what_stands_behind_key_and_length() {
    let flags = |bytes| whole(bytes).flags().map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert_eq!(flags(b"mg k v O12\r\n"), [b"v".to_vec(), b"O12".to_vec()]);
    assert_eq!(flags(b"ms k 1 T0\r\nx\r\n"), [b"T0".to_vec()]);
    assert_eq!(flags(b"get k v\r\n"), [b""; 0]);
    assert_eq!(flags(b"mn\r\n"), [b""; 0]);
}

#[test]
fn a_loud_request_is_the_same_but_always_answered() {
    let cases: [(&[u8], &str); 13] = [
        (b"set noreply 0 0 3 noreply\r\nq q\r\n", "set noreply 0 0 3\r\nq q\r\n"),
        (b"set  k 0 0 1  noreply \nx\r\n", "set k 0 0 1\r\nx\r\n"),
        (b"set k 0 0 1\r\nx\r\n", "set k 0 0 1\r\nx\r\n"),
        (b"cas k 0 0 0 7 noreply\r\n\r\n", "cas k 0 0 0 7\r\n\r\n"),
        (b"delete noreply noreply\r\n", "delete noreply\r\n"),
        (b"delete k 0 noreply\r\n", "delete k 0\r\n"),
        (b"incr k 5 noreply\r\n", "incr k 5\r\n"),
        (b"flush_all noreply\r\n", "flush_all\r\n"),
        (b"verbosity 1 noreply\r\n", "verbosity 1\r\n"),
        (b"mg q q v\r\n", "mg q v\r\n"),
        (b"ms k 1 T0 q\r\nq\r\n", "ms k 1 T0\r\nq\r\n"),
        (b"ms k 1 q\r\nx\r\n", "ms k 1\r\nx\r\n"),
        (b"get noreply\r\n", "get noreply\r\n"),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(loud(bytes), wanted);
        let again = whole(wanted.as_bytes());
        let first = whole(bytes);
        assert!(!again.is_quiet);
        assert_eq!((again.verb, again.key(), again.block), (first.verb, first.key(), first.block));
    }
}

#[test]
fn quiet_requests_hide_the_usual_reply_alone() {
    let hides =
        |asked: &'static [u8], answer: &'static [u8]| match reply(answer, Expect::Meta, &mut Progress::default()) {
            Parsed::Whole(Ok(reply)) => whole(asked).hides().hides(reply.outcome),
            other => panic!("{}: {other:?}", answer.escape_ascii()),
        };
    assert!(hides(b"mg k q\r\n", b"EN\r\n") && !hides(b"mg k q\r\n", b"HD\r\n") && !hides(b"mg k\r\n", b"EN\r\n"));
    assert!(!hides(b"mg k v q\r\n", b"VA 1\r\nx\r\n"));
    assert!(hides(b"ms k 1 q\r\nx\r\n", b"HD\r\n") && !hides(b"ms k 1 q\r\nx\r\n", b"NS\r\n"));
    assert!(hides(b"md k q\r\n", b"HD O1\r\n") && !hides(b"md k q\r\n", b"NF\r\n"));
    assert!(hides(b"ma k v q\r\n", b"VA 1\r\n1\r\n") && !hides(b"ma k q\r\n", b"NF\r\n"));
    assert!(!hides(b"me k q\r\n", b"EN\r\n"));
    for meta in [b"mg k q\r\n".as_slice(), b"md k q\r\n", b"ma k q\r\n"] {
        assert!(!hides(meta, b"SERVER_ERROR out of memory\r\n"));
    }
}
