//! Looking up names with the system's resolver, which blocks. Each lookup has a thread of its own, so that a name that
//! hangs keeps no other waiting. The server looks up each name once at a time, so there are [`LOOKUPS_MAX`] at most.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    thread,
};

use super::{Done, Reporter};
use ipseity_core::{address::HostPort, ids::NameId};

use crate::limits::{LOOKUP_STACK_BYTES, LOOKUPS_MAX};

/// Starts a lookup. If it cannot be started, it is reported as failed, and the server tries it again later.
pub(super) fn begin(name: NameId, text: &str, reporter: &Reporter) {
    debug_assert!(usize::from(name.0) < LOOKUPS_MAX);
    let (text, on_thread) = (text.to_owned(), reporter.clone());
    let lookup = move || on_thread.report(Done::Resolved(name, look_up(&text)));
    let thread = thread::Builder::new()
        .name("ipseity-lookup".to_owned())
        .stack_size(LOOKUP_STACK_BYTES);
    if let Err(error) = thread.spawn(lookup) {
        reporter.report(Done::Resolved(name, Err(error)));
    }
}

/// All addresses of a name, `host:port`, in the order in which the system recommends them. The host may also be an
/// address with a zone (`fe80::1%eth0`): the system knows which interface that is. It blocks.
pub(super) fn look_up(text: &str) -> io::Result<Vec<SocketAddr>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "it is not HOST:PORT");
    let address: HostPort = text.parse().map_err(|_| invalid())?;
    let port = address.port().ok_or_else(invalid)?;
    (address.host(), port)
        .to_socket_addrs()
        .map(Iterator::collect)
}
