//! What stands between a member of etcd and the others, so that a test can cut the member off from them.
//!
//! Members of etcd dial each other by HTTP, and say in the first request of a connection who they are. That is all that
//! has to be understood here.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How much of a first request is read until its head has to be complete.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Which members are cut off, and the connections between members. Shared by the relays of one etcd.
#[derive(Clone, Default)]
pub struct Cut(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cut: BTreeSet<usize>,
    /// The member that each id in a request belongs to. It is learned from requests that name the member they are for.
    ids: BTreeMap<String, usize>,
    links: Vec<Link>,
}

/// A connection from one member to another.
struct Link {
    /// Who dialed, as an id.
    from: Option<String>,
    to: usize,
    sockets: [TcpStream; 2],
}

impl Cut {
    /// From now on this member reaches no other, and is reached by none.
    pub fn cut(&self, member: usize) {
        let mut state = self.0.lock().unwrap();
        state.cut.insert(member);
        let State { cut, ids, links } = &mut *state;
        links.retain(|link| {
            let is_cut = is_cut(cut, ids, link.from.as_deref(), link.to);
            if is_cut {
                for socket in &link.sockets {
                    // It may be closed already.
                    let _ = socket.shutdown(Shutdown::Both);
                }
            }
            !is_cut
        });
    }

    /// From now on all members reach each other.
    pub fn heal(&self) {
        self.0.lock().unwrap().cut.clear();
    }

    /// Adds a connection, unless it is not allowed.
    fn admit(&self, link: Link) -> bool {
        let mut state = self.0.lock().unwrap();
        let admitted = !is_cut(&state.cut, &state.ids, link.from.as_deref(), link.to);
        if admitted {
            let is_open = |link: &Link| link.sockets[0].peer_addr().is_ok();
            state.links.retain(is_open);
            state.links.push(link);
        }
        admitted
    }

    fn learn(&self, id: String, member: usize) {
        self.0.lock().unwrap().ids.insert(id, member);
    }
}

fn is_cut(
    cut: &BTreeSet<usize>,
    ids: &BTreeMap<String, usize>,
    from: Option<&str>,
    to: usize,
) -> bool {
    let from = from.and_then(|id| ids.get(id));
    cut.contains(&to) || from.is_some_and(|from| cut.contains(from))
}

/// The way to one member.
pub struct Relay {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// The way to this member, which listens there.
    pub fn new(member: usize, listens: SocketAddr, cut: Cut) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let accept = move || {
            for caller in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(caller) = caller else { continue };
                let cut = cut.clone();
                // A connection that breaks is an ordinary thing here.
                thread::spawn(move || {
                    let _ = pass(caller, member, listens, &cut);
                });
            }
        };
        Relay {
            address,
            is_over,
            thread: Some(thread::spawn(accept)),
        }
    }

    /// Where the others reach the member.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It waits for a caller.
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Passes one connection on, until one side ends it or it is cut.
fn pass(mut caller: TcpStream, member: usize, listens: SocketAddr, cut: &Cut) -> io::Result<()> {
    let head = read_head(&mut caller)?;
    let mut called = TcpStream::connect(listens)?;
    if let Some(id) = field(&head, "x-raft-to") {
        cut.learn(id, member);
    }
    let link = Link {
        from: field(&head, "x-server-from"),
        to: member,
        sockets: [caller.try_clone()?, called.try_clone()?],
    };
    if !cut.admit(link) {
        return Ok(());
    }
    called.write_all(&head)?;
    let (mut up, mut down) = (caller.try_clone()?, called.try_clone()?);
    let upward = thread::spawn(move || {
        let _ = io::copy(&mut up, &mut down);
        let _ = down.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut called, &mut caller);
    let _ = caller.shutdown(Shutdown::Write);
    upward.join().unwrap();
    Ok(())
}

/// Everything up to the end of a head, and perhaps more; or everything, if the stream ends before.
fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        match stream.read(&mut buffer)? {
            0 => break,
            bytes => head.extend(&buffer[..bytes]),
        }
    }
    stream.set_read_timeout(None)?;
    Ok(head)
}

/// A field of a head; its name in small letters.
fn field(head: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}
