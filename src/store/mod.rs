//! The state directory: what a server must still know after a crash. It is made durable before the server acts on it.
//!
//! ```text
//! directory   the lock, the file, the order of a start      Store
//!     │   └─▶ state_file   one file: O_DIRECT, or buffered with fdatasync
//!     ▼
//!  starting    what a start does with the blocks
//!     ▼
//!   slots      which block holds what, and which to believe; runs on anything that has four blocks
//!     ▼
//!   record     the bytes of a block
//!
//! members     what other servers have said about themselves    MembersFile
//! moving      takes the state out, for another store              Moving
//! prospect    what a start would make of it                       prospect
//! ```
//!
//! The calls block until the disk has answered. Nothing here knows a socket or the time, writes to a log, or tries a
//! failed write again. It may import `identity`, `limits`, the cluster's name, the marks of a life, and the plain data of
//! `actor`.

mod directory;
mod error;
mod files;
mod lock;
mod members;
mod moving;
mod prospect;
pub mod record;
pub mod slots;
mod starting;
mod state_file;

pub use directory::{FILES, Store, StoreOptions};
pub use error::StoreError;
pub use members::{MembersError, MembersFault, MembersFile};
pub use moving::{Moving, open_to_move};
pub use prospect::{Prospect, prospect};
pub use starting::{Note, Started, begin};
