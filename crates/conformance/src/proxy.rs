//! A proxy in front of a real server, which can cut it off.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// What it does with connections and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It passes them on.
    Pass,
    /// It holds them back, as a network does that loses every packet.
    Hold,
    /// It breaks every connection.
    Break,
    End,
}

/// A proxy on a port of its own. It ends when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    /// How many bytes it has passed on.
    passed: AtomicU64,
}

struct State {
    mode: Mode,
    streams: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy in front of this server.
    pub fn before(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            state: Mutex::new(State {
                mode: Mode::Pass,
                streams: Vec::new(),
            }),
            changed: Condvar::new(),
            passed: AtomicU64::new(0),
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Proxy { shared, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes it has passed on so far.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Changes what it does.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.state.lock().unwrap();
        state.mode = mode;
        if matches!(mode, Mode::Break | Mode::End) {
            for stream in state.streams.drain(..) {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::End);
        // Wakes the one who accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        let mode = shared.state.lock().unwrap().mode;
        match mode {
            Mode::End => return,
            Mode::Break => continue,
            Mode::Pass | Mode::Hold => {}
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            shared.wait();
            let Ok(server) = TcpStream::connect(shared.server) else {
                return;
            };
            for stream in [&client, &server] {
                let _ = stream.set_nodelay(true);
                let kept = stream.try_clone();
                shared.state.lock().unwrap().streams.extend(kept);
            }
            let (Ok(from_server), Ok(to_client)) = (server.try_clone(), client.try_clone()) else {
                return;
            };
            let back = thread::spawn({
                let shared = Arc::clone(&shared);
                move || pump(from_server, to_client, &shared)
            });
            pump(client, server, &shared);
            let _ = back.join();
        });
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        shared.wait();
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        shared.passed.fetch_add(count as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

impl Shared {
    /// Waits until bytes are no longer held back.
    fn wait(&self) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| state.mode == Mode::Hold),
        );
    }
}
