use super::*;
use crate::{Forward, Peer, scratch};

const LIMITS: Limits = Limits { head_bytes_max: 32 * 1024, fields_max: 100, target_bytes_max: 8 * 1024 };

fn outcome(bytes: &[u8]) -> Result<bool, (u16, &'static str)> {
    request(bytes, &mut scratch(), &LIMITS)
        .map(|head| head.is_some())
        .map_err(|refusal| (refusal.status, refusal.reason.as_str()))
}

fn refused_response(bytes: &[u8], asked: Asked) -> Option<&'static str> {
    match response(bytes, &mut scratch(), &LIMITS, asked) {
        Ok(head) => {
            assert!(head.is_some(), "incomplete: {}", bytes.escape_ascii());
            None
        }
        Err(refusal) => {
            assert_eq!(refusal.status, 502);
            Some(refusal.reason.as_str())
        }
    }
}

fn with_head<T>(text: &str, look: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
    let mut room = scratch();
    look(&request(text.as_bytes(), &mut room, &LIMITS).unwrap().unwrap())
}

fn with_response<T>(text: &str, asked: Asked, look: impl FnOnce(&ResponseHead<'_, '_>) -> T) -> T {
    let mut room = scratch();
    look(&response(text.as_bytes(), &mut room, &LIMITS, asked).unwrap().unwrap())
}

