//! Speak TLS: which certificate whom is shown, which clients are let in, and files that change while all this goes on.
//!
//! In:    paths of certificates, keys, authorities and lists of the revoked; connections that were accepted.
//! Out:   encrypted streams, and what their clients said of themselves; how long each certificate is good for.
//! Not:   any protocol inside; getting certificates from an authority.
//! Next:  `alongside-http` serves what is inside; `alongside-acme` gets certificates.
