//! A request as key expressions see it.

use crate::service::Arrival;
use alongside_placement::key;
use alongside_protocols::RequestHead;
use std::net::IpAddr;

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
        self.head.path()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        // Host is the authority that the request is routed by, also where an absolute target overrules the field.
        if name.eq_ignore_ascii_case("host") { Some(self.head.authority) } else { self.head.field(name) }
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.head.cookie(name)
    }

    fn query(&self, name: &str) -> Option<&[u8]> {
        self.head.query(name)
    }

    fn ip(&self) -> IpAddr {
        self.ip
    }
}
