//! What the command lines of Ipseity's programs share: durations as people write them, how things look, and
//! how a program says what went wrong.
//!
//! It opens nothing and looks nothing up.

mod duration;
mod format;
mod streams;

pub use duration::parse_duration;
pub use format::{Form, age, code_name, milliseconds, plain, remaining, remaining_percent, table};
pub use streams::{complain, outlive_file_size_limit};
