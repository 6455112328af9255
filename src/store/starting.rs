//! What a start does with the blocks that it found. It needs no directory, so it works on any device.
//!
//! It may import `slots`, `actor` and `identity`.

use super::slots::{BlockDevice, Recovered, Slots, SlotsError};
use ipseity_core::{
    actor::{Objected, Remembered},
    identity::Sequence,
};

/// What a start found and has made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The random value made with the directory.
    pub incarnation: u128,
    /// Counts the starts of the directory, from 1. It grows by one with each start, or by two if the newest record
    /// may have been lost.
    pub boot: u64,
    /// Only greater sequences may be handed out. After a clean stop it is exactly the last one.
    pub sequence: Sequence,
    /// No greater sequence may be handed out. This boot has made it durable.
    pub ceiling: Sequence,
    /// The highest `recover_above` that this directory was ever started with; zero for none.
    pub recovered: Sequence,
    /// A peer objected to this directory in an earlier run, and no `recover_above` since then was high enough. So
    /// nothing may be handed out.
    pub objected: Option<Objected>,
    /// How many sequences were skipped at most, because the last run did not stop cleanly: the sequence after which
    /// this start begins (without `recover_above`), minus the one that the last run noted when it last raised its
    /// ceiling. What was handed out after that note is counted too. A start that failed after it had begun to write
    /// counts as a run.
    pub skipped: u64,
    /// No earlier start of this directory has come this far.
    pub first_start: bool,
    /// Warnings for the log, one sentence each.
    pub notes: Vec<String>,
}

impl Started {
    /// Whether this start asks its peers, if it has any, before it hands out identities. The first start does, and so
    /// does any start with `--join=require`. So does a start that remembers no peer, because the first start may have
    /// ended before it heard from one.
    pub fn asks_first(&self, remembered: &[Remembered], required: bool) -> bool {
        self.first_start || remembered.is_empty() || required
    }
}

/// Begins a boot (see [`Recovered::boot`]), and returns what the server has to know about it.
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
