//! The command line of Nanshe.
fn main() {}
