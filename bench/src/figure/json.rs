//! JSON for programs that people also read.

use serde::Serialize;

/// What `summary.json` is called.
pub const FILE: &str = "summary.json";

/// A value as a file.
#[must_use]
pub fn pretty(value: &impl Serialize) -> String {
    // Our own types: string keys throughout and no writer that could fail.
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")) + "\n"
}