fn written(head: &RequestHead<'_, '_>, change: impl FnOnce(&mut Forward<'static>)) -> String {
    let mut forward = Forward::new(Peer { ip: "192.0.2.1", scheme: "http" });
    change(&mut forward);
    let mut out = Vec::new();
    head.write(&forward, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn writes_a_request_anew_with_its_end_to_end_fields() {
    let text = "POST /a?b=1 HTTP/1.1\r\nHost: A:80\r\nAccept: */*\r\nContent-Length: 005\r\nX-Real-IP: 6.6.6.6\r\n\
                X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nx_forwarded_user: admin\r\nTE: trailers\r\n\
                X-Alongside-Key: forged\r\nConnection: X-Gone, TE, Keep-Alive\r\nKeep-Alive: timeout=5\r\n\r\nhello";
    let out = with_head(text, |head| written(head, |_| ()));
    assert_eq!(
        out,
        "POST /a?b=1 HTTP/1.1\r\nhost: A:80\r\nAccept: */*\r\ncontent-length: 5\r\n\
         x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: A:80\r\n"
    );
}

#[test]
fn passes_forwarding_fields_of_an_inner_peer_unchanged() {
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX_Real_IP: 6.6.6.6\r\nx-alongside-key: k\r\n\r\n";
    let out = with_head(text, |head| written(head, |forward| forward.is_inner = true));
    assert_eq!(out, "GET / HTTP/1.1\r\nhost: a\r\nX-Forwarded-For: 1.2.3.4\r\n");
}

#[test]
fn tells_the_origin_of_the_inner_peer_if_it_told_of_nobody() {
    let out = with_head("GET / HTTP/1.1\r\nHost: a\r\n\r\n", |head| written(head, |forward| forward.is_inner = true));
    assert!(out.contains("x-forwarded-for: 192.0.2.1\r\n"), "{out}");
}

#[test]
fn adds_key_and_host_and_leaves_out_what_it_is_told() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
    let out = with_head(text, |head| {
        written(head, |forward| {
            forward.key = Some(b"/x%20y");
            forward.host = Some(b"origin:8000");
            forward.without = &["range"];
        })
    });
    assert!(out.starts_with("GET / HTTP/1.1\r\nhost: origin:8000\r\nx-forwarded-for"), "{out}");
    assert!(out.contains("x-forwarded-host: a\r\n") && out.ends_with("x-alongside-key: /x%20y\r\n"), "{out}");
}

#[test]
fn upgrades_to_websocket_only_and_only_if_asked_properly() {
    let upgraded = |text: &str| with_head(text, |head| (head.upgrade.is_some(), written(head, |_| ())));
    let (is_upgrade, out) =
        upgraded("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n");
    assert!(is_upgrade && out.contains("connection: upgrade\r\nupgrade: WebSocket\r\n"), "{out}");
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let (is_upgrade, out) = upgraded(text);
        assert!(!is_upgrade && !out.to_ascii_lowercase().contains("upgrade"), "{out}");
        assert!(!out.to_ascii_lowercase().contains("http2"), "{out}");
    }
}

#[test]
fn the_authority_of_an_absolute_target_replaces_host() {
    let seen = |text: &str| with_head(text, |head| (head.authority.to_vec(), head.target.to_vec()));
    assert_eq!(seen("GET http://evil/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), (b"evil".to_vec(), b"/x?y".to_vec()));
    assert_eq!(seen("GET HTTPS://evil:1 HTTP/1.1\r\nHost: a\r\n\r\n"), (b"evil:1".to_vec(), b"/".to_vec()));
    assert_eq!(seen("OPTIONS http://evil HTTP/1.1\r\nHost: a\r\n\r\n"), (b"evil".to_vec(), b"*".to_vec()));
    assert_eq!(seen("GET /http://evil/x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").0, b"[::1]:80");
}

#[test]
fn refuses_targets_and_hosts_that_are_none() {
    for target in
        ["*", "a:443", "http://a?x", "http://u@a/", "ftp://a/", "/a#b", "/a\\b", "x", "http:///x", "http://a:99999/"]
    {
        assert!(outcome(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).is_err(), "{target}");
    }
    for host in ["", "a b", "u@a", "a:b", "a:123456", "[::1", "[x]", "a/b", "a,b", "\u{e9}", ":80", "a:80:80"] {
        assert!(outcome(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).is_err(), "{host}");
    }
    assert_eq!(outcome(b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"), Err((400, "target")));
}

#[test]
fn knows_whether_the_connection_is_kept() {
    for (version, connection, kept) in [
        ("1.1", "x", true),
        ("1.1", "close", false),
        ("1.1", "foo, CLOSE", false),
        ("1.0", "x", false),
        ("1.0", "Keep-Alive", true),
        ("1.0", "keep-alive, close", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
        assert_eq!(with_head(&text, |head| head.keep_alive), kept, "{text}");
    }
}

#[test]
fn expects_continue_only_in_http11_with_a_body() {
    let expects = |text: &str| with_head(text, |head| head.expects_continue);
    assert!(expects("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"));
    assert!(!expects("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"));
    assert!(!expects("PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
    let text = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: xyz\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(outcome(text), Err((417, "expectation")));
}

#[test]
fn refuses_nominations_of_protected_names() {
    for name in
        ["Host", "Authorization", "Cookie", "X-Forwarded-User", "X-Alongside-Key", "Content-Length", "x_forwarded_for"]
    {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, {name}\r\n\r\n");
        assert_eq!(outcome(text.as_bytes()), Err((400, "nomination")), "{name}");
    }
    let many = "a,".repeat(40);
    let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Any\r\nx-any: 1\r\n\r\n";
    assert_eq!(outcome(text.as_bytes()), Err((400, "nomination")));
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, keep-alive, x-absent\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n";
    assert_eq!(outcome(text.as_bytes()), Ok(true));
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {many}\r\n\r\n");
    assert_eq!(outcome(text.as_bytes()), Err((400, "nomination")));
}

#[test]
fn overlooks_two_empty_lines_before_a_request_and_no_more() {
    assert_eq!(outcome(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(true));
    assert_eq!(outcome(b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_err().0, 400);
    assert_eq!(outcome(b"\r\n\r\n\r").unwrap_err().0, 400);
    assert_eq!(outcome(b"\n").unwrap_err().0, 400);
    assert_eq!(outcome(b"\r\n\r"), Ok(false));
    assert_eq!(outcome(b""), Ok(false));
}

#[test]
fn refuses_early_what_cannot_become_good() {
    let long_method = "A".repeat(40);
    let long_target = format!("GET /{}", "a".repeat(9000));
    let endless_field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(32 * 1024));
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00"[..], 400),
        (b"PRI * HTTP/2", 505),
        (b"GET / FTP", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n", 400),
        (b"GET / HTTP/1.1\r\nA b", 400),
        (long_method.as_bytes(), 405),
        (long_target.as_bytes(), 414),
        (endless_field.as_bytes(), 431),
    ] {
        assert_eq!(
            outcome(bytes).map_err(|refusal| refusal.0),
            Err(status),
            "{}",
            bytes[..20.min(bytes.len())].escape_ascii()
        );
    }
}

#[test]
fn admits_heads_up_to_the_limits_and_none_beyond() {
    let with_field = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(bytes));
    let fits = 32 * 1024 - with_field(0).len();
    assert_eq!(outcome(with_field(fits).as_bytes()), Ok(true));
    assert_eq!(outcome(with_field(fits + 1).as_bytes()), Err((431, "head_too_large")));
    let with_fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert_eq!(outcome(with_fields(99).as_bytes()), Ok(true));
    assert_eq!(outcome(with_fields(100).as_bytes()), Err((431, "too_many_fields")));
    let with_target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(bytes));
    assert_eq!(outcome(with_target(8191).as_bytes()), Ok(true));
    assert_eq!(outcome(with_target(8192).as_bytes()), Err((414, "target_too_long")));
}

#[test]
fn refuses_every_control_in_a_value_and_takes_everything_else() {
    for byte in 0..=255u8 {
        let text = [b"GET / HTTP/1.1\r\nHost: a\r\nX: a", &[byte][..], b"b\r\n\r\n"].concat();
        let is_good = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
        assert_eq!(outcome(&text) == Ok(true), is_good, "{byte:#x}");
        let named = [b"GET / HTTP/1.1\r\nHost: a\r\nX", &[byte][..], b"b: c\r\n\r\n"].concat();
        let is_token = crate::fields::is_token(&[byte]) || byte == b':';
        assert_eq!(outcome(&named) == Ok(true), is_token, "{byte:#x}");
    }
}

#[test]
fn frames_answers_by_status_and_question() {
    let body = |text: &str, asked: Asked| with_response(text, asked, |head| (head.body, head.keep_alive));
    let plain = Asked::default();
    let to_head = Asked { head: true, upgrade: false };
    assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", plain), (Body::Length(5), true));
    assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", to_head), (Body::None, true));
    assert_eq!(body("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", plain), (Body::None, true));
    assert_eq!(body("HTTP/1.1 204 N\r\n\r\n", plain), (Body::None, true));
    assert_eq!(body("HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n", plain), (Body::None, false));
    assert_eq!(body("HTTP/1.1 100\r\n\r\n", plain), (Body::None, true));
    assert_eq!(body("HTTP/1.1 200\r\n\r\n", plain), (Body::UntilClose, false));
    assert_eq!(body("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", plain), (Body::Length(5), false));
    assert_eq!(
        body("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", plain),
        (Body::Length(5), true)
    );
    assert_eq!(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", plain), (Body::Chunked, true));
}

#[test]
fn refuses_answers_that_frame_badly() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: Cache-Control\r\nCache-Control: private\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBroken\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH",
    ] {
        assert!(refused_response(text.as_bytes(), Asked::default()).is_some(), "{text}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(32 * 1024));
    assert_eq!(refused_response(endless.as_bytes(), Asked::default()), Some("head_too_large"));
}

#[test]
fn switches_protocols_only_to_what_was_asked() {
    let text = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let asked = Asked { head: false, upgrade: true };
    let out = with_response(text, asked, |head| {
        let mut out = Vec::new();
        head.write(&mut out);
        assert!(head.upgrade && !head.keep_alive && head.body == Body::None);
        String::from_utf8(out).unwrap()
    });
    assert_eq!(out, "HTTP/1.1 101 S\r\nSec-WebSocket-Accept: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n");
    assert_eq!(refused_response(text.as_bytes(), Asked::default()), Some("status"));
    let other = text.replace("websocket", "foo");
    assert_eq!(refused_response(other.as_bytes(), asked), Some("status"));
}

#[test]
fn writes_an_answer_without_fields_of_the_hop() {
    let text = "HTTP/1.0 200 Fine\r\nServer: x\r\nConnection: x-y, keep-alive\r\nKeep-Alive: 5\r\nContent-Length: 2\r\n\
                Trailer: a\r\nUpgrade: h2\r\nx-alongside-key: 1\r\nSet-Cookie: a=b\r\n\r\n";
    let out = with_response(text, Asked::default(), |head| {
        let mut out = Vec::new();
        head.write(&mut out);
        String::from_utf8(out).unwrap()
    });
    assert_eq!(out, "HTTP/1.1 200 Fine\r\nServer: x\r\nSet-Cookie: a=b\r\n");
}

#[test]
fn finds_fields_by_name() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; sid=a=b;y\r\nCookie: z=9\r\n\r\n";
    with_head(text, |head| {
        assert_eq!(head.field("HOST"), Some(&b"a"[..]));
        assert_eq!(head.fields_named("cookie").count(), 2);
    });
}

#[test]
fn names_a_host_for_clients_that_named_none() {
    let host = |text: &str, host| with_head(text, |head| written(head, |forward| forward.host = host));
    let text = "GET / HTTP/1.0\r\n\r\n";
    assert!(host(text, None).contains("\r\nhost: localhost\r\n"));
    assert!(host(text, Some(b"b")).contains("\r\nhost: b\r\n"));
    assert!(!host(text, None).contains("x-forwarded-host"));
}
