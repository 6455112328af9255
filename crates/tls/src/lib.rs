//! What the server, the client library and the command line share about TLS: which versions and suites are spoken, how
//! certificates and keys are read from files, what a certificate says, and what a failed handshake means in plain words.
//!
//! No socket, and no clock: whoever needs to know what time it is passes it in. (A handshake reads the system's clock
//! itself, inside of rustls, to judge whether a certificate has expired.) Files are read only by [`Credentials::read`],
//! [`Roots::read`], [`read_certificates`], [`read_key`] and [`read_text`].

mod config;
mod credentials;
mod date;
mod dialer;
mod error;
mod explain;
mod facts;
pub mod limits;
mod pem;
mod provider;
mod role;
mod roots;
mod signing;
#[cfg(test)]
mod tests;
mod watched;
mod words;

pub use config::{client_config, client_config_with, server_name, unnameable};
pub use credentials::Credentials;
pub use date::Date;
pub use dialer::{Dialed, Dialer, TlsClient, TlsFailed};
pub use error::{Fault, TlsError};
pub use explain::{Context, Hints, explain};
pub use facts::Facts;
pub use pem::{read_certificates, read_key, read_text};
pub use provider::{PROTOCOLS, provider};
pub use role::Role;
pub use roots::Roots;
pub use watched::Watched;
