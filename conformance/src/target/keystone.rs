//! Tokens of Keystone, version 3.

/// A login that gives out tokens, and gets a new one before the old one ends.
#[derive(Debug)]
pub struct Session {
    project: String,
}

impl Session {
    /// The project that the tokens are for.
    pub fn project(&self) -> String {
        self.project.clone()
    }
}
