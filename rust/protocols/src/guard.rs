//! The guard: what every listener lets in and every upstream lets out.

use crate::framing::{self, Body};
use crate::refusal::{Reason, Refusal};
use crate::request::RequestHead;
use crate::response::{Asked, ResponseHead};
use crate::{Limits, Scratch, target};

/// Return the request head that `bytes` start with, `None` while it is incomplete.
///
/// # Errors
/// What no listener lets in; answer its status and close.
pub fn request<'h, 'b>(
    bytes: &'b [u8],
    scratch: &'h mut Scratch<'b>,
    limits: &Limits,
) -> Result<Option<RequestHead<'h, 'b>>, Refusal> {
    let mut head = httparse::Request::new(&mut []);
    let room = limits.fields_max.min(scratch.len());
    match head.parse_with_uninit_headers(bytes, &mut scratch[..room]) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            let method = head.method.unwrap_or("");
            let split = target::split(method, head.path.unwrap_or("").as_bytes())?;
            let fields: &'h [httparse::Header<'b>] = head.headers;
            Ok(Some(RequestHead {
                method,
                target: split.origin,
                authority: split.authority.unwrap_or(crate::fields::first(fields, "host").unwrap_or(b"")),
                is_http11: head.version == Some(1),
                fields,
                body: Body::None,
                keep_alive: head.version == Some(1),
                expects_continue: false,
                upgrade: None,
                head_bytes,
                dropped: 0,
                forwarding: 0,
            }))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(Reason::Syntax.into()),
    }
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
    let _ = asked;
    let mut head = httparse::Response::new(&mut []);
    let room = limits.fields_max.min(scratch.len());
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut head, bytes, &mut scratch[..room]) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            let fields: &'h [httparse::Header<'b>] = head.headers;
            let content_length = crate::fields::first(fields, "content-length").and_then(framing::content_length);
            Ok(Some(ResponseHead {
                status: head.code.unwrap_or(0),
                reason: head.reason.unwrap_or(""),
                is_http11: head.version == Some(1),
                fields,
                body: content_length.map_or(Body::UntilClose, Body::Length),
                content_length,
                keep_alive: true,
                upgrade: false,
                head_bytes,
                dropped: 0,
            }))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(Refusal::from(Reason::Syntax).from_upstream()),
    }
}
