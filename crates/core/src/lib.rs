//! The core of Ipseity: identities, the words that are said about them, and the actor that hands them out.
//!
//! It knows no socket, no clock, no file, no randomness and no bytes of the wire: given events and the present
//! moment, it says what to send and what to make durable. So it runs unchanged under a simulated network, disk
//! and time.
//!
//! - [`limits`]: every bound of the core, with its reason.
//! - [`text`]: texts that came from somebody else, made safe to show.
//! - [`time`]: a moment as a plain number; nothing reads a clock here.
//! - [`address`]: an address as people give it, as text.
//! - [`identity`]: the identity, its sequence and its pid; packing, order, text.
//! - [`ids`]: the names of connections and peers.
//! - [`words`]: messages, error codes and the status: what is said, without its bytes.
//! - [`actor`]: the state machine that owns the sequence.
//! - [`timer`]: the ticker and the few other deadlines.

pub mod actor;
pub mod address;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod text;
pub mod time;
pub mod timer;
pub mod words;
