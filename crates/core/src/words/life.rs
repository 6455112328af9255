//! What servers tell each other about the lives of a pid. A life is one process of one state directory. All of this
//! serves the guard: nothing in it is ever absorbed.

use serde::{Deserialize, Serialize};

use crate::identity::Pid;

/// How far a life has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum Stage {
    /// It asks whether it may use its pid. It hands out nothing before it has decided.
    Joins = 0,
    /// It was accepted, and asks its peers to remember that. It hands out nothing before they do.
    Claims = 1,
    /// It hands out identities.
    #[default]
    Serves = 2,
    /// It hands out nothing any more: it was refused or objected to, it stops, or its disk failed.
    Rests = 3,
    /// It hands out nothing any more, because another life of its pid has served too.
    Clashes = 4,
}

impl Stage {
    /// Every stage, in the order of their numbers.
    pub const ALL: [Stage; 5] = [
        Stage::Joins,
        Stage::Claims,
        Stage::Serves,
        Stage::Rests,
        Stage::Clashes,
    ];

    /// The name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Joins => "joins",
            Stage::Claims => "claims",
            Stage::Serves => "serves",
            Stage::Rests => "rests",
            Stage::Clashes => "clashes",
        }
    }

    /// Whether it hands out nothing any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Stage::Rests | Stage::Clashes)
    }

    /// Whether it asks for its pid and waits for the answer.
    pub const fn asks(self) -> bool {
        matches!(self, Stage::Joins | Stage::Claims)
    }
}

impl From<Stage> for u8 {
    fn from(stage: Stage) -> u8 {
        stage as u8
    }
}

impl TryFrom<u8> for Stage {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        Stage::ALL
            .into_iter()
            .find(|stage| *stage as u8 == byte)
            .ok_or_else(|| format!("{byte} is not a stage of a life"))
    }
}

/// Whether the acceptance of a server counts as a vote where a majority is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum Vote {
    /// It does not: what the server remembers of its peers may be lost, or it hands out nothing any more.
    #[default]
    None = 0,
    /// It does: the server remembers its peers durably and goes on running.
    Counts = 1,
    /// It does not, and the server's state is in a store that fences: of two lives with one incarnation, the one with the
    /// higher boot has the pid, and the other one never raises its ceiling again.
    Fenced = 2,
}

impl Vote {
    /// Every value, in the order of their numbers.
    pub const ALL: [Vote; 3] = [Vote::None, Vote::Counts, Vote::Fenced];

    /// Whether it counts.
    pub const fn counts(self) -> bool {
        matches!(self, Vote::Counts)
    }

    /// Whether the sender's store fences.
    pub const fn is_fenced(self) -> bool {
        matches!(self, Vote::Fenced)
    }

    /// The word in a trace.
    pub const fn name(self) -> &'static str {
        match self {
            Vote::None => "false",
            Vote::Counts => "true",
            Vote::Fenced => "fenced",
        }
    }
}

impl From<Vote> for u8 {
    fn from(vote: Vote) -> u8 {
        vote as u8
    }
}

impl TryFrom<u8> for Vote {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        Vote::ALL
            .into_iter()
            .find(|vote| *vote as u8 == byte)
            .ok_or_else(|| format!("{byte} does not say whether a server votes"))
    }
}

/// The part of a sync message that serves only the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How far the sender has come.
    pub stage: Stage,
    /// The highest ceiling that this life of the sender has made durable. Identities up to it may have been handed out.
    pub ceiling: u64,
    /// Whether the acceptance of the sender counts as a vote.
    pub votes: Vote,
    /// The last life of the pid of the addressed server that has served, as far as the sender remembers one.
    pub known: Option<KnownLife>,
    /// The life that has claimed that pid since then, if there is one, and if it is another one than the addressed.
    pub claimed: Option<KnownLife>,
    /// The number of this message: the sender's session plus its position among all messages that the sender has sent and
    /// received, wrapping. No two messages of a process have the same.
    pub nonce: u64,
    /// The nonce of the newest message that the sender has received from the addressed server, on this connection or an
    /// earlier one; 0 if there is none. It proves that the sender was alive after that message.
    pub heard: u64,
    /// Why the sender does not absorb the sequence of the message that this one answers: the number of an
    /// [`ErrorCode`](super::ErrorCode), or 0 if it does.
    pub refused: u16,
}

/// A life that is remembered of a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownLife {
    /// How many times its state directory had been started.
    pub boot: u64,
    /// The random value of its process.
    pub session: u64,
    /// The highest ceiling that it has told.
    pub ceiling: u64,
    /// The highest sequence that is known of the pid.
    pub sequence: u64,
}

/// Asks one life whether it is alive, because another one wants its pid. [`Message::Alive`](super::Message::Alive)
/// answers it, on the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The pid of the addressed server.
    pub pid: Pid,
    /// The random value of the addressed process. Any other process does not answer.
    pub session: u64,
    /// The number of this message, see [`Told::nonce`]. The answer has the same.
    pub nonce: u64,
}

/// Says that a life is over: it was stopped, or it gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Its pid.
    pub pid: Pid,
    /// The random value of its process.
    pub session: u64,
    /// Whether it may have handed out identities.
    pub served: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_their_bytes_agree() {
        for byte in 0..=u8::MAX {
            match Stage::try_from(byte) {
                Ok(stage) => assert_eq!(u8::from(stage), byte),
                Err(error) => assert_eq!(error, format!("{byte} is not a stage of a life")),
            }
        }
        let known = (0..=u8::MAX).filter(|byte| Stage::try_from(*byte).is_ok());
        assert_eq!(known.count(), Stage::ALL.len());
    }

    #[test]
    fn votes_and_their_bytes_agree() {
        for byte in 0..=u8::MAX {
            match Vote::try_from(byte) {
                Ok(vote) => assert_eq!(u8::from(vote), byte),
                Err(error) => {
                    assert_eq!(error, format!("{byte} does not say whether a server votes"));
                }
            }
        }
        let known = (0..=u8::MAX).filter(|byte| Vote::try_from(*byte).is_ok());
        assert_eq!(known.count(), Vote::ALL.len());
        assert!(Vote::Counts.counts() && !Vote::Fenced.counts() && !Vote::None.counts());
    }
}
