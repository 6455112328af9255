//! What a start makes of the blocks that it found, on any device: the part of it that has no directory.
//!
//! It may import `slots`, `actor` and `identity`.

use super::slots::{BlockDevice, Recovered, Slots, SlotsError};
use ipseity_core::{
    actor::{Objected, Remembered},
    identity::Sequence,
};

/// What a start found, and made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The random value made with the directory.
    pub incarnation: u128,
    /// Counts the starts of the directory, from 1. It always grows, mostly by one: by two after a start
    /// to which the newest record may have been lost.
    pub boot: u64,
    /// Only what is greater may be handed out. Exactly the last sequence after a clean stop.
    pub sequence: Sequence,
    /// Up to this it may be handed out: made durable by this boot.
    pub ceiling: Sequence,
    /// The highest `recover_above` that this directory was ever started with; zero for none.
    pub recovered: Sequence,
    /// A peer objected to this directory in an earlier run, and `recover_above` was never at least this since:
    /// nothing may be handed out.
    pub objected: Option<Objected>,
    /// At most how many sequences were never handed out, because the last run did not stop cleanly: the
    /// sequence that this start begins after (`recover_above` left aside), minus the one that the last
    /// run noted when it last raised its ceiling. What was handed out after that note is counted too. A
    /// start that failed after it had begun to write counts as a run.
    pub skipped: u64,
    /// No earlier start of this directory has come this far.
    pub first_start: bool,
    /// Warnings for the log, a sentence each: those of the directory, which knows its name.
    pub notes: Vec<String>,
}

impl Started {
    /// Whether this start asks its peers before it hands out, where it has any: the first one does, and any
    /// other that an operator wants to (`--join=require`). A first start that was cut short has heard of
    /// nobody, and the next one asks again.
    pub fn asks_first(&self, remembered: &[Remembered], required: bool) -> bool {
        self.first_start || remembered.is_empty() || required
    }
}

/// Begins a boot, see [`Recovered::boot`], and says where the server stands after it.
///
/// # Errors
/// Those of [`Recovered::boot`].
pub fn begin<D: BlockDevice>(
    recovered: Recovered<D>,
    session: u64,
    above: Option<Sequence>,
    first_step: u64,
) -> Result<(Slots<D>, Started), SlotsError> {
    let (skipped, first_start) = (recovered.skipped(), recovered.newest().boot == 0);
    let slots = recovered.boot(session, above, first_step)?;
    let newest = slots.newest();
    let started = Started {
        incarnation: newest.incarnation,
        boot: newest.boot,
        sequence: newest.sequence,
        ceiling: newest.ceiling,
        recovered: newest.recovered,
        objected: newest.objected,
        skipped,
        first_start,
        notes: Vec::new(),
    };
    Ok((slots, started))
}
