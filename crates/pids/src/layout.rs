//! The keys and values of a cluster. Both are text, so that `etcdctl get --prefix` shows them readably.
//!
//! ```text
//! PREFIX/CLUSTER/meta             {"id":"…","epoch":1,"etcd":"…","above":0}
//! PREFIX/CLUSTER/pid/0007/state   {"incarnation":"…","boot":3,"session":"…","sequence":2048,"ceiling":9535,…}
//! PREFIX/CLUSTER/pid/0007/owner   {"session":"…","address":"10.0.0.7:3264","since":"2026-11-29T06:00:00Z"}
//! ```
//!
//! `state` is never removed, has no lease, and is the only authority over what a pid may hand out. `owner` ends with a
//! lease. It is a hint that the pid is taken, and says where its server is.
//!
//! A value is read strictly: whatever is not just as this version writes it is refused, because a guess about a ceiling
//! could hand out an identity twice.

use std::fmt;

use ipseity_core::{
    actor::Life,
    address::HostPort,
    identity::{Pid, Sequence},
    text::is_plain,
    words::ClusterName,
};
use ipseity_etcd::KeyRange;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// How many earlier lives a state names. A peer may have missed all starts but one of them, and it is still seen whether
/// what the peer remembers belongs to this state. A start reads the states of all pids at once, so they have to be small;
/// a state directory names more. Of what is older only the highest ceiling counts, and a start begins above that.
pub const LIVES_MAX: usize = 4;

/// The longest note of when an owner began: a date and a time, with room for parts of a second and a zone.
pub const SINCE_BYTES_MAX: usize = 40;

/// The highest epoch. Nobody restores an etcd four billion times, and boots have room for so many.
pub const EPOCH_MAX: u64 = (1 << 32) - 1;

/// The digits of a pid in a key, so that keys are in the order of their pids.
const PID_DIGITS: usize = 4;

const STATE: &str = "state";
const OWNER: &str = "owner";

/// Where the keys of a cluster are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What all of them begin with. It ends with a slash.
    root: String,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// What the whole cluster has in common.
    Meta,
    /// What a pid may hand out.
    State(Pid),
    /// Who has it now.
    Owner(Pid),
}

impl Layout {
    /// The keys of this cluster below a prefix. A slash at the end of the prefix counts for nothing.
    pub fn new(prefix: &str, cluster: &ClusterName) -> Layout {
        // Otherwise the keys of one cluster could be among those of another one: `a` and `a/pid`.
        let cluster = cluster.as_str().replace('%', "%25").replace('/', "%2F");
        let prefix = prefix.trim_end_matches('/');
        Layout {
            root: format!("{prefix}/{cluster}/"),
        }
    }

    /// What all keys of the cluster begin with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// All keys of the cluster.
    pub fn all(&self) -> KeyRange {
        KeyRange::Prefix(self.root.clone())
    }

    /// The key of what the whole cluster has in common.
    pub fn meta(&self) -> String {
        format!("{}meta", self.root)
    }

    /// What both keys of a pid begin with.
    pub fn pid(&self, pid: Pid) -> KeyRange {
        KeyRange::Prefix(self.of_pid(pid, ""))
    }

    /// The key of what a pid may hand out.
    pub fn state(&self, pid: Pid) -> String {
        self.of_pid(pid, STATE)
    }

    /// The key of who has a pid now.
    pub fn owner(&self, pid: Pid) -> String {
        self.of_pid(pid, OWNER)
    }

    /// What a key is for. `None` if it is none that this version writes.
    pub fn key(&self, key: &str) -> Option<Key> {
        let rest = key.strip_prefix(&self.root)?;
        if rest == "meta" {
            return Some(Key::Meta);
        }
        let (number, kind) = rest.strip_prefix("pid/")?.split_once('/')?;
        if number.len() != PID_DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let pid = Pid::new(number.parse().ok()?)?;
        match kind {
            STATE => Some(Key::State(pid)),
            OWNER => Some(Key::Owner(pid)),
            _ => None,
        }
    }

    fn of_pid(&self, pid: Pid, kind: &str) -> String {
        format!("{}pid/{:0PID_DIGITS$}/{kind}", self.root, pid.get())
    }
}

