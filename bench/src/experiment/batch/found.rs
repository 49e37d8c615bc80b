//! What the cells of a batch run show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::experiment::contract::Findings;
use crate::figure::table::Grid;
use crate::figure::unit::Unit;

/// What the experiment found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What costs are in.
    pub unit: Unit,
}

impl Findings for Found {
    fn of(archive: &Archive) -> Self {
        Self { unit: archive.unit() }
    }

    fn tables(&self) -> Vec<Grid> {
        Vec::new()
    }
}
