//! How far a restore of etcd has come: see [`restores`](super::restores).

use crate::etcd::store::Store;

/// See the [module](self).
#[derive(Default)]
pub struct Restored {
    pub backup: Option<Store>,
    pub stage: Stage,
}

/// How far the operator has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was restored, or all is well again.
    #[default]
    Idle,
    /// Servers are not started.
    Waits,
    /// The new epoch is being written.
    Raises,
}