/// What the whole cluster has in common. It is made once, with its first pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// A random value that names the cluster. With another one these are other pids, whatever their names are.
    pub id: u128,
    /// How often an operator has said that this etcd is the right one, although it was restored: from 1.
    pub epoch: u64,
    /// The number of the etcd in which this was written. An etcd that was restored from a backup has another one, unless
    /// it was restored under the same names and addresses.
    pub etcd: u64,
    /// Every pid begins above this, whatever its state says: an operator's word, with the epoch.
    pub above: Sequence,
}

/// What a pid may hand out, and the life that may. The only authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// A random value, made with the first claim of the pid or with the directory that it came from.
    pub incarnation: u128,
    /// How many times the pid was claimed, from 1.
    pub boot: u64,
    /// The life that wrote this: the random value of its attempt to claim the pid.
    pub session: u64,
    /// All that was handed out or absorbed when this was written is at or below it.
    pub sequence: Sequence,
    /// The life hands out nothing above this, and its successor nothing at or below it.
    pub ceiling: Sequence,
    /// The highest ceiling that the life ever had. A stop lowers the ceiling, but not this one: a peer may remember it.
    pub highest: Sequence,
    /// The life has stopped: the ceiling is exactly the last sequence.
    pub stopped: bool,
    /// The [epoch](Meta::epoch) in which this was written.
    pub epoch: u64,
    /// Earlier lives of the pid, the newest last.
    pub lives: Vec<Life>,
}

/// Who has a pid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The same as in the state.
    pub session: u64,
    /// Where peers find the server.
    pub address: HostPort,
    /// When it claimed the pid, for people. Nothing depends on it. Empty if nobody noted it.
    pub since: String,
}

/// A value that cannot be read: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError(String);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

impl State {
    /// The life that wrote this.
    pub fn life(&self) -> Life {
        Life {
            boot: self.boot,
            session: self.session,
            ceiling: self.highest,
        }
    }
}

/// Something that stands in etcd as a value.
pub trait Value: Sized {
    /// What this kind of value is called, for errors.
    const NAME: &'static str;

    /// The text in etcd.
    fn text(&self) -> String;

    /// Reads such a text.
    ///
    /// # Errors
    /// It is not what this version writes.
    fn read(text: &str) -> Result<Self, ValueError>;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaText {
    id: String,
    epoch: u64,
    etcd: String,
    above: u64,
}

impl Value for Meta {
    const NAME: &'static str = "what the cluster has in common";

    fn text(&self) -> String {
        json(&MetaText {
            id: format!("{:032x}", self.id),
            epoch: self.epoch,
            etcd: format!("{:016x}", self.etcd),
            above: self.above.get(),
        })
    }

