//! How a server does: the fields of a statusReply.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    VitalsStatus,
    fields::{list, shared_text, text, write_shared_text},
    name::ClusterName,
};
use crate::identity::Pid;

/// How a server does, for `ipseity-cli status` and for monitors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program, such as `0.1.0`.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// The cluster that the server belongs to.
    pub cluster: ClusterName,
    /// The server's own number in its cluster, 0 to 1023.
    pub pid: Pid,
    /// The random value made with its state directory. This and the next two are 0 if they are not shown: see
    /// [`life`](Status::life).
    pub incarnation: u128,
    /// How many times that directory has been started.
    pub boot: u64,
    /// The random value of this process.
    pub session: u64,
    /// Whether identities are handed out, and if not, why.
    pub standing: Standing,
    /// The highest sequence handed out or absorbed.
    pub sequence: u64,
    /// Milliseconds since the process began to serve.
    pub uptime_ms: u64,
    /// Connections that are open now, the asking one included.
    pub connections: u32,
    /// The most connections that this server takes.
    pub connections_max: u32,
    /// What has been done since the start.
    pub counters: Counters,
    /// How the state directory does: its ceiling, and how long writes take.
    pub storage: StorageStatus,
    /// How many peers there are in all; the list below holds as many as fit into a frame.
    pub peers_total: u32,
    /// The peers, those named with `--peer` first. What is too long for a frame loses its last peers when it
    /// is encoded.
    #[serde(deserialize_with = "list")]
    pub peers: Vec<PeerStatus>,
    /// What the bounds over all connections have come to.
    pub bounds: BoundsStatus,
    /// How TLS does.
    pub tls: TlsStatus,
    /// What the loop, the disk and the connections do.
    pub vitals: VitalsStatus,
    /// How far its start has come; `None` once that is decided, and for a server that asks nobody.
    pub join: Option<JoinStatus>,
    /// The objection because of which it hands out nothing, if there is one.
    pub objection: Option<ObjectionStatus>,
    /// Where its state is kept, and whether that answers.
    pub store: StoreStatus,
    /// What came of looking again before it slept. New fields are added behind it, so a client that skips the rest of a
    /// frame still works.
    pub spin: SpinStatus,
}

/// How often the loop looked again for a while before it slept (`--spin`), and what came of that, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpinStatus {
    /// How often it did.
    pub spins: u64,
    /// How often something came meanwhile.
    pub met: u64,
    /// How long that took in all, in microseconds.
    pub took_us: u64,
}

/// How far a start has come for which peers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinStatus {
    /// How many peers have accepted it. Where a majority is needed, only those are counted that have a vote.
    pub accepted: u32,
    /// How many of them have noted durably that it has the pid.
    pub confirmed: u32,
    /// How many must do both. With 0 it waits for those that can answer.
    pub needed: u32,
}

/// An objection to a server, as it is shown to people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectionStatus {
    /// What `--recover-above` must be at least; 0 if no sequence is known.
    pub above: u64,
    /// Which peer objects: its address as in the list of the peers. Empty if none has objected since the server was
    /// started, and an earlier run has noted it.
    #[serde(deserialize_with = "text")]
    pub peer: String,
    /// The pid of that peer, if it is known.
    pub pid: Option<Pid>,
    /// What it has said: what happened and what to do. Empty like the peer.
    #[serde(deserialize_with = "text")]
    pub reason: String,
}

/// How TLS does. Everything is zero, and no certificate is shown, if the server offers none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsStatus {
    /// Whether connections may use TLS.
    pub offered: bool,
    /// Connections with TLS that are open now, those to peers included.
    pub connections: u64,
    /// Handshakes that have succeeded.
    pub handshakes: u64,
    /// Handshakes that have failed, took too long, or showed a certificate that gives no role.
    pub handshakes_failed: u64,
    /// Handshakes of others with this server that are under way now.
    pub handshakes_under_way: u64,
    /// The longest time that a handshake has waited for its turn, in microseconds.
    pub longest_wait_us: u64,
    /// The certificates that the server has: its own first, then those of its CAs.
    #[serde(deserialize_with = "list")]
    pub certificates: Vec<CertificateStatus>,
}

/// A certificate that a server has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// What it is for, such as `the certificate of this server`.
    #[serde(deserialize_with = "text")]
    pub purpose: String,
    /// Whose it is: its common name, or another name in it.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// For how many seconds it is still valid; 0 if it has expired.
    pub expires_in_s: u64,
}

/// What the bounds over all connections have come to: what waits, and what was dropped or closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundsStatus {
    /// Requests that wait for the disk now.
    pub waiting_for_disk: u64,
    /// Log lines that were dropped, because nobody reads the log or it cannot be written.
    pub log_lines_dropped: u64,
    /// Bytes of memory, in the server and in the kernel, that hold replies which wait, for all connections together.
    pub pending_bytes: u64,
    /// Clients that were cut off because too many bytes waited for all of them together.
    pub cut_off: u64,
    /// Connections that were refused because their address had as many as it may have.
    pub refused_for_address: u64,
    /// Idle connections that were closed to make room for others.
    pub closed_idle: u64,
    /// How far a peer, or the `after` of a client, may raise the sequence at once (`--max-advance`).
    pub advance_max: u64,
}

