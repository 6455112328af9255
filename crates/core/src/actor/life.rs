//! The name of one life: one start of a state directory, by one process.

use crate::identity::Sequence;

/// Names one start of a state directory. Two servers on copies of one directory can have the same boot, but not the
/// same session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Life {
    /// How many times the directory had been started, with this start; 1 or more.
    pub boot: u64,
    /// The random value of the process.
    pub session: u64,
    /// The highest ceiling that it has made durable, as far as the directory knows.
    pub ceiling: Sequence,
}
