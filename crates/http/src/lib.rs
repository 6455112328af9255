//! HTTP, from bytes to what is asked and from answers to bytes, with the page of a server. It does no I/O and reads no
//! clock.
//!
//! - [`limits`]: every bound, with its reason.
//! - [`parse`]: the first request in what has arrived.
//! - [`Exchange`]: what a connection keeps of it until it is answered.
//! - `write_*`: the answers.

mod accept;
mod answer;
mod asked;
mod exchange;
mod head;
mod host;
pub mod limits;
mod page;
mod parse;
mod refusal;
mod status;
mod target;
mod wrong_port;

pub use answer::{Content, write_error, write_identities, write_page, write_refusal, write_text};
pub use asked::Asked;
pub use exchange::{Exchange, What};
pub use host::{HostNameError, HostNames};
pub use page::PAGE;
pub use parse::{Parsed, empty_lines, parse};
pub use refusal::{Allow, Parameter, Refusal, Shown, bad_count};
pub use status::StatusCode;
pub use wrong_port::looks_like_http;
