//! The transformer as a service of its own.
fn main() {}
