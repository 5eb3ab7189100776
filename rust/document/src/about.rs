//! What a process was started as, and where its document was written; the comments are the schema's descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::texts::Name;

/// What a process was started as, for whoever asks it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The component, such as `cache`.
    pub component: Name,
    /// The SHA-256 of its contract in hexadecimal: equal promises have equal ones.
    #[schemars(length(max = 64))]
    pub contract: String,
    /// Its parameters as they took effect, secrets masked.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub values: Vec<EffectiveValue>,
}

/// A parameter as it took effect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EffectiveValue {
    /// The parameter's name.
    pub name: Name,
    /// Its values as a user would write them, with units; none where it is not set.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub texts: Vec<String>,
}

/// Where a part of the document was written by its user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The part, as messages name it: `listeners[0]`; what lies below it was written there too.
    #[schemars(length(max = 255))]
    pub path: String,
    /// Where it was written: a file and its line, a flag or a variable.
    #[schemars(length(max = 4096))]
    pub written: String,
}

impl Place {
    /// Return whether a path is the part, or of something below it.
    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// Return a problem that says where its part was written; where that is not known, its place in the document stays.
#[must_use]
pub fn placed(places: &[Place], problem: Problem) -> Problem {
    let nearest = places.iter().filter(|place| place.holds(&problem.path)).max_by_key(|place| place.path.len());
    match nearest {
        Some(place) => Problem { path: place.written.clone(), ..problem },
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_where_the_nearest_part_was_written() {
        let place = |path: &str| Place { path: path.to_owned(), written: format!("file: {path}") };
        let places = [place("listeners[1]"), place("listeners[1].tls"), place("status")];
        let told = |path: &str| placed(&places, Problem::new(path, "a", "b")).path;
        assert_eq!(told("listeners[1]"), "file: listeners[1]");
        assert_eq!(told("listeners[1].address"), "file: listeners[1]");
        assert_eq!(told("listeners[1].tls.certificates[0].path"), "file: listeners[1].tls");
        assert_eq!(told("listeners[10].address"), "listeners[10].address");
        assert_eq!(told("statuses"), "statuses");
        assert_eq!(told(""), "");
    }
}
