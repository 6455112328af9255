//! The length field of a frame, and which lengths each kind may have.

use ipseity_core::limits::{CLUSTER_NAME_BYTES_MAX, ERROR_TEXT_BYTES_MAX, VERSION_BYTES_MAX};

use crate::{
    kind::Kind,
    limits::{FRAME_BYTES_MAX, SYNC_LENGTH_MAX},
};

/// The bytes of a frame's length field, which do not count themselves.
pub(crate) const LENGTH_BYTES: usize = 2;

/// The greatest length field there is.
pub(crate) const LENGTH_MAX: u16 = (FRAME_BYTES_MAX - LENGTH_BYTES) as u16;

/// The least and the greatest length field of a kind. An identityRequest has one of these two; the lengths
/// between them are refused.
pub(crate) const fn length_bounds(kind: Kind) -> (u16, u16) {
    /// The kind and the version, which is all that is read of a message of another version. A message of this version
    /// is longer, and one that is too short for its fields does not decode.
    const SYNC_LEAST: u16 = 1 + 2;
    /// All texts and lists are empty, except for the cluster's name, which has one byte.
    const STATUS_LEAST: u16 = 480;
    match kind {
        Kind::IdentityRequest => (1, 13),
        Kind::IdentityReply => (13, 13),
        Kind::SyncRequest | Kind::SyncReply => (SYNC_LEAST, SYNC_LENGTH_MAX),
        Kind::StatusRequest => (1, 1),
        Kind::StatusReply => (STATUS_LEAST, LENGTH_MAX),
        Kind::Objection => (29, 29 + ERROR_TEXT_BYTES_MAX as u16),
        Kind::Overrule => (35, 35),
        Kind::Probe | Kind::Alive => (19, 19),
        Kind::Goodbye => (12, 12),
        Kind::MembersRequest => (3, 3),
        Kind::ForgetRequest => (4, 4),
        Kind::HelloRequest => (9, 9 + CLUSTER_NAME_BYTES_MAX as u16),
        Kind::HelloReply => (27, 26 + (CLUSTER_NAME_BYTES_MAX + VERSION_BYTES_MAX) as u16),
        Kind::MembersReply => (13, LENGTH_MAX),
        Kind::AdvanceRequest | Kind::DoneReply => (9, 9),
        Kind::ErrorReply => (11, 11 + ERROR_TEXT_BYTES_MAX as u16),
    }
}

/// Whether a frame of this kind may have this length.
pub(crate) const fn length_fits(kind: Kind, length: u16) -> bool {
    let (least, most) = length_bounds(kind);
    match kind {
        Kind::IdentityRequest => length == least || length == most,
        _ => least <= length && length <= most,
    }
}
