//! The words: what clients, peers and servers say to each other, and what a server says of itself. No bytes: a
//! codec turns bytes into words, and words into bytes.
//!
//! It may import `identity` and `limits`.

mod cluster;
mod entry_kind;
mod error;
mod fields;
mod grants;
mod hello;
mod life;
mod marks;
mod message;
mod name;
mod status;
mod vitals;

pub use cluster::{Forget, Member, Members, Objection, Overrule};
pub use entry_kind::EntryKind;
pub use error::ErrorCode;
pub use grants::{DecidedBy, Grant, Grants};
pub use hello::{Hello, Introduction};
pub use life::{Goodbye, KnownLife, Probe, Stage, Told, Vote};
pub use marks::LifeMarks;
pub use message::{ErrorReply, Message, SyncMessage, WIRE_VERSION};
pub use name::{ClusterName, ClusterNameError};
pub use status::{
    BoundsStatus, CertificateStatus, Counters, JoinStatus, ObjectionStatus, PeerState, PeerStatus,
    SpinStatus, Standing, Status, StorageStatus, StoreKind, StoreState, StoreStatus, TlsStatus,
};
pub use vitals::{CodecStatus, GrantCounts, Histogram, VitalsStatus, WriteTimes};
