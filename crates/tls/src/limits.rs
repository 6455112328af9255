//! The bounds of what is read and shown, each with its reason.

/// The longest file that is read. It has room for some hundred certificates.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// How much of a name is shown, in characters. A stranger's certificate may have one of many kilobytes, and a line of a log
/// is no place for that.
pub const NAME_SHOWN_MAX: usize = 100;

/// The most certificates that are followed from one to the CA that signed it.
pub const CHAIN_MAX: usize = 8;
