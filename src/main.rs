//! Lockkeeper's binary.
fn main() {}
