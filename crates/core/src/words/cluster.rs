//! What servers of a cluster tell each other and their operators about themselves.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::fields::{list, shared_text, text, write_shared_text};
use crate::{identity::Pid, limits::ERROR_TEXT_BYTES_MAX, words::ErrorCode};

/// Says to one process why it must not hand out identities. Nothing answers it, except an [`Overrule`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    /// The pid of the addressed server.
    pub pid: Pid,
    /// The random value of the addressed process. Any other process ignores the objection, so that it can
    /// never hit the next one.
    pub session: u64,
    /// [`ErrorCode::PidConflict`] or [`ErrorCode::StaleState`], as a raw integer.
    pub code: u16,
    /// The highest sequence that is known of the pid.
    pub sequence: u64,
    /// What happened and what to do, in plain words, at most 512 bytes.
    #[serde(deserialize_with = "text")]
    pub message: String,
}

impl Objection {
    /// An objection with a text cut to what a frame may carry.
    pub fn new(pid: Pid, session: u64, code: ErrorCode, sequence: u64, message: &str) -> Objection {
        let cut = message.floor_char_boundary(ERROR_TEXT_BYTES_MAX);
        let message = message[..cut].to_owned();
        Objection {
            pid,
            session,
            code: code.get(),
            sequence,
            message,
        }
    }
}

/// Answers an objection about an older state: an operator has said above which sequence this directory
/// begins, and that is no lower than what is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrule {
    /// The pid of the server that was objected to.
    pub pid: Pid,
    /// The random value made with its state directory.
    pub incarnation: u128,
    /// The random value of its process.
    pub session: u64,
    /// The operator's word. A raw integer, see [`SyncMessage::sequence`](super::SyncMessage::sequence).
    pub above: u64,
}

/// What an operator has a server forget. The numbers are those on the wire, before the pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u8, Pid)", into = "(u8, Pid)")]
pub enum Forget {
    /// 0: everything that is remembered of a pid.
    All(Pid),
    /// 1: the lives that have claimed a pid and never said that they serve.
    NeverServed(Pid),
    /// 2: such lives of every pid. The pid on the wire is 0.
    AllNeverServed,
}

impl From<Forget> for (u8, Pid) {
    fn from(forget: Forget) -> (u8, Pid) {
        match forget {
            Forget::All(pid) => (0, pid),
            Forget::NeverServed(pid) => (1, pid),
            Forget::AllNeverServed => (2, Pid::MIN),
        }
    }
}

impl TryFrom<(u8, Pid)> for Forget {
    type Error = String;

    fn try_from(fields: (u8, Pid)) -> Result<Self, String> {
        match fields {
            (0, pid) => Ok(Forget::All(pid)),
            (1, pid) => Ok(Forget::NeverServed(pid)),
            (2, Pid::MIN) => Ok(Forget::AllNeverServed),
            (2, pid) => Err(format!("all pids are meant, and pid {pid} is named")),
            (what, _) => Err(format!("{what} is nothing that can be forgotten")),
        }
    }
}

impl fmt::Display for Forget {
    /// The text in a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forget::All(pid) => write!(f, "pid={pid}"),
            Forget::NeverServed(pid) => write!(f, "pid={pid} neverServed"),
            Forget::AllNeverServed => f.write_str("neverServed"),
        }
    }
}

/// Servers that one server knows, by pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// How many there are from the pid on that was asked for. The list holds as many as fit into a frame;
    /// the rest is asked for from the pid after the last.
    pub total: u32,
    /// The servers, in the order of their pids.
    #[serde(deserialize_with = "list")]
    pub members: Vec<Member>,
}

/// What one server knows of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its own number in the cluster, 0 to 1023.
    pub pid: Pid,
    /// The random value made with its state directory. This and the next two are 0 if they are not shown: see
    /// [`life`](Member::life).
    pub incarnation: u128,
    /// How many times that directory has been started.
    pub boot: u64,
    /// The random value of its process.
    pub session: u64,
    /// The highest sequence that it has told.
    pub sequence: u64,
    /// Where this server dials it, or the host that it connected from, without a port. Empty if it was last heard before
    /// this server was started. At most 261 bytes. It is shared with the server's
    /// list, because a reply has up to a thousand of them.
    #[serde(serialize_with = "write_shared_text", deserialize_with = "shared_text")]
    pub address: Arc<str>,
    /// Milliseconds since it was last heard; `None` if that was before this server was started.
    pub last_heard_ms: Option<u64>,
    /// What this server objects to: the number of an [`ErrorCode`], or 0 for nothing.
    pub objection: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objection_is_cut_to_what_a_frame_may_carry() {
        let say = |message: &str| Objection::new(Pid::MAX, 1, ErrorCode::StaleState, 2, message);
        assert_eq!(
            say("older"),
            Objection {
                pid: Pid::MAX,
                session: 1,
                code: ErrorCode::StaleState.get(),
                sequence: 2,
                message: "older".to_owned(),
            }
        );
        // At a character: this one has two bytes, and the limit is even.
        let long = format!("x{}", "é".repeat(ERROR_TEXT_BYTES_MAX));
        assert_eq!(say(&long).message.len(), ERROR_TEXT_BYTES_MAX - 1);
    }
}
