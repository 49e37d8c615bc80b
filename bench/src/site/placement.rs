//! Where the threads of a trial ran, as it is written.

use host::kvm::Placed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// [`Placed`] as it is written. Processors and nodes are by the kernel's numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// The processor of each virtual processor's thread; empty where the scheduler decided.
    pub vcpus: Vec<usize>,
    /// The processor of the device's thread, should there be one.
    pub device: Option<usize>,
    /// The processor of the threads that only look.
    pub watchdog: Option<usize>,
    /// The memory node of the first virtual processor's.
    pub node: Option<usize>,
    /// Whether guest memory was bound to that node; absent where there is but one, or the scheduler decides.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bound: Option<bool>,
    /// Whether two of the threads that are measured were hyper-threads of one core.
    pub siblings: bool,
    /// Whether two of them had to share one processor.
    pub shared: bool,
    /// What was not as it should be, in words.
    pub remarks: Vec<String>,
}

impl From<&Placed> for Placement {
    fn from(placed: &Placed) -> Self {
        let Placed { vcpus, device, watchdog, node, bound, siblings, shared, remarks } = placed.clone();
        Self { vcpus, device, watchdog, node, bound, siblings, shared, remarks }
    }
}
