//! Why something was not let through, as a status and a word for the metric.

/// The word for a refusal; also the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request or status line, or a line end, is not HTTP/1.
    Syntax,
    /// The version is HTTP but neither 1.0 nor 1.1.
    Version,
    /// The method is refused (CONNECT, TRACE) or too long to be one.
    Method,
    /// The target is not in a form that its method allows, or has bytes that no target has.
    Target,
    /// The target is longer than the limit.
    TargetTooLong,
    /// The head is longer than the limit.
    HeadTooLarge,
    /// More fields than the limit.
    TooManyFields,
    /// A field's name is not a token or its value has controls.
    Field,
    /// Host is absent, repeated or no authority.
    Host,
    /// Content-Length is repeated or not a number.
    ContentLength,
    /// Transfer-Encoding is repeated, came with HTTP/1.0, or came together with Content-Length.
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// Connection nominates a field that must not be removed.
    Nomination,
    /// An expectation other than `100-continue`.
    Expectation,
    /// Chunked framing is broken.
    Chunk,
    /// The trailer section is broken or larger than its limit.
    Trailer,
    /// A body in chunks turned out longer than the limit.
    BodyTooLong,
    /// The connection was opened for another host, which lets others in.
    Misdirected,
    /// A status out of range, or 101 without having been asked.
    Status,
}

impl Reason {
    /// Return the metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Syntax => "syntax",
            Reason::Version => "version",
            Reason::Method => "method",
            Reason::Target => "target",
            Reason::TargetTooLong => "target_too_long",
            Reason::HeadTooLarge => "head_too_large",
            Reason::TooManyFields => "too_many_fields",
            Reason::Field => "field",
            Reason::Host => "host",
            Reason::ContentLength => "content_length",
            Reason::TransferEncoding => "transfer_encoding",
            Reason::UnknownCoding => "unknown_coding",
            Reason::Nomination => "nomination",
            Reason::Expectation => "expectation",
            Reason::Chunk => "chunk",
            Reason::Trailer => "trailer",
            Reason::BodyTooLong => "body_too_long",
            Reason::Misdirected => "misdirected",
            Reason::Status => "status",
        }
    }

    /// Return the status that a client is answered with when its own bytes are the cause.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Reason::BodyTooLong => 413,
            Reason::TargetTooLong => 414,
            Reason::HeadTooLarge | Reason::TooManyFields => 431,
            Reason::Misdirected => 421,
            Reason::Version => 505,
            Reason::UnknownCoding => 501,
            Reason::Method => 405,
            Reason::Expectation => 417,
            _ => 400,
        }
    }
}

/// Bytes that are not let through. The connection they came on is always closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({status})", reason.as_str())]
pub struct Refusal {
    /// What the client is answered: 4xx or 5xx by the request's fault, 502 by the upstream's.
    pub status: u16,
    /// Why.
    pub reason: Reason,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal { status: reason.status(), reason }
    }
}

impl Refusal {
    /// Return the same refusal as the upstream's fault: status 502.
    #[must_use]
    pub fn from_upstream(self) -> Refusal {
        Refusal { status: 502, ..self }
    }
}
