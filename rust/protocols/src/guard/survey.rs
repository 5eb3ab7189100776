//! One pass over a head's fields: what frames, what ends here, what Connection says.

use crate::fields::{self, Kind};
use crate::framing::{self, Body};
use crate::refusal::Reason;

/// The most names that Connection may nominate besides the well-known ones.
const NOMINATIONS_MAX: usize = 16;

/// Return whether the line before a field ends with CRLF, and not with a bare LF, which httparse takes.
///
/// It takes no CR without LF, so it is enough to look before each name and at the head's end.
fn follows_crlf(bytes: &[u8], field: &httparse::Header<'_>) -> bool {
    let at = field.name.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    bytes.get(at.wrapping_sub(2)..at) == Some(b"\r\n")
}

/// A field that may come once: its first value, and whether another came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Single<'b> {
    pub(super) value: Option<&'b [u8]>,
    pub(super) is_repeated: bool,
}

impl<'b> Single<'b> {
    fn meet(&mut self, value: &'b [u8]) {
        if self.value.is_some() {
            self.is_repeated = true;
        } else {
            self.value = Some(value);
        }
    }

    fn is_exactly(&self, word: &[u8]) -> bool {
        !self.is_repeated && self.value.is_some_and(|value| value.eq_ignore_ascii_case(word))
    }
}

/// What the fields of a head say about the hop.
#[derive(Debug, Default)]
pub(super) struct Survey<'b> {
    /// Bit i: field i ends here.
    pub(super) dropped: u128,
    /// Bit i: field i is a forwarding field.
    pub(super) forwarding: u128,
    pub(super) host: Single<'b>,
    pub(super) expects_continue: bool,
    pub(super) expects_other: bool,
    length: Single<'b>,
    coding: Single<'b>,
    upgrade: Single<'b>,
    says_close: bool,
    says_keep_alive: bool,
    says_upgrade: bool,
    has_nominations: bool,
}

impl<'b> Survey<'b> {
    /// Return what the fields of a head say, which stand in `bytes`.
    ///
    /// # Errors
    /// A line ends with a bare LF; Connection nominates a protected name, a field that is there and goes on, or too many.
    pub(super) fn of(bytes: &[u8], fields: &[httparse::Header<'b>]) -> Result<Survey<'b>, Reason> {
        let mut survey = Survey::default();
        let mut are_lines_whole = bytes.ends_with(b"\r\n\r\n");
        let mut bit = 1u128;
        for field in fields {
            are_lines_whole &= follows_crlf(bytes, field);
            survey.meet(field, bit);
            bit <<= 1;
        }
        if !are_lines_whole {
            return Err(Reason::Syntax);
        }
        if survey.has_nominations {
            Self::check_nominated(fields)?;
        }
        Ok(survey)
    }

    /// Take a field in, which is this bit of the masks.
    fn meet(&mut self, field: &httparse::Header<'b>, bit: u128) {
        match fields::kind(field.name.as_bytes()) {
            Kind::EndToEnd => return,
            Kind::Forwarding => return self.forwarding |= bit,
            Kind::Dropped => {}
            Kind::Host => self.host.meet(field.value),
            Kind::ContentLength => self.length.meet(field.value),
            Kind::TransferEncoding => self.coding.meet(field.value),
            Kind::Connection => self.meet_connection(field.value),
            Kind::Upgrade => self.upgrade.meet(field.value),
            Kind::Expect => self.meet_expect(field.value),
        }
        self.dropped |= bit;
    }

    fn meet_connection(&mut self, value: &[u8]) {
        // What nearly everybody says, without a look for commas.
        match value {
            b"keep-alive" => return self.says_keep_alive = true,
            b"close" => return self.says_close = true,
            _ => {}
        }
        for option in fields::tokens(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.says_close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.says_keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.says_upgrade = true;
            } else {
                self.has_nominations = true;
            }
        }
    }

    fn meet_expect(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"100-continue") {
            self.expects_continue = true;
        } else {
            self.expects_other = true;
        }
    }

    /// Refuse what Connection may not take away; the hop's own names, and names that are not there, mean nothing more.
    ///
    /// A field that this hop dropped for the sender would be missing behind while keys and caches saw it here.
    fn check_nominated(fields: &[httparse::Header<'b>]) -> Result<(), Reason> {
        let nominated = fields::all(fields, "connection").flat_map(fields::tokens);
        for (count, name) in nominated.enumerate() {
            let goes_on = |field: &httparse::Header<'_>| {
                field.name.as_bytes().eq_ignore_ascii_case(name) && fields::kind(name) == Kind::EndToEnd
            };
            if count == NOMINATIONS_MAX || fields::is_protected(name) || fields.iter().any(goes_on) {
                return Err(Reason::Nomination);
            }
        }
        Ok(())
    }

    /// Return whether the sender keeps the connection after this message.
    pub(super) fn keep_alive(&self, is_http11: bool) -> bool {
        !self.says_close && (is_http11 || self.says_keep_alive)
    }

    /// Return whether the one protocol that may be switched to is properly named.
    pub(super) fn names_websocket(&self) -> bool {
        self.says_upgrade && self.upgrade.is_exactly(b"websocket")
    }

    /// Return the Upgrade field's value as sent.
    pub(super) fn upgrade(&self) -> Option<&'b [u8]> {
        self.upgrade.value
    }

    /// Return how the fields frame a body: `None`, `Length` or `Chunked`.
    ///
    //= RFC 9112 sections 6.1 and 6.3, where they leave a choice the strict one: two ways of framing,
    //= a coding other than exactly `chunked`, or a repeated length is refused.
    pub(super) fn framing(&self, is_http11: bool) -> Result<Body, Reason> {
        if self.coding.value.is_some() {
            if !is_http11 || self.length.value.is_some() || self.coding.is_repeated {
                return Err(Reason::TransferEncoding);
            }
            if !self.coding.is_exactly(b"chunked") {
                return Err(Reason::UnknownCoding);
            }
            return Ok(Body::Chunked);
        }
        let Some(value) = self.length.value else { return Ok(Body::None) };
        if self.length.is_repeated {
            return Err(Reason::ContentLength);
        }
        framing::content_length(value).map(Body::Length).ok_or(Reason::ContentLength)
    }
}
