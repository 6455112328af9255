//! Deliberate bugs, each behind a switch: the proof that the tests would catch them.
//!
//! A test that passes shows little until it has been seen to fail. So each bug that somebody could well make
//! here has a place in the code where it would be made, and a condition there that makes it:
//! `sabotage::is(Sabotage::AfterIgnored)`. Whoever reads that code may skip the condition.
//!
//! In an ordinary build nothing of this exists: [`is`] is the constant `false`, and the compiler removes the
//! condition with all that hangs on it. Only `RUSTFLAGS="--cfg sabotage"` makes the switches real. Then
//! `choose` turns one of them on for the thread that calls it, so that tests can run side by side, and
//! `IPSEITY_SABOTAGE=AfterIgnored` in the environment turns it on for a whole process from its start, which
//! serves the tests that run real servers.
//!
//! It imports nothing of ours.

#[cfg(sabotage)]
use std::cell::Cell;

/// Makes the enum, and the list of its variants with their descriptions.
macro_rules! sabotages {
    ($($(#[doc = $line:literal])+ $variant:ident,)+) => {
        /// A bug. The description says what the program does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sabotage {
            $($(#[doc = $line])+ $variant,)+
        }

        #[cfg(sabotage)]
        impl Sabotage {
            /// Every one of them.
            pub const ALL: &'static [Sabotage] = &[$(Sabotage::$variant,)+];

            /// The name, as it stands in the code.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Sabotage::$variant => stringify!($variant),)+
                }
            }

            /// What the program does wrong, in one line.
            pub fn description(self) -> &'static str {
                match self {
                    $(Sabotage::$variant => concat!($($line),+).trim_start(),)+
                }
            }
        }
    };
}

sabotages! {
    // The state file.
    /// A start begins at the sequence that the newest record notes, not above its ceiling.
    ResumeBelowCeiling,
    /// A start writes nothing, and serves under the ceiling of an earlier boot.
    ServeEarlierBoot,
    /// A start does not count the boot.
    BootNotRaised,
    /// A start believes the exact sequence of a clean stop, although a later boot has written since.
    CleanStopTrusted,
    /// A start leaves the flag of a clean stop set, and the next one believes it.
    CleanFlagKept,
    /// A block is believed whatever its checksum says.
    NoChecksum,
    /// Every generation overwrites the one before it, in one and the same block.
    SingleSlot,
    /// Only one copy of a generation is written.
    OneCopy,
    /// Generations are compared by their lowest four bits.
    GenerationWraps,
    /// A start does not skip although both blocks that could hold the newest generation are bad.
    LostPairNotSkipped,
    /// A write or sync that failed counts as done.
    FailedSyncIgnored,
    /// A start reads what was written, not what is durable. A simulated device has to do the same.
    StartReadsCache,

    // The counter and its ceiling.
    /// A reply leaves before the ceiling that covers it is durable.
    ReplyBeforeDurable,
    /// What a peer raised the sequence to is handed out above the ceiling.
    AbsorptionBypassesCeiling,
    /// The `after` of a request counts for nothing.
    AfterIgnored,
    /// Advances cost nothing.
    BudgetIgnored,
    /// A request for more than `--max-count` is served.
    CountUnchecked,
    /// The counter moves by one for a whole block.
    BlockOverlaps,
    /// Every identity has pid 0.
    PidLeftOut,
    /// Behind the last sequence comes the first.
    EndWraps,
    /// A server goes on handing out while the exact sequence of its stop is made durable.
    ServesWhileStopping,
    /// An answer that waits for nothing overtakes those of its connection that wait for the disk.
    ReplyOvertakes,
    /// A request that cannot be served closes its connection.
    ErrorCloses,

    // The peers.
    /// The sequence of a peer replaces that of the server, the larger one too.
    SyncAssigns,
    /// Of a peer's sequence and that of the server the smaller one is taken.
    SyncTakesSmaller,
    /// A syncRequest is not answered.
    SyncNeverAnswers,
    /// Peers are told the ceiling.
    CeilingGossiped,
    /// Peers are told a sequence that is not durable yet.
    ToldBeforeDurable,
    /// A start that has to ask its peers hands out at once.
    JoinIgnored,
    /// Two live servers of one pid are not noticed.
    ConflictUnseen,
    /// A restart is taken for two live servers.
    RestartTakenForConflict,
    /// A state that is older than the one that is remembered is not noticed.
    RollbackUnseen,
    /// An objection is forgotten when the server is restarted.
    ObjectionNotDurable,

    // The loop and its connections.
    /// A request for identities goes to the head of the mailbox.
    MailboxLifo,
    /// A ticker that was stopped does not run again.
    TickerNotRestarted,
    /// The serial in a connection's id is not looked at, and a slot is not held for late answers.
    StaleToken,
    /// Reading stops after a short read, although the other side has closed and no edge comes any more.
    EdgeLost,
    /// The request behind the last one for which there is room is lost.
    RequestLostAtGate,
}

/// Whether that bug is to be made here.
#[cfg(not(sabotage))]
#[inline(always)]
pub const fn is(_: Sabotage) -> bool {
    false
}

/// Whether that bug is to be made here.
#[cfg(sabotage)]
#[inline]
pub fn is(sabotage: Sabotage) -> bool {
    CHOSEN.get() == Some(sabotage)
}

/// Turns one bug on for this thread, or none.
#[cfg(sabotage)]
pub fn choose(sabotage: Option<Sabotage>) {
    CHOSEN.set(sabotage);
}

#[cfg(sabotage)]
thread_local! {
    static CHOSEN: Cell<Option<Sabotage>> = Cell::new(from_environment());
}

/// The bug that a process is started with.
#[cfg(sabotage)]
fn from_environment() -> Option<Sabotage> {
    let name = std::env::var("IPSEITY_SABOTAGE").ok()?;
    let found = Sabotage::ALL.iter().find(|one| one.name() == name);
    Some(*found.unwrap_or_else(|| panic!("IPSEITY_SABOTAGE={name} is none of {:?}", Sabotage::ALL)))
}

#[cfg(sabotage)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_and_a_description_of_its_own() {
        for (index, one) in Sabotage::ALL.iter().enumerate() {
            assert!(one.description().ends_with('.'), "{}", one.name());
            for other in &Sabotage::ALL[..index] {
                assert_ne!(one.name(), other.name());
                assert_ne!(one.description(), other.description());
            }
        }
    }

    #[test]
    fn a_choice_counts_for_one_bug_and_one_thread() {
        let is_on = |one: &&Sabotage| is(**one);
        choose(Some(Sabotage::EdgeLost));
        let on: Vec<_> = Sabotage::ALL.iter().filter(is_on).collect();
        assert_eq!(on, [&Sabotage::EdgeLost]);
        let elsewhere = std::thread::spawn(move || is(Sabotage::EdgeLost));
        let expected = from_environment() == Some(Sabotage::EdgeLost);
        assert_eq!(elsewhere.join().unwrap(), expected);
        choose(None);
        assert!(!Sabotage::ALL.iter().any(|one| is(*one)));
    }
}
