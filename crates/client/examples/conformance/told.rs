//! What a command says, and what an answer looks like.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ipseity_client::{
    Block, ClientError, ClientOptions, Credentials, Dialer, First, Identity, Roots, ServerFailure,
    SourceOptions,
};
use serde_json::{Value, json};

/// What a command gives.
pub type Answer = Result<Value, Failure>;

/// What a command gives in place of what was asked for.
#[derive(Debug)]
pub enum Failure {
    /// An error of the library, as the kit has it.
    Error(Value),
    /// The library has no such thing.
    Unsupported(&'static str),
}

impl Failure {
    /// The kit and this program do not understand each other.
    pub fn told(message: impl fmt::Display) -> Failure {
        Failure::of("adapter", message)
    }

    pub fn configuration(message: impl fmt::Display) -> Failure {
        Failure::of("configuration", message)
    }

    pub fn protocol(message: impl fmt::Display) -> Failure {
        Failure::of("protocol", message)
    }

    pub fn cancelled() -> Failure {
        Failure::of("cancelled", "the call was cancelled")
    }

    fn of(class: &str, message: impl fmt::Display) -> Failure {
        Failure::Error(json!({ "class": class, "message": message.to_string() }))
    }

    pub fn into_json(self) -> Value {
        match self {
            Failure::Error(error) => json!({ "error": error }),
            Failure::Unsupported(why) => json!({ "unsupported": why }),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let mut json = json!({ "class": class_of(&error), "message": error.to_string() });
        match &error {
            ClientError::Unavailable(failures) => {
                let failures = failures.iter().map(|failure| {
                    json!({
                        "server": failure.server.to_string(),
                        "cause": cause_of(failure),
                    })
                });
                json["failures"] = failures.collect();
            }
            ClientError::Refused { reply, .. } => json["code"] = reply.code.into(),
            _ => {}
        }
        Failure::Error(json)
    }
}

/// What happened at the server, as the error says it.
fn cause_of(failure: &ServerFailure) -> String {
    let (server, text) = (failure.server.to_string(), failure.to_string());
    let cause = text.strip_prefix(&server);
    let cause = cause.and_then(|cause| cause.strip_prefix(": "));
    cause.unwrap_or_default().to_owned()
}

pub fn class_of(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unavailable(_) => "unavailable",
        ClientError::Refused { .. } => "refused",
        ClientError::WrongCluster { .. } => "wrongCluster",
        ClientError::Violation { .. } => "protocol",
        ClientError::Closed => "closed",
        _ => "configuration",
    }
}

pub fn one(identity: Identity) -> Value {
    json!({ "identity": identity.to_string() })
}

pub fn many(block: Block) -> Value {
    json!({ "first": block.first().to_string(), "count": block.count() })
}

pub fn field<'a>(command: &'a Value, name: &str) -> Result<&'a Value, Failure> {
    let field = command.get(name);
    field.ok_or_else(|| Failure::told(format!("{name} is missing in {command}")))
}

pub fn text_of<'a>(command: &'a Value, name: &str) -> Result<&'a str, Failure> {
    let text = field(command, name)?.as_str();
    text.ok_or_else(|| Failure::told(format!("{name} is no text in {command}")))
}

pub fn number<T: TryFrom<u64>>(command: &Value, name: &str) -> Result<T, Failure> {
    let number = field(command, name)?.as_u64();
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Failure::told(format!("{name} is no such number in {command}")))
}

