//! The one binary of the data plane.
fn main() {}
