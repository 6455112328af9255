//! What the supervisor that started this process is told, in the way of systemd: short texts that are sent to the socket
//! which `NOTIFY_SOCKET` names.
//!
//! The crate `sd-notify` has the words and reads `WATCHDOG_USEC`. It does not send them here, because its socket waits while
//! the supervisor does not read, and because it does not know the abstract names that begin with `@`.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{
        ffi::OsStrExt as _,
        net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use ipseity_core::words::Standing;
use log::warn;
use sd_notify::{NotifyState, watchdog_enabled};

use crate::limits::{NOTIFY_RETRY, WATCHDOG_PING_MIN};

/// The variable that names the socket.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Supervisor {
    /// It does not block. `None` if nobody wants to be told, or can be told any more.
    socket: Option<UnixDatagram>,
    /// How often the watchdog is told that the loop turns; `None` if there is none.
    ping_every: Option<Duration>,
    /// What was told last; `None` before the first time.
    told: Option<Standing>,
    /// The last text could not be sent.
    is_failing: bool,
}

impl Supervisor {
    /// As the environment names it. Anything that is wrong with it is logged, and then nobody is told.
    pub(super) fn from_environment() -> Supervisor {
        let name = env::var_os(NOTIFY_SOCKET).filter(|name| !name.is_empty());
        let socket = name.and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                warn!(
                    event = "supervisorNotTold", reason:% = error;
                    "cannot reach the supervisor at {name:?}, which NOTIFY_SOCKET names: {error}; it is not told how this \
                     server stands"
                );
                None
            }
        });
        // Twice in the time after which it takes the process for dead.
        let ping_every = watchdog_enabled()
            .filter(|timeout| !timeout.is_zero())
            .map(|timeout| (timeout / 2).max(WATCHDOG_PING_MIN));
        Supervisor {
            socket,
            ping_every,
            told: None,
            is_failing: false,
        }
    }

    /// See [`Edge::notify`](crate::edge::Edge::notify).
    pub(super) fn notify(&mut self, standing: Standing) -> Option<Duration> {
        let socket = self.socket.as_ref()?;
        let text = self.text(standing);
        if text.is_empty() {
            return None;
        }
        match socket.send(text.as_bytes()) {
            Ok(_) => {
                self.told = Some(standing);
                self.is_failing = false;
                self.ping_every
            }
            Err(error) => self.on_error(&error),
        }
    }

    /// Everything that it does not know yet, in one text: either all of it arrives or nothing.
    fn text(&self, standing: Standing) -> String {
        let mut states = Vec::new();
        if self.told.is_none() {
            states.push(NotifyState::Ready);
        }
        if self.told != Some(standing) {
            if standing == Standing::Stopping {
                states.push(NotifyState::Stopping);
            }
            states.push(NotifyState::Status(meaning(standing)));
        }
        if self.ping_every.is_some() {
            states.push(NotifyState::Watchdog);
        }
        states.iter().map(|state| format!("{state}\n")).collect()
    }

    /// Tries again soon if the supervisor only does not read at the moment. Each time that this begins, it is logged once.
    fn on_error(&mut self, error: &io::Error) -> Option<Duration> {
        let is_busy = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        );
        if !self.is_failing {
            let then = match is_busy {
                true => "trying again",
                false => "not trying again",
            };
            warn!(
                event = "supervisorNotTold", reason:% = error;
                "cannot tell the supervisor how this server stands: {error}; {then}"
            );
        }
        self.is_failing = true;
        if !is_busy {
            self.socket = None;
        }
        // A watchdog does not wait longer because it took no message once.
        is_busy.then(|| self.ping_every.unwrap_or(NOTIFY_RETRY).min(NOTIFY_RETRY))
    }
}

/// Connects at the start, so that nothing has to be looked up in a file system later.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match name.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&abstract_address(name)?)?,
        [b'/', ..] => socket.connect(name)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it is neither a path that begins with / nor an abstract name that begins with @",
            ));
        }
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;

    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only Linux has abstract names",
    ))
}

/// The line that `systemctl status` shows.
const fn meaning(standing: Standing) -> &'static str {
    match standing {
        Standing::Serving => "serving",
        Standing::Joining => "joining: asking its peers before it hands out identities",
        Standing::WaitingForDisk => {
            "waiting for the disk: requests wait for a write to the disk, or for etcd"
        }
        Standing::Conflict => {
            "pid conflict: not handing out identities, because a peer objects; the log says what to do"
        }
        Standing::Stale => {
            "stale state: not handing out identities, because a peer objects; the log says what to do"
        }
        Standing::Exhausted => "exhausted: the sequence is used up, and no identity is left",
        Standing::StorageFailed => "storage failed: about to exit; the log says what failed",
        Standing::Stopping => "stopping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_standing_has_one_line_that_begins_with_its_name() {
        for standing in Standing::ALL {
            let line = meaning(standing);
            assert!(line.starts_with(standing.name()), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