/// The options of `open`.
pub fn options(told: &Value) -> Result<SourceOptions, Failure> {
    let mut options = SourceOptions::default();
    let client = &mut options.client;
    for (name, option) in [
        ("connect_timeout_ms", &mut client.connect_timeout),
        ("reply_timeout_ms", &mut client.reply_timeout),
        ("call_timeout_ms", &mut client.call_timeout),
        ("idle_max_ms", &mut client.idle_max),
        ("block_age_max_ms", &mut options.block_age_max),
    ] {
        if told.get(name).is_some() {
            *option = Duration::from_millis(number(told, name)?);
        }
    }
    if told.get("first").is_some() {
        let first = First::Place(number(told, "first")?);
        options.client = ClientOptions {
            first,
            ..options.client
        };
    }
    if told.get("block_max").is_some() {
        options.block_max = number(told, "block_max")?;
    }
    if told.get("cluster").is_some() {
        let cluster = text_of(told, "cluster")?;
        // The name of a cluster is a type of its own, so it is for the program to say which option it was for.
        let wrong = "it must be 1 to 255 bytes of UTF-8 without control characters";
        let wrong = || Failure::configuration(format!("cluster is {cluster:?}: {wrong}"));
        options.cluster = Some(cluster.parse().ok().ok_or_else(wrong)?);
    }
    if let Some(tls) = told.get("tls") {
        options.tls = Some(dialer(tls)?);
    }
    Ok(options)
}

fn dialer(told: &Value) -> Result<Dialer, Failure> {
    let roots = Roots::read(Path::new(text_of(told, "ca")?)).map_err(Failure::configuration)?;
    let own = match told.get("cert") {
        None => None,
        Some(_) => {
            let [cert, key] = ["cert", "key"].map(|name| text_of(told, name).map(Path::new));
            Some(Credentials::read(cert?, key?).map_err(Failure::configuration)?)
        }
    };
    Ok(Dialer::new(roots, own))
}

/// A number that several threads raise.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What workers are told.
#[derive(Clone, Debug)]
pub struct Load {
    pub workers: usize,
    path: String,
    portion: u64,
    is_over: Arc<AtomicBool>,
}

impl Load {
    pub fn told(command: &Value) -> Result<Load, Failure> {
        Ok(Load {
            workers: number(command, "workers")?,
            path: text_of(command, "path")?.to_owned(),
            portion: match command.get("portion") {
                Some(_) => number(command, "portion")?,
                None => u64::MAX,
            },
            is_over: Arc::default(),
        })
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// What one worker does beside its calls.
pub struct Worker {
    file: BufWriter<File>,
    portion: u64,
    calls: u64,
    tally: Tally,
}

impl Worker {
    pub fn new(load: &Load, worker: usize) -> std::io::Result<Worker> {
        Ok(Worker {
            file: BufWriter::new(File::create(format!("{}.{worker}", load.path))?),
            portion: load.portion,
            calls: 0,
            tally: Tally::default(),
        })
    }

    /// Notes what a call has brought. Returns whether it is time for a pause.
    pub fn note(
        &mut self,
        taken: Result<Identity, ClientError>,
        time: Duration,
    ) -> std::io::Result<bool> {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.tally.longest_ms = self.tally.longest_ms.max(millis);
        match taken {
            Ok(identity) => {
                self.tally.identities += 1;
                writeln!(self.file, "{identity}")?;
            }
            Err(error) => *self.tally.errors.entry(class_of(&error)).or_default() += 1,
        }
        self.calls += 1;
        let pauses = self.calls.is_multiple_of(self.portion);
        if pauses {
            self.file.flush()?;
        }
        Ok(pauses)
    }

    pub fn end(mut self) -> std::io::Result<Tally> {
        self.file.flush()?;
        Ok(self.tally)
    }
}

/// What workers have done.
#[derive(Debug, Default)]
pub struct Tally {
    identities: u64,
    errors: BTreeMap<&'static str, u64>,
    longest_ms: u64,
}

impl Tally {
    pub fn sum(tallies: Vec<Tally>) -> Tally {
        let mut sum = Tally::default();
        for tally in tallies {
            sum.identities += tally.identities;
            sum.longest_ms = sum.longest_ms.max(tally.longest_ms);
            for (class, count) in tally.errors {
                *sum.errors.entry(class).or_default() += count;
            }
        }
        sum
    }

    pub fn into_json(self) -> Value {
        json!({
            "identities": self.identities,
            "errors": self.errors,
            "longest_ms": self.longest_ms,
        })
    }
}
