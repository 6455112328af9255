//! The core of Ipseity: identities, the words that are said about them, and the actor that hands them out.
//!
//! It knows no socket, no clock, no file, no randomness and no bytes of the wire: given events and the present
//! moment, it says what to send and what to make durable. So it runs unchanged under a simulated network, disk
//! and time.
//!
//! - [`limits`]: every bound of the core, with its reason.
//! - [`time`]: a moment as a plain number; nothing reads a clock here.
//! - [`identity`]: the identity, its sequence and its pid; packing, order, text.
//! - [`ids`]: the names of connections and peers.
//! - [`words`]: messages, error codes and the status: what is said, without its bytes.
//! - [`actor`]: the state machine that owns the sequence.
//! - [`timer`]: the ticker and the few other deadlines.

pub mod actor;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod time;
pub mod timer;
pub mod words;
