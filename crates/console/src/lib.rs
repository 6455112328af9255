//! What Ipseity's programs share towards the people who start them: flags and values as they are typed, how
//! things look, how a program says what went wrong, and the limit of open files.
//!
//! It opens nothing and looks nothing up.

mod flag;
mod format;
mod open_files;
mod streams;
mod text;
mod value;

pub use flag::{dashed, explain, usage};
pub use format::{Form, age, code_name, milliseconds, remaining, remaining_percent, table};
pub use open_files::raise_open_files;
pub use streams::{complain, outlive_file_size_limit};
pub use text::{plain, plain_json};
pub use value::{Expected, duration, number, parse_duration};
