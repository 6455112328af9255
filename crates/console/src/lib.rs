//! What Ipseity's two programs share for the people who use them: flags and values on the command line, how things are
//! shown, how an error is written, the version, and the limit of open files.
//!
//! It opens no file and looks up no name.

mod flag;
mod format;
mod nearest;
mod open_files;
mod streams;
mod terminal;
mod text;
mod value;
mod version;

pub use flag::{Flag, Flags, Takes, dashed, explain, usage};
pub use format::{
    Form, age, code_name, counted, grouped, milliseconds, remaining, remaining_percent, table,
};
pub use nearest::nearest;
pub use open_files::raise_open_files;
pub use streams::{complain, outlive_file_size_limit};
pub use terminal::{Key, Keyboard, window_lines};
pub use text::{plain, plain_json};
pub use value::{Expected, duration, number, parse_duration};
pub use version::{COMMIT, version};