    fn read(text: &str) -> Result<Meta, ValueError> {
        let read: MetaText = from_json(text)?;
        epoch(read.epoch)?;
        Ok(Meta {
            id: hex_128("id", &read.id)?,
            epoch: read.epoch,
            etcd: hex_64("etcd", &read.etcd)?,
            above: sequence("above", read.above)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateText {
    incarnation: String,
    boot: u64,
    session: String,
    sequence: u64,
    ceiling: u64,
    highest: u64,
    stopped: bool,
    epoch: u64,
    lives: Vec<LifeText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LifeText {
    boot: u64,
    session: String,
    ceiling: u64,
}

impl Value for State {
    const NAME: &'static str = "the state of a pid";

    fn text(&self) -> String {
        json(&StateText {
            incarnation: format!("{:032x}", self.incarnation),
            boot: self.boot,
            session: format!("{:016x}", self.session),
            sequence: self.sequence.get(),
            ceiling: self.ceiling.get(),
            highest: self.highest.get(),
            stopped: self.stopped,
            epoch: self.epoch,
            lives: self.lives.iter().map(LifeText::of).collect(),
        })
    }

    fn read(text: &str) -> Result<State, ValueError> {
        let read: StateText = from_json(text)?;
        epoch(read.epoch)?;
        if read.lives.len() > LIVES_MAX {
            return wrong(format!("more than {LIVES_MAX} lives"));
        }
        let lives: Result<Vec<Life>, _> = read.lives.iter().map(LifeText::life).collect();
        let state = State {
            incarnation: hex_128("incarnation", &read.incarnation)?,
            boot: read.boot,
            session: hex_64("session", &read.session)?,
            sequence: sequence("sequence", read.sequence)?,
            ceiling: sequence("ceiling", read.ceiling)?,
            highest: sequence("highest", read.highest)?,
            stopped: read.stopped,
            epoch: read.epoch,
            lives: lives?,
        };
        if state.sequence > state.ceiling {
            return wrong("the sequence is above the ceiling");
        }
        if state.ceiling > state.highest {
            return wrong("the ceiling is above the highest one");
        }
        if state.stopped && state.sequence != state.ceiling {
            return wrong("it has stopped, and the sequence is not the ceiling");
        }
        let boots = state.lives.iter().map(|life| life.boot);
        let next = boots.clone().skip(1).chain([state.boot]);
        if boots.zip(next).any(|(one, next)| one >= next) {
            return wrong("the boots do not grow from life to life");
        }
        at_least_one("boot", read.boot)?;
        Ok(state)
    }
}

impl LifeText {
    fn of(life: &Life) -> LifeText {
        LifeText {
            boot: life.boot,
            session: format!("{:016x}", life.session),
            ceiling: life.ceiling.get(),
        }
    }

    fn life(&self) -> Result<Life, ValueError> {
        at_least_one("boot", self.boot)?;
        Ok(Life {
            boot: self.boot,
            session: hex_64("session", &self.session)?,
            ceiling: sequence("ceiling", self.ceiling)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnerText {
    session: String,
    address: String,
    since: String,
}

impl Value for Owner {
    const NAME: &'static str = "the owner of a pid";

    fn text(&self) -> String {
        json(&OwnerText {
            session: format!("{:016x}", self.session),
            address: self.address.to_string(),
            since: self.since.clone(),
        })
    }

    fn read(text: &str) -> Result<Owner, ValueError> {
        let read: OwnerText = from_json(text)?;
        let address: HostPort = match read.address.parse() {
            Ok(address) => address,
            Err(error) => return wrong(format!("its address: {error}")),
        };
        if !address.is_dialable() {
            return wrong(format!("nobody can connect to the address {address}"));
        }
        // Both stand in log lines and on terminals.
        if read.since.len() > SINCE_BYTES_MAX || !read.since.chars().all(is_plain) {
            return wrong("`since` is not a time");
        }
        Ok(Owner {
            session: hex_64("session", &read.session)?,
            address,
            since: read.since,
        })
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists can be written as JSON")
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, ValueError> {
    serde_json::from_str(text).map_err(|error| ValueError(error.to_string()))
}

fn wrong<T>(what: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError(what.into()))
}

fn at_least_one(field: &str, value: u64) -> Result<(), ValueError> {
    match value {
        0 => wrong(format!("`{field}` is 0")),
        _ => Ok(()),
    }
}

fn epoch(value: u64) -> Result<(), ValueError> {
    at_least_one("epoch", value)?;
    match value {
        ..=EPOCH_MAX => Ok(()),
        _ => wrong(format!("`epoch` is above {EPOCH_MAX}")),
    }
}

fn sequence(field: &str, value: u64) -> Result<Sequence, ValueError> {
    Sequence::new(value).map_or_else(
        || wrong(format!("`{field}` is {value}, and that is no sequence")),
        Ok,
    )
}

fn hex_64(field: &str, text: &str) -> Result<u64, ValueError> {
    let value = hex(text, 16).and_then(|()| u64::from_str_radix(text, 16).ok());
    value.map_or_else(|| wrong(format!("`{field}` is not 16 digits 0 to f")), Ok)
}

fn hex_128(field: &str, text: &str) -> Result<u128, ValueError> {
    let value = hex(text, 32).and_then(|()| u128::from_str_radix(text, 16).ok());
    value.map_or_else(|| wrong(format!("`{field}` is not 32 digits 0 to f")), Ok)
}

/// One number has one text, because values are compared as texts.
fn hex(text: &str, digits: usize) -> Option<()> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_digit)).then_some(())
}
