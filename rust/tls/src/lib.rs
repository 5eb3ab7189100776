//! Speak TLS: which certificate whom is shown, which clients are let in, and files that change while all this goes on.
//!
//! In:    paths of certificates, keys, authorities and lists of the revoked; connections that were accepted.
//! Out:   encrypted streams, and what their clients said of themselves; how long each certificate is good for.
//! Not:   any protocol inside; getting certificates from an authority.
//! Next:  `alongside-http` serves what is inside; `alongside-acme` gets certificates.
//!
//! Logged, each with `listener` and `certificate`, once a change: `certificate_taken` (with `names` and `expires_s`),
//! `certificate_refused` (with `reason`; what was in force stays), `certificate_good_again`, `staple_left_out` (with
//! `reason`); of the files that clients are verified with `clients_taken`, `clients_refused`, `clients_good_again`.
//! Of the files for connections to a pool's servers `server_tls_taken`, `server_tls_refused`, `server_tls_good_again`, with `pool`.
//! No handshake is logged: they are counted.
//!
//! Counted: `alongside_tls_handshakes_total{listener,outcome}`, `alongside_tls_reloads_total{listener,certificate,outcome}`,
//! `alongside_tls_certificate_stale{listener,certificate}`, and by [`Acceptor::refresh_metrics`]
//! `alongside_tls_certificate_expiry_seconds{listener,certificate}`. A certificate is its name in the document; `acme` is
//! what lies in the folder of `acme`, and `clients.authorities` what clients are verified with.

mod acceptor;
mod choice;
mod client;
mod config;
mod connector;
mod files;
mod followed;
mod following;
mod keeper;
mod metrics;
mod pair;
mod refused;
mod staple;
mod tickets;
mod verify;

pub use acceptor::{Acceptor, Session};
pub use client::Client;
pub use connector::Connector;
pub use metrics::{Metrics, Outcome};
pub use refused::Refused;

/// Returns the seconds since 1970.
fn now_s() -> u64 {
    rustls_pki_types::UnixTime::now().as_secs()
}

#[cfg(test)]
mod tests;
