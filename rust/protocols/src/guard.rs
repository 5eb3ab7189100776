//! The guard: what every listener lets in and every upstream lets out.
//!
//! Where a standard leaves a choice it takes the strict one: refuse and close. A head is refused as soon
//! as its bytes allow no other end, so that nobody holds a buffer for it.

mod survey;

use crate::framing::Body;
use crate::refusal::{Reason, Refusal};
use crate::request::RequestHead;
use crate::response::{Asked, ResponseHead};
use crate::{Limits, Scratch, target};
use survey::Survey;

/// The longest method; registered ones have at most 17 bytes.
const METHOD_BYTES_MAX: usize = 32;
/// How many empty lines before a request are overlooked.
///
//= RFC 9112 section 2.2: at least one should be; some old clients send one after a body.
const EMPTY_LINES_MAX: usize = 2;

/// Return the request head that `bytes` start with, `None` while it is incomplete.
///
/// # Errors
/// What no listener lets in; answer its status and close.
pub fn request<'h, 'b>(
    bytes: &'b [u8],
    scratch: &'h mut Scratch<'b>,
    limits: &Limits,
) -> Result<Option<RequestHead<'h, 'b>>, Refusal> {
    let start = skip_empty_lines(bytes);
    let bytes_after = &bytes[start..];
    // httparse would overlook any number of empty lines, and bare LFs among them.
    match bytes_after.first() {
        Some(b'\n') => return Err(Reason::Syntax.into()),
        Some(b'\r') if start == EMPTY_LINES_MAX * 2 => return Err(Reason::Syntax.into()),
        _ => {}
    }
    let mut head = httparse::Request::new(&mut []);
    let room = limits.fields_max.min(scratch.len());
    match head.parse_with_uninit_headers(bytes_after, &mut scratch[..room]) {
        Ok(httparse::Status::Complete(length)) => {
            let bytes = &bytes_after[..length];
            Ok(Some(admit_request(head, bytes, start, limits)?))
        }
        Ok(httparse::Status::Partial) => {
            check_partial_request(bytes, start, limits)?;
            Ok(None)
        }
        Err(error) => Err(request_error(error, bytes_after).into()),
    }
}

fn skip_empty_lines(bytes: &[u8]) -> usize {
    let lines = bytes.chunks_exact(2).take(EMPTY_LINES_MAX).take_while(|line| *line == b"\r\n");
    lines.count() * 2
}

/// Return the head that httparse read from `bytes` if all of it may pass.
fn admit_request<'h, 'b>(
    head: httparse::Request<'h, 'b>,
    bytes: &'b [u8],
    start: usize,
    limits: &Limits,
) -> Result<RequestHead<'h, 'b>, Reason> {
    let (Some(method), Some(path), Some(version)) = (head.method, head.path, head.version) else {
        return Err(Reason::Syntax);
    };
    let fields: &'h [httparse::Header<'b>] = head.headers;
    let head_bytes = start + bytes.len();
    check_sizes(path.len(), head_bytes, limits)?;
    check_method(method)?;
    let target = target::split(method, path.as_bytes())?;
    let survey = Survey::of(bytes, fields)?;
    let is_http11 = version == 1;
    let host = check_host(&survey, is_http11)?;
    let body = survey.framing(is_http11)?;
    let has_body = !matches!(body, Body::None | Body::Length(0));
    if survey.expects_other {
        return Err(Reason::Expectation);
    }
    let upgrades = survey.names_websocket() && is_http11 && method == "GET" && !has_body;
    Ok(RequestHead {
        method,
        target: target.origin,
        authority: target.authority.unwrap_or(host),
        is_http11,
        fields,
        body,
        keep_alive: survey.keep_alive(is_http11),
        //= RFC 9110 section 10.1.1: ignored from HTTP/1.0 clients.
        expects_continue: survey.expects_continue && is_http11 && has_body,
        upgrade: if upgrades { survey.upgrade() } else { None },
        head_bytes,
        bytes,
        dropped: survey.dropped,
        forwarding: survey.forwarding,
    })
}

fn check_sizes(target_bytes: usize, head_bytes: usize, limits: &Limits) -> Result<(), Reason> {
    if target_bytes > limits.target_bytes_max {
        return Err(Reason::TargetTooLong);
    }
    if head_bytes > limits.head_bytes_max {
        return Err(Reason::HeadTooLarge);
    }
    Ok(())
}

fn check_method(method: &str) -> Result<(), Reason> {
    let is_refused = method.len() > METHOD_BYTES_MAX
        || method.eq_ignore_ascii_case("CONNECT")
        || method.eq_ignore_ascii_case("TRACE");
    if is_refused { Err(Reason::Method) } else { Ok(()) }
}

/// Return the Host field's value: exactly one in HTTP/1.1, none or one in 1.0 (then empty), an authority.
fn check_host<'b>(survey: &Survey<'b>, is_http11: bool) -> Result<&'b [u8], Reason> {
    match survey.host.value {
        Some(host) if !survey.host.is_repeated && target::is_authority(host) => Ok(host),
        None if !is_http11 => Ok(b""),
        _ => Err(Reason::Host),
    }
}

