//! Answers that the data plane gives by itself.

use std::io::Write;

/// What listeners let in.
const LISTENER_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What every 503 says: by then a queue has moved, or a probe has found a node again.
const RETRY_AFTER: &[u8] = b"retry-after: 1\r\n";

/// The status of an answer and what else its head says.
#[derive(Debug, Clone, Copy)]
pub struct Says<'a> {
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'a str,
    /// The methods that a 405 allows.
    pub allow: Option<&'a str>,
}

/// Appends a whole answer: head, then `body`, which HEAD leaves out; returns the bytes of what is there of it.
pub fn write(says: Says<'_>, body: &[u8], (is_head, closes): (bool, bool), out: &mut Vec<u8>) -> usize {
    let Says { status, content_type, allow } = says;
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n",
        phrase(status),
        body.len(),
    );
    if let Some(methods) = allow {
        let _ = write!(out, "allow: {methods}\r\n");
    }
    if status == 503 {
        out.extend_from_slice(RETRY_AFTER);
    }
    out.extend_from_slice(if closes { b"connection: close\r\n\r\n" } else { b"\r\n" });
    if is_head {
        return 0;
    }
    out.extend_from_slice(body);
    body.len()
}

/// Appends an answer that says in one line what went wrong; returns the bytes of its body.
//= RFC 9110 section 15.5.6: a 405 says what is allowed.
pub fn write_error(status: u16, reason: &str, flags: (bool, bool), out: &mut Vec<u8>) -> usize {
    let body = format!("{status} {}: {reason}\n", phrase(status));
    let allow = (status == 405).then_some(LISTENER_METHODS);
    write(Says { status, content_type: "text/plain; charset=utf-8", allow }, body.as_bytes(), flags, out)
}

/// Appends an answer that sends the client elsewhere for good, with the same method; returns the bytes of its body.
pub fn write_redirect(location: &[u8], (is_head, closes): (bool, bool), out: &mut Vec<u8>) -> usize {
    let body = [location, b"\n"].concat();
    let _ = write!(
        out,
        "HTTP/1.1 308 {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nlocation: ",
        phrase(308),
        body.len(),
    );
    out.extend_from_slice(location);
    out.extend_from_slice(if closes { b"\r\nconnection: close\r\n\r\n" } else { b"\r\n\r\n" });
    if is_head {
        return 0;
    }
    out.extend_from_slice(&body);
    body.len()
}

/// Returns the reason phrase of a status that the data plane answers with; empty for others.
#[must_use]
pub const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        206 => "Partial Content",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_and_why() {
        let mut out = Vec::new();
        write_error(502, "the upstream closed", (false, true), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
        assert!(text.contains("connection: close\r\n"));
        assert!(text.ends_with("\r\n\r\n502 Bad Gateway: the upstream closed\n"));
    }

    #[test]
    fn a_refused_method_is_told_the_others() {
        let mut out = Vec::new();
        write_error(405, "method", (false, true), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), "{text}");
    }

    #[test]
    fn head_gets_the_length_and_no_body() {
        let mut out = Vec::new();
        write(Says { status: 200, content_type: "text/plain", allow: None }, b"abc", (true, false), &mut out);
        assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\n");
    }
}
