//! HTTP/1 framing and the guard over it.
