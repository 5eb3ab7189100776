//! The JSON Schema of a document, made from the types.

use serde_json::Value;

/// Return the JSON Schema (draft 2020-12) of a document.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(crate::types::Document).to_value()
}