/// Refuse an incomplete head that can no longer become a good one.
fn check_partial_request(bytes: &[u8], start: usize, limits: &Limits) -> Result<(), Reason> {
    let rest = &bytes[start..];
    let method_end = memchr::memchr(b' ', &rest[..rest.len().min(METHOD_BYTES_MAX + 1)]);
    if let Some(method_end) = method_end {
        let target = &rest[method_end + 1..];
        let seen = &target[..target.len().min(limits.target_bytes_max.saturating_add(1))];
        if seen.len() > limits.target_bytes_max && memchr::memchr2(b' ', b'\n', seen).is_none() {
            return Err(Reason::TargetTooLong);
        }
    } else if rest.len() > METHOD_BYTES_MAX {
        return Err(Reason::Method);
    }
    check_partial(bytes, start, limits)
}

/// Refuse what is already too large, or has a line that ends with a bare LF.
fn check_partial(bytes: &[u8], start: usize, limits: &Limits) -> Result<(), Reason> {
    if bytes.len() >= limits.head_bytes_max {
        return Err(Reason::HeadTooLarge);
    }
    let rest = &bytes[start..];
    let is_bare = |at: usize| at == 0 || rest[at - 1] != b'\r';
    if memchr::memchr_iter(b'\n', rest).any(is_bare) {
        return Err(Reason::Syntax);
    }
    Ok(())
}

fn request_error(error: httparse::Error, bytes: &[u8]) -> Reason {
    match error {
        httparse::Error::Version if names_other_version(bytes) => Reason::Version,
        httparse::Error::TooManyHeaders => Reason::TooManyFields,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Reason::Field,
        _ => Reason::Syntax,
    }
}

/// Return whether the request line ends with `HTTP/` and a digit, so that the version is all that is wrong.
fn names_other_version(bytes: &[u8]) -> bool {
    let mut words = bytes.splitn(3, |&byte| byte == b' ').skip(2);
    let version = words.next().and_then(|rest| rest.strip_prefix(b"HTTP/"));
    version.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

/// Return the answer head that `bytes` start with, `None` while it is incomplete.
///
/// # Errors
/// What no upstream gets through; answer 502 and close the upstream's connection.
pub fn response<'h, 'b>(
    bytes: &'b [u8],
    scratch: &'h mut Scratch<'b>,
    limits: &Limits,
    asked: Asked,
) -> Result<Option<ResponseHead<'h, 'b>>, Refusal> {
    respond(bytes, scratch, limits, asked).map_err(|reason| Refusal::from(reason).from_upstream())
}

fn respond<'h, 'b>(
    bytes: &'b [u8],
    scratch: &'h mut Scratch<'b>,
    limits: &Limits,
    asked: Asked,
) -> Result<Option<ResponseHead<'h, 'b>>, Reason> {
    // httparse would overlook empty lines here; an answer starts with its status line.
    match bytes.first() {
        None => return Ok(None),
        Some(b'H') => {}
        Some(_) => return Err(Reason::Syntax),
    }
    let mut head = httparse::Response::new(&mut []);
    let room = limits.fields_max.min(scratch.len());
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut head, bytes, &mut scratch[..room]) {
        Ok(httparse::Status::Complete(length)) => admit_response(head, &bytes[..length], limits, asked).map(Some),
        Ok(httparse::Status::Partial) => check_partial(bytes, 0, limits).map(|()| None),
        Err(error) => Err(request_error(error, bytes)),
    }
}

/// Return the head that httparse read from `bytes` if all of it may pass.
fn admit_response<'h, 'b>(
    head: httparse::Response<'h, 'b>,
    bytes: &'b [u8],
    limits: &Limits,
    asked: Asked,
) -> Result<ResponseHead<'h, 'b>, Reason> {
    let (Some(status), Some(version)) = (head.code, head.version) else {
        return Err(Reason::Syntax);
    };
    if status < 100 {
        return Err(Reason::Status);
    }
    let fields: &'h [httparse::Header<'b>] = head.headers;
    check_sizes(0, bytes.len(), limits)?;
    let survey = Survey::of(bytes, fields)?;
    let is_http11 = version == 1;
    let framed = survey.framing(is_http11)?;
    let body = response_body(status, framed, asked)?;
    let upgrade = status == 101;
    if upgrade && !(asked.upgrade && is_http11 && survey.names_websocket()) {
        return Err(Reason::Status);
    }
    // A body where none may be would be read as the next answer.
    let is_overfull = status == 204 && !matches!(framed, Body::None | Body::Length(0));
    let is_reusable = !upgrade && !is_overfull && body != Body::UntilClose;
    Ok(ResponseHead {
        status,
        reason: head.reason.unwrap_or(""),
        is_http11,
        fields,
        body,
        content_length: if let Body::Length(bytes) = framed { Some(bytes) } else { None },
        keep_alive: is_reusable && survey.keep_alive(is_http11),
        upgrade,
        head_bytes: bytes.len(),
        bytes,
        dropped: survey.dropped,
    })
}

/// Return how the body that follows is delimited.
///
//= RFC 9112 section 6.3: HEAD, 1xx, 204 and 304 have none whatever the fields say; an unframed one ends with
//= the connection. RFC 9110 section 15.2: an interim answer is not framed at all.
fn response_body(status: u16, framed: Body, asked: Asked) -> Result<Body, Reason> {
    match (status, framed) {
        (100..=199, Body::None | Body::Length(0)) => Ok(Body::None),
        (100..=199, _) => Err(Reason::Status),
        _ if asked.head || status == 204 || status == 304 => Ok(Body::None),
        (_, Body::None) => Ok(Body::UntilClose),
        (_, framed) => Ok(framed),
    }
}

#[cfg(test)]
mod tests;
