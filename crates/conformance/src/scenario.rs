//! A scenario as it stands in its file. A field that nobody knows is an error, so a slip of the pen does not make a
//! scenario that checks nothing.

use std::{fs, net::IpAddr, time::Duration};

use ipseity_core::{identity::Pid, words::ClusterName};
use ipseity_harness::programs::repository;
use serde_json::{Map, Value};

use crate::message;

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub about: String,
    pub servers: Vec<ServerPlan>,
    /// The command `open` without its servers.
    pub open: Value,
    pub calls: Vec<Call>,
    /// How many connections each server must have got; empty if it does not matter.
    pub connections: Vec<Value>,
    pub is_split: bool,
}

/// One of its servers.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    pub face: Face,
    pub tls: Option<String>,
    /// Whether the client is given an address with `tls://`.
    pub is_given_tls: bool,
    /// The host in the address that the client is given.
    pub host: String,
    /// The addresses of its name, and what is at each. Where there are any, the client is given a name.
    pub spots: Vec<(IpAddr, Spot)>,
    pub work: Work,
}

/// What is at one address of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// The server.
    Here,
    /// Connecting takes for ever.
    Frozen,
    /// Nobody listens.
    Closed,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct Face {
    pub pid: Pid,
    pub cluster: ClusterName,
    pub count_max: u32,
    pub standing: u64,
}

/// What a server does.
#[derive(Clone, Debug)]
pub enum Work {
    Scripts { scripts: Vec<Script>, again: bool },
    Serve(Serve),
    Closed,
    Silent,
    Unreachable,
}

/// What is done on one connection.
#[derive(Clone, Debug)]
pub struct Script {
    pub is_hello_by_hand: bool,
    pub steps: Vec<Step>,
}

/// Serving like a real server.
#[derive(Clone, Debug)]
pub struct Serve {
    pub first: u64,
    pub delay: Duration,
    /// How many replies, and what comes then.
    pub end: Option<(u64, Then)>,
    pub reply: Reply,
}

/// When a server that serves gives its replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    AtOnce,
    /// When so many requests wait for one. The first so many identities are handed out at once all the same, because a
    /// client may not know yet how many a request may ask for.
    Together(usize, u64),
    /// When no request has come for this time. Not more than so many may wait then.
    Quiet(Duration, usize),
}

/// What a server does that has given all its replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Freeze,
    Close,
    Reset,
    Code(u16),
}

/// A step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    Expect { wanted: Value, may_be_missing: bool },
    Send(Vec<u8>),
    Wait(Duration),
    Close,
    Reset,
    HalfClose,
    Freeze,
    Serve(Serve),
}

/// Something that the client is told to do, or a pause.
#[derive(Clone, Debug)]
pub enum Call {
    Wait(Duration),
    /// Waits until a server has got so many requests.
    Seen {
        server: usize,
        requests: usize,
    },
    /// The first request that a server has got after the last pause must have this count, or every one of them.
    Asked {
        server: usize,
        count: Value,
        every: bool,
    },
    Ask {
        command: Value,
        gives: Option<Value>,
        times: u64,
        /// It is asked again until it gives that.
        soon: bool,
        within: Option<Duration>,
        at_least: Duration,
    },
}

impl Scenario {
    /// The addresses of each name with several.
    pub fn spots(&self) -> impl Iterator<Item = &[(IpAddr, Spot)]> {
        let servers = self.servers.iter().map(|server| server.spots.as_slice());
        servers.filter(|spots| !spots.is_empty())
    }
}

/// All scenarios, in the order of their names.
///
/// # Errors
/// One of them is not as the README says.
pub fn all() -> Result<Vec<Scenario>, String> {
    let folder = repository().join("conformance/scenarios");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut scenarios = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let about = |reason: String| format!("{}: {reason}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| about(error.to_string()))?;
        let value = serde_json::from_str(&text).map_err(|error| about(error.to_string()))?;
        let scenario = read(&value).map_err(about)?;
        if path.file_stem().is_none_or(|stem| *stem != *scenario.name) {
            return Err(about("its name is not that of its file".to_owned()));
        }
        scenarios.push(scenario);
    }
    scenarios.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(scenarios)
}

/// The scenario that this JSON is.
///
/// # Errors
/// It is none.
pub fn read(value: &Value) -> Result<Scenario, String> {
    let known = [
        "name",
        "about",
        "servers",
        "open",
        "calls",
        "connections",
        "split",
    ];
    let mut fields = Fields::of(value, &known)?;
    let scenario = Scenario {
        name: fields.text("name")?.ok_or("it has no name")?,
        about: fields
            .text("about")?
            .ok_or("it does not say what it is about")?,
        servers: list_of(fields.take("servers"))?
            .iter()
            .map(server)
            .collect::<Result<_, _>>()?,
        open: fields.take("open").ok_or("it does not open anything")?,
        calls: list_of(fields.take("calls"))?
            .iter()
            .map(call)
            .collect::<Result<_, _>>()?,
        connections: list_of(fields.take("connections"))?,
        is_split: fields.flag("split")?,
    };
    Fields::of(&scenario.open, &["kind", "options", "gives", "servers"])?;
    let counted = scenario.connections.len();
    if counted != 0 && counted != scenario.servers.len() {
        return Err("connections has another length than servers".to_owned());
    }
    Ok(scenario)
}

