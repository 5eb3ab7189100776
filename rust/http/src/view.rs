//! A request as key expressions see it.

use crate::service::Arrival;
use alongside_placement::key;
use alongside_protocols::RequestHead;
use std::net::IpAddr;

/// Returns the scheme that a client used: the peer's, or what an inner peer says it was.
#[must_use]
pub fn scheme<'a>(head: &RequestHead<'_, '_>, arrival: &Arrival<'a>) -> &'a str {
    match head.field("x-forwarded-proto").filter(|_| arrival.is_inner) {
        Some(b"https") => "https",
        Some(b"http") => "http",
        _ => arrival.peer.scheme,
    }
}

/// A request as key expressions see it.
#[derive(Debug)]
pub struct View<'v, 'h, 'b> {
    head: &'v RequestHead<'h, 'b>,
    ip: IpAddr,
}

impl<'v, 'h, 'b> View<'v, 'h, 'b> {
    /// Returns the view of a request that arrived so.
    #[must_use]
    pub const fn new(head: &'v RequestHead<'h, 'b>, arrival: &Arrival<'_>) -> Self {
        Self { head, ip: arrival.ip }
    }
}

impl key::Request for View<'_, '_, '_> {
    fn uri(&self) -> &[u8] {
        self.head.target
    }

    fn path(&self) -> &[u8] {
        key::path_of(self.head.target)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        // Host is the authority that the request is routed by, also where an absolute target overrules the field.
        if name.eq_ignore_ascii_case("host") { Some(self.head.authority) } else { self.head.field(name) }
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.head.fields_named("cookie").find_map(|line| key::find_cookie(line, name))
    }

    fn query(&self, name: &str) -> Option<&[u8]> {
        key::find_query(self.head.target, name)
    }

    fn ip(&self) -> IpAddr {
        self.ip
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_placement::key::Request;
    use alongside_protocols::{Limits, guard};

    #[test]
    fn keys_read_a_request_as_the_placement_crate_does() {
        let text = b"GET /p?a=1&b HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nCookie: sid = x\r\n\r\n";
        let limits = Limits { head_bytes_max: 4096, fields_max: 16, target_bytes_max: 4096 };
        let mut scratch = alongside_protocols::scratch();
        let head = guard::request(text, &mut scratch, &limits).unwrap().unwrap();
        let view = View { head: &head, ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) };
        assert_eq!(view.path(), b"/p");
        assert_eq!(view.query("b"), Some(&b""[..]));
        assert_eq!(view.cookie("a"), Some(&b"1"[..]));
        assert_eq!(view.cookie("sid"), Some(&b"x"[..]));
    }
}