/// What a server has done since it started. Each only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Connections accepted, also those that were refused for lack of room.
    pub accepted: u64,
    /// Identity requests answered with identities.
    pub identity_requests: u64,
    /// Identities handed out, a block counted with all that it holds.
    pub identities: u64,
    /// Identity requests that had to wait for the disk.
    pub waited: u64,
    /// Sync requests of peers that were answered with a syncReply.
    pub sync_requests: u64,
    /// Sync replies that peers sent to requests of this server.
    pub sync_replies: u64,
    /// Times the sequence was raised by a peer or by `after`.
    pub absorbed: u64,
    /// Error replies sent, by code, in the order of the codes.
    #[serde(deserialize_with = "list")]
    pub errors: Vec<(u16, u64)>,
}

/// The state of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageStatus {
    /// False under `--ephemeral`, where nothing is written and the rest is zero.
    pub durable: bool,
    /// The highest sequence that may be handed out before the disk must be written again.
    pub ceiling: u64,
    /// Sequences that this start skipped, because the last run did not stop cleanly.
    pub skipped: u64,
    /// Writes of the state file that are done and durable.
    pub writes: u64,
    /// Microseconds that the longest write took.
    pub longest_write_us: u64,
    /// Microseconds since the write that is under way began; 0 if there is none.
    pub current_write_us: u64,
}

/// Where the state of a server is kept, and whether that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// What keeps the state.
    pub kind: StoreKind,
    /// Whether it answers.
    pub state: StoreState,
    /// Microseconds since the moment from which on the store has confirmed last that this life has its pid; 0 if it has
    /// nothing to confirm.
    pub confirmed_us: u64,
    /// Where it is, such as `etcd://one:2379/ipseity`. Empty if there is nothing to confirm.
    #[serde(deserialize_with = "text")]
    pub target: String,
    /// Microseconds that it took for the last sign of life; 0 before the first.
    pub answered_us: u64,
    /// How often it has not confirmed in time that this life has its pid.
    pub doubts: u64,
    /// How often the lease had ended and was made anew, because nobody had taken the pid meanwhile.
    pub leases_lost: u64,
    /// Another life has the pid, and this one is about to exit.
    pub fenced: bool,
}

/// What keeps the state of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum StoreKind {
    /// Nothing: the server was started with `--ephemeral`.
    #[default]
    None = 0,
    /// A state directory.
    Directory = 1,
    /// A cluster of etcd.
    Etcd = 2,
}

impl StoreKind {
    /// Every kind there is, in the order of their numbers.
    pub const ALL: [StoreKind; 3] = [StoreKind::None, StoreKind::Directory, StoreKind::Etcd];

    /// The word in `status` and in JSON. Programs compare it, so it never changes.
    pub const fn name(self) -> &'static str {
        match self {
            StoreKind::None => "none",
            StoreKind::Directory => "directory",
            StoreKind::Etcd => "etcd",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<StoreKind> for u8 {
    fn from(kind: StoreKind) -> u8 {
        kind as u8
    }
}

impl TryFrom<u8> for StoreKind {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        StoreKind::ALL
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or_else(|| format!("{byte} is not a kind of store"))
    }
}

/// Whether the store of a server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum StoreState {
    /// It answers; or nobody has waited for it for long.
    #[default]
    Ready = 0,
    /// It has not confirmed in time that the server has its pid. Requests for identities wait.
    InDoubt = 1,
    /// Requests have waited for it for so long that those which need it are refused.
    Away = 2,
}

impl StoreState {
    /// Every state there is, in the order of their numbers.
    pub const ALL: [StoreState; 3] = [StoreState::Ready, StoreState::InDoubt, StoreState::Away];

    /// The word in `status` and in JSON. Programs compare it, so it never changes.
    pub const fn name(self) -> &'static str {
        match self {
            StoreState::Ready => "ready",
            StoreState::InDoubt => "in doubt",
            StoreState::Away => "away",
        }
    }
}

impl fmt::Display for StoreState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<StoreState> for u8 {
    fn from(state: StoreState) -> u8 {
        state as u8
    }
}

impl TryFrom<u8> for StoreState {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        StoreState::ALL
            .into_iter()
            .find(|state| *state as u8 == byte)
            .ok_or_else(|| format!("{byte} is not the state of a store"))
    }
}

/// Whether a server hands out identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum Standing {
    /// It hands out identities.
    Serving = 0,
    /// It is stopping: requests that have arrived are still answered.
    Stopping = 1,
    /// The disk failed: identities up to the durable ceiling are still handed out.
    StorageFailed = 2,
    /// It asks its peers first whether they object to it.
    Joining = 3,
    /// Another live server has the same pid.
    Conflict = 4,
    /// Its state is older than what its peers remember of its pid.
    Stale = 5,
    /// Requests wait for a write to the disk that is late, or for a store that does not answer. Identities up to the durable
    /// ceiling are handed out, unless the store has to confirm first that this server still has its pid.
    WaitingForDisk = 6,
    /// All sequences are used up, for good.
    Exhausted = 7,
}