fn server(value: &Value) -> Result<ServerPlan, String> {
    let known = [
        "pid",
        "cluster",
        "count_max",
        "standing",
        "tls",
        "given",
        "host",
        "addresses",
        "connections",
        "again",
        "serve",
        "closed",
        "silent",
        "unreachable",
    ];
    let mut fields = Fields::of(value, &known)?;
    let again = fields.flag("again")?;
    let works = ["connections", "serve", "closed", "silent", "unreachable"];
    let given: Vec<&str> = works
        .into_iter()
        .filter(|work| value.get(work).is_some())
        .collect();
    let [work] = given[..] else {
        return Err(format!(
            "a server has one of {works:?}, this one has {given:?}"
        ));
    };
    let content = fields.take(work).unwrap_or_default();
    let mut face = Face {
        pid: Pid::new(fields.number("pid")?.unwrap_or(1) as u16).ok_or("a pid is at most 1023")?,
        cluster: match fields.text("cluster")? {
            None => ClusterName::default(),
            Some(name) => name.parse().map_err(|error| format!("cluster: {error}"))?,
        },
        count_max: fields.number("count_max")?.unwrap_or(1000) as u32,
        standing: fields.number("standing")?.unwrap_or(0),
    };
    let work = match work {
        "connections" => Work::Scripts {
            scripts: into_list(content)?
                .into_iter()
                .map(|steps| script(into_list(steps)?))
                .collect::<Result<_, _>>()?,
            again,
        },
        "serve" => {
            // A server that serves may say these there.
            let mut inside = Fields::of(&content, SERVE)?;
            if let Some(count_max) = inside.number("count_max")? {
                face.count_max = count_max as u32;
            }
            if let Some(name) = inside.text("cluster")? {
                face.cluster = name.parse().map_err(|error| format!("cluster: {error}"))?;
            }
            Work::Serve(serve(&content)?)
        }
        "closed" => Work::Closed,
        "silent" => Work::Silent,
        _ => Work::Unreachable,
    };
    let tls = fields.text("tls")?;
    let is_given_tls = match fields.text("given")?.as_deref() {
        None => tls.is_some(),
        Some("tls") => true,
        Some("plain") => false,
        Some(other) => return Err(format!("given is tls or plain, not {other}")),
    };
    let spots: Vec<(IpAddr, Spot)> = list_of(fields.take("addresses"))?
        .iter()
        .map(spot)
        .collect::<Result<_, _>>()?;
    let here = spots.iter().filter(|(_, spot)| *spot == Spot::Here);
    if !spots.is_empty() && here.count() != 1 {
        return Err("a server is here at one of its addresses".to_owned());
    }
    Ok(ServerPlan {
        face,
        is_given_tls,
        tls,
        host: fields
            .text("host")?
            .unwrap_or_else(|| "127.0.0.1".to_owned()),
        spots,
        work,
    })
}

fn spot(value: &Value) -> Result<(IpAddr, Spot), String> {
    let mut fields = Fields::of(value, &["here", "frozen", "closed"])?;
    for (word, spot) in [
        ("here", Spot::Here),
        ("frozen", Spot::Frozen),
        ("closed", Spot::Closed),
    ] {
        if let Some(text) = fields.text(word)? {
            let address: IpAddr = text.parse().map_err(|error| format!("{text}: {error}"))?;
            return match address.is_loopback() {
                true => Ok((address, spot)),
                false => Err(format!("{address} is not of this machine")),
            };
        }
    }
    Err(format!("an address is here, frozen or closed: {value}"))
}

fn script(mut steps: Vec<Value>) -> Result<Script, String> {
    let is_hello_by_hand = match steps.first().and_then(|step| step.get("hello")) {
        None => false,
        Some(hello) if *hello == "by hand" => true,
        Some(other) => return Err(format!("hello is \"by hand\", not {other}")),
    };
    if is_hello_by_hand {
        steps.remove(0);
    }
    Ok(Script {
        is_hello_by_hand,
        steps: steps.iter().map(step).collect::<Result<_, _>>()?,
    })
}

