//! Get certificates from an authority, and renew them in time (RFC 8555, RFC 9773).
//!
//! In:    the authority's directory, the hosts' names, a folder.
//! Out:   a certificate and its key in that folder, which `alongside-tls` follows; answers to challenges.
//! Not:   serving TLS, or the answers.
//! Next:  `alongside-dataplane` runs it beside its listeners.