impl Standing {
    /// Every standing there is, in the order of their numbers.
    pub const ALL: [Standing; 8] = [
        Standing::Serving,
        Standing::Stopping,
        Standing::StorageFailed,
        Standing::Joining,
        Standing::Conflict,
        Standing::Stale,
        Standing::WaitingForDisk,
        Standing::Exhausted,
    ];

    /// Whether a request for identities can expect to get some. A server whose disk has failed still has a few, but may
    /// exit at any moment, so this is false.
    pub const fn hands_out(self) -> bool {
        match self {
            Standing::Serving => true,
            Standing::Stopping
            | Standing::StorageFailed
            | Standing::Joining
            | Standing::Conflict
            | Standing::Stale
            | Standing::WaitingForDisk
            | Standing::Exhausted => false,
        }
    }

    /// The word in `status`, in JSON and in logs. Programs compare it, so it never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Standing::Serving => "serving",
            Standing::Stopping => "stopping",
            Standing::StorageFailed => "storage failed",
            Standing::Joining => "joining",
            Standing::Conflict => "pid conflict",
            Standing::Stale => "stale state",
            Standing::WaitingForDisk => "waiting for the disk",
            Standing::Exhausted => "exhausted",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Standing> for u8 {
    fn from(standing: Standing) -> u8 {
        standing as u8
    }
}

impl TryFrom<u8> for Standing {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        Standing::ALL
            .into_iter()
            .find(|standing| *standing as u8 == byte)
            .ok_or_else(|| format!("{byte} is not a standing"))
    }
}

/// One peer, as a server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// As it was named with `--peer`, or the address that it connected from. It is shared like that of a
    /// [`Member`](super::Member).
    #[serde(serialize_with = "write_shared_text", deserialize_with = "shared_text")]
    pub address: Arc<str>,
    /// Its pid, once it has said so.
    pub pid: Option<Pid>,
    /// How the connection to it stands.
    pub state: PeerState,
    /// Whether that connection uses TLS.
    pub tls: bool,
    /// The sequence that it told last; 0 before it has spoken.
    pub sequence: u64,
    /// Milliseconds since it last spoke, if it ever did.
    pub last_heard_ms: Option<u64>,
}

/// How the connection to a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum PeerState {
    /// Not connected: waiting to try again.
    Down = 0,
    /// Looking up its name, or connecting.
    Connecting = 1,
    /// Connected, and it has not answered yet.
    Connected = 2,
    /// It has answered: the two synchronize.
    Up = 3,
    /// It refused us, or we refused it; the log says why.
    Refused = 4,
}

impl PeerState {
    /// Every state there is, in the order of their numbers.
    pub const ALL: [PeerState; 5] = [
        PeerState::Down,
        PeerState::Connecting,
        PeerState::Connected,
        PeerState::Up,
        PeerState::Refused,
    ];

    /// The word in `status` and in JSON. Programs compare it, so it never changes.
    pub const fn name(self) -> &'static str {
        match self {
            PeerState::Down => "down",
            PeerState::Connecting => "connecting",
            PeerState::Connected => "connected",
            PeerState::Up => "up",
            PeerState::Refused => "refused",
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<PeerState> for u8 {
    fn from(state: PeerState) -> u8 {
        state as u8
    }
}

impl TryFrom<u8> for PeerState {
    type Error = String;

    fn try_from(byte: u8) -> Result<Self, String> {
        PeerState::ALL
            .into_iter()
            .find(|state| *state as u8 == byte)
            .ok_or_else(|| format!("{byte} is not the state of a peer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bytes_of_states_agree() {
        for byte in 0..=255u8 {
            if let Ok(standing) = Standing::try_from(byte) {
                assert_eq!(u8::from(standing), byte);
                assert!(!standing.to_string().is_empty());
            }
            if let Ok(kind) = StoreKind::try_from(byte) {
                assert_eq!(u8::from(kind), byte);
                assert!(!kind.to_string().is_empty());
            }
            if let Ok(state) = StoreState::try_from(byte) {
                assert_eq!(u8::from(state), byte);
                assert!(!state.to_string().is_empty());
            }
            if let Ok(state) = PeerState::try_from(byte) {
                assert_eq!(u8::from(state), byte);
                assert!(!state.to_string().is_empty());
            }
        }
        let words = Standing::ALL.map(Standing::name).join(", ");
        assert_eq!(
            words,
            "serving, stopping, storage failed, joining, pid conflict, stale state, waiting for the disk, exhausted"
        );
        assert_eq!(
            PeerState::ALL.map(PeerState::name).join(", "),
            "down, connecting, connected, up, refused"
        );
        assert!(Standing::try_from(200).is_err());
        assert!(PeerState::try_from(5).is_err());
        assert!(StoreKind::try_from(3).is_err());
        assert!(StoreState::try_from(3).is_err());
    }
}
