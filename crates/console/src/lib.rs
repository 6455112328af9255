//! What the command lines of Ipseity's programs share: durations as people write them, and how things look.
//!
//! It opens nothing and looks nothing up.

mod duration;
mod format;

pub use duration::parse_duration;
pub use format::{Form, age, code_name, milliseconds, plain, remaining, remaining_percent, table};
