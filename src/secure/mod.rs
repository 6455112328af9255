//! TLS: which certificates and CAs the server has, what the certificate of the other side allows, and a layer of bytes
//! between the socket of a connection and its codec.
//!
//! ```text
//! files ──read──▶ Settings ──accept, dial──▶ Session     sealed bytes ◀──▶ opened bytes
//!                    │
//!                    └──grants──▶ what a certificate allows (roles)
//! ```
//!
//! It knows no socket and no connection: [`transport`](crate::transport) feeds the sessions. Only [`Settings::read`] opens
//! files, and it may block, so it is called before the loop begins and from a helper thread after that. It may import
//! `ipseity_tls`, which has what the clients use too, and the grants of the core.

mod roles;
mod session;
mod settings;

pub(crate) use session::Session;
pub use settings::{Files, Kept, Settings, Warning};

/// The first byte of every TLS handshake. No frame begins so: the longest that a client may send is shorter.
pub(crate) const FIRST_BYTE: u8 = 0x16;

/// Where connections without TLS are taken from, if the server offers TLS (`--plain`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainFrom {
    /// From nowhere.
    Nowhere,
    /// From this machine itself.
    #[default]
    Loopback,
    /// From anywhere, as without TLS.
    Anywhere,
}

/// The session of a connection that is about to be dialed.
#[derive(Debug)]
pub struct Dialing(pub(crate) Session);
