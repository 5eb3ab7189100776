//! What the data plane is told: types, checks, schema.
