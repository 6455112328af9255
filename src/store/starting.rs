//! What a start does with the blocks that it found. It needs no directory, so it works on any device.
//!
//! It may import `record`, `slots`, `actor` and `identity`.

use super::{
    record::MembersMark,
    slots::{BlockDevice, Recovered, Slots, SlotsError},
};
use ipseity_core::{
    actor::{Life, Objected},
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
    /// The last starts of this directory, the newest last, with this one; at most
    /// [`LIVES_REMEMBERED_MAX`](crate::limits::LIVES_REMEMBERED_MAX).
    pub lives: Vec<Life>,
    /// The members file was saved and lost, and no operator has said since then that it will not come back. So this
    /// server may have forgotten what it has told others that it would remember.
    pub members_lost: bool,
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
    pub notes: Vec<Note>,
}

/// A warning about what a start has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The kind of note, by the name that the log has for it.
    pub event: &'static str,
    /// What people read.
    pub text: String,
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
        lives: newest.lives.clone(),
        members_lost: newest.members == MembersMark::Lost,
        recovered: newest.recovered,
        objected: newest.objected,
        skipped,
        first_start,
        notes: Vec::new(),
    };
    Ok((slots, started))
}