fn step(value: &Value) -> Result<Step, String> {
    let known = [
        "expect",
        "count",
        "after",
        "cluster",
        "maybe",
        "send",
        "send_hex",
        "wait_ms",
        "close",
        "reset",
        "half_close",
        "freeze",
        "serve",
    ];
    let mut fields = Fields::of(value, &known)?;
    if fields.take("expect").is_some() {
        return Ok(Step::Expect {
            wanted: value.clone(),
            may_be_missing: fields.flag("maybe")?,
        });
    }
    if let Some(message) = fields.take("send") {
        return Ok(Step::Send(message::bytes(&message::from_json(&message)?)));
    }
    if let Some(digits) = fields.text("send_hex")? {
        return Ok(Step::Send(message::unhex(&digits)?));
    }
    if let Some(time) = fields.number("wait_ms")? {
        return Ok(Step::Wait(Duration::from_millis(time)));
    }
    if let Some(content) = fields.take("serve") {
        return Ok(Step::Serve(serve(&content)?));
    }
    for (name, step) in [
        ("close", Step::Close),
        ("reset", Step::Reset),
        ("half_close", Step::HalfClose),
        ("freeze", Step::Freeze),
    ] {
        if fields.flag(name)? {
            return Ok(step);
        }
    }
    Err(format!("this is no step: {value}"))
}

const SERVE: &[&str] = &[
    "count_max",
    "cluster",
    "first",
    "delay_ms",
    "replies",
    "then",
    "together",
    "at_once",
    "quiet_ms",
    "most",
];

fn serve(value: &Value) -> Result<Serve, String> {
    let mut fields = Fields::of(value, SERVE)?;
    let then = match fields.take("then") {
        None => Then::Close,
        Some(Value::Number(code)) => Then::Code(code.as_u64().unwrap_or_default() as u16),
        Some(Value::String(word)) if word == "freeze" => Then::Freeze,
        Some(Value::String(word)) if word == "close" => Then::Close,
        Some(Value::String(word)) if word == "reset" => Then::Reset,
        Some(other) => return Err(format!("then: {other}")),
    };
    Ok(Serve {
        first: fields.number("first")?.unwrap_or(1),
        delay: Duration::from_millis(fields.number("delay_ms")?.unwrap_or(0)),
        end: fields.number("replies")?.map(|replies| (replies, then)),
        reply: reply(&mut fields)?,
    })
}

fn reply(fields: &mut Fields) -> Result<Reply, String> {
    let together = fields.number("together")?;
    let at_once = fields.number("at_once")?.unwrap_or(0);
    match (together, fields.number("quiet_ms")?, fields.number("most")?) {
        (None, None, None) => Ok(Reply::AtOnce),
        (Some(requests), None, None) => Ok(Reply::Together(requests as usize, at_once)),
        (None, Some(quiet), Some(most)) => {
            Ok(Reply::Quiet(Duration::from_millis(quiet), most as usize))
        }
        _ => Err("a server has together, or quiet_ms and most, or none of them".to_owned()),
    }
}

fn call(value: &Value) -> Result<Call, String> {
    let known = [
        "do",
        "count",
        "identity",
        "call",
        "command",
        "gives",
        "wait_ms",
        "within_ms",
        "at_least_ms",
        "times",
        "soon",
        "seen",
        "asked",
        "every",
        "server",
    ];
    let mut fields = Fields::of(value, &known)?;
    if let Some(time) = fields.number("wait_ms")? {
        return Ok(Call::Wait(Duration::from_millis(time)));
    }
    if let Some(requests) = fields.number("seen")? {
        return Ok(Call::Seen {
            server: fields.number("server")?.unwrap_or(0) as usize,
            requests: requests as usize,
        });
    }
    if let Some(count) = fields.take("asked") {
        let server = fields.number("server")?.unwrap_or(0) as usize;
        let every = fields.flag("every")?;
        return Ok(Call::Asked {
            server,
            count,
            every,
        });
    }
    let mut command = Map::new();
    for name in ["do", "count", "identity", "call", "command"] {
        if let Some(field) = fields.take(name) {
            command.insert(name.to_owned(), field);
        }
    }
    if !command.contains_key("do") {
        return Err(format!("this is no call: {value}"));
    }
    Ok(Call::Ask {
        command: Value::Object(command),
        gives: fields.take("gives"),
        times: fields.number("times")?.unwrap_or(1),
        soon: fields.flag("soon")?,
        within: fields.number("within_ms")?.map(Duration::from_millis),
        at_least: Duration::from_millis(fields.number("at_least_ms")?.unwrap_or(0)),
    })
}

fn list_of(value: Option<Value>) -> Result<Vec<Value>, String> {
    value.map_or(Ok(Vec::new()), into_list)
}

fn into_list(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(format!("this is no list: {other}")),
    }
}

/// The fields of an object, of which each must be known.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(value: &Value, known: &[&str]) -> Result<Fields, String> {
        let object = value
            .as_object()
            .ok_or(format!("this is no object: {value}"))?;
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(Fields(object.clone())),
            Some(key) => Err(format!("{key} is not one of {known:?}, in {value}")),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name} is no text: {other}")),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(format!("{name} is no number: {value}")),
            },
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(format!("{name} is neither true nor false: {other}")),
        }
    }
}
