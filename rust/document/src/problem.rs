//! What is wrong with a document, where, and what to do.

use std::fmt;

/// One mistake in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as `routes[0].shards[2].weight`; empty for the document as a whole.
    pub path: String,
    /// What is wrong, with the value that is.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// Make a problem of its three parts.
    pub fn new(path: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { path: path.into(), what: what.into(), remedy: remedy.into() }
    }

    /// Return the same problem of what lies below a path.
    #[must_use]
    pub fn below(self, path: &str) -> Problem {
        Problem { path: format!("{path}.{}", self.path), ..self }
    }

    /// Return what is wrong and what to do as one sentence, without the path.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}; {}", self.what, self.remedy)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "document" } else { &self.path };
        write!(f, "{path}: {}; {}", self.what, self.remedy)
    }
}

/// Return a value for a message, as JSON of at most 60 characters.
pub(crate) fn shown(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
