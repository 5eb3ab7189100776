//! The HTTP/1.1 engine and the router.
