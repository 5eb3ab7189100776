//! What a process was started as; the comments are the schema's descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
