//! Scenarios of the actor as transcripts: text files that a review can read as a diff.
//!
//! Each file in tests/core/transcripts is played. `given` makes an actor. A line as in `--trace` is an event, and under
//! it is what the actor did: each effect after `>`, and after `=` its standing, sequence and ceiling if they have changed.
//! A field that a line leaves out has the value that most transcripts want, so that the line shows only what matters.
//! Whole lines of a real trace, without the serial and the time, can be put in as they are.
//!
//! `IPSEITY_REWRITE=1 cargo test --test core transcripts` writes down what the actor does now. Then read the diff.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use ipseity_core::{
    actor::{Actor, ActorConfig, Event, JoinMode, Outcome, Written},
    identity::{Pid, Sequence},
    ids::{ConnectionId, Count, Link, PeerId},
    time::Instant,
    words::{
        ErrorCode, ErrorReply, Forget, Hello, Objection, Overrule, Stage, SyncMessage, Told, Vote,
        WIRE_VERSION,
    },
};
use ipseity_sim::config::actor_config;

/// Long after the start of the actor, so that nothing has happened just before unless the transcript says so.
const BEGINS_AT: Instant = Instant::from_nanos(1_000_000_000_000);

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/transcripts");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn the_actor_does_what_the_transcripts_say() {
    let rewrites = std::env::var_os("IPSEITY_REWRITE").is_some();
    let files = transcripts();
    assert!(files.len() >= 6, "transcripts are missing");
    let mut differences = String::new();
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let played = play(&written).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        if rewrites {
            fs::write(&file, played).unwrap();
        } else if let Some(difference) = difference(&written, &played) {
            writeln!(differences, "{}: {difference}", file.display()).unwrap();
        }
    }
    assert!(
        differences.is_empty(),
        "\n{differences}If that is what it should do: IPSEITY_REWRITE=1, and read the diff."
    );
}

#[test]
fn a_transcript_that_says_something_else_is_noticed() {
    let written = "given ceiling=10\n\nidentityRequest connection=0.1 count=2\n> reply connection=0.1 \
                   identityReply first=1025 count=2\n= standing=Serving sequence=2 ceiling=10\n";
    assert_eq!(play(written).unwrap(), written);
    for (said, other) in [
        ("first=1025", "first=2049"),
        ("> reply", "> stopTicker\n> reply"),
        ("sequence=2", "sequence=3"),
        ("\n= standing=Serving sequence=2 ceiling=10", ""),
    ] {
        let wrong = written.replace(said, other);
        let played = play(&wrong).unwrap();
        assert_eq!(played, written, "what the actor does is written again");
        assert!(difference(&wrong, &played).is_some(), "{other}");
    }
    for (nonsense, why) in [
        ("identityRequest connection=0.1\n", "nothing was given"),
        (
            "given ceiling=10\nidentityRequest\n",
            "connection is missing",
        ),
        ("given ceiling=ten\n", "ceiling=ten"),
        ("given roof=10\n", "roof"),
        ("given\nidentityrequest connection=0.1\n", "identityrequest"),
        ("given\nstop at=once\n", "at"),
    ] {
        let error = play(nonsense).unwrap_err();
        assert!(error.contains(why), "{nonsense:?}: {error}");
    }
}

/// The first line that differs.
fn difference(written: &str, played: &str) -> Option<String> {
    let (mut is, mut was) = (played.lines(), written.lines());
    for number in 1.. {
        match (is.next(), was.next()) {
            (None, None) => break,
            (is, was) if is == was => {}
            (is, was) => {
                let show = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                let (is, was) = (show(is), show(was));
                return Some(format!("line {number}\n  written: {was}\n  played:  {is}"));
            }
        }
    }
    None
}

/// An actor, and the time at which the next event happens to it.
struct Scene {
    actor: Actor,
    now: Instant,
}

/// Plays a transcript: keeps what was put in, and writes under it what the actor does.
fn play(text: &str) -> Result<String, String> {
    let mut scene = None;
    let mut played = String::new();
    for line in text.lines() {
        // The lines about what the actor did are written again.
        if line.starts_with(['>', '=']) {
            continue;
        }
        played += line;
        played += "\n";
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        match name {
            "" | "#" => {}
            "given" => scene = Some(given(rest).map_err(|why| format!("{line}: {why}"))?),
            name => {
                let scene = scene.as_mut().ok_or("nothing was given")?;
                let done = scene.take(name, rest);
                played += &done.map_err(|why| format!("{line}: {why}"))?;
            }
        }
    }
    Ok(played)
}

fn given(rest: &str) -> Result<Scene, String> {
    let mut fields = Fields::new(rest)?;
    let base = actor_config();
    let config = ActorConfig {
        sequence: fields.sequence("sequence", base.sequence)?,
        ceiling: fields.sequence("ceiling", base.ceiling)?,
        recovered: fields.sequence("recovered", base.recovered)?,
        joins: fields.or("joins", base.joins)?,
        join_mode: match fields.or("joinRequiresPeer", false)? {
            true => JoinMode::Require,
            false => JoinMode::Prefer,
        },
        ..base
    };
    fields.end()?;
    Ok(Scene {
        actor: Actor::new(config),
        now: BEGINS_AT,
    })
}

impl Scene {
    /// Lets something happen. Returns the lines of what the actor did.
    fn take(&mut self, name: &str, rest: &str) -> Result<String, String> {
        if name == "wait" {
            let ms = rest.strip_suffix(" ms").and_then(|ms| ms.parse().ok());
            let wait = Duration::from_millis(ms.ok_or("how many ms?")?);
            self.now = self.now.after(wait);
            return Ok(String::new());
        }
        let event = event(name, rest)?;
        let before = self.standing();
        let mut effects = Vec::new();
        self.actor.handle(event, self.now, &mut effects);
        let mut lines = String::new();
        for effect in effects {
            writeln!(lines, "> {effect}").unwrap();
        }
        let after = self.standing();
        if after != before {
            writeln!(lines, "= {after}").unwrap();
        }
        Ok(lines)
    }

    fn standing(&self) -> String {
        format!(
            "standing={:?} sequence={} ceiling={}",
            self.actor.standing(),
            self.actor.sequence(),
            self.actor.ceiling()
        )
    }
}

/// The event that a line of a trace shows.
fn event(name: &str, rest: &str) -> Result<Event, String> {
    let mut fields = Fields::new(rest)?;
    let event = match name {
        "unknown" => Event::Unknown {
            from: fields.connection()?,
            error: Box::new(ErrorReply::new(
                ErrorCode::UnknownKind,
                fields.text("error"),
            )),
        },
        "identityRequest" => Event::IdentityRequest {
            from: fields.connection()?,
            count: Count::saturating(fields.or("count", 1)?),
            after: fields.or("after", 0)?,
        },
        "syncTimeout" => Event::SyncTimeout,
        "syncRequest" => Event::SyncRequest {
            from: fields.connection()?,
            sync: Box::new(fields.sync()?),
        },
        "syncReply" => Event::SyncReply {
            from: fields.peer()?,
            sync: Box::new(fields.sync()?),
        },
        "errorReply" => {
            let code = fields.code("code")?;
            Event::ErrorReply {
                from: fields.peer()?,
                error: Box::new(ErrorReply::new(code, fields.text("message"))),
            }
        }
        "statusRequest" => Event::StatusRequest {
            from: fields.connection()?,
        },
        "helloRequest" => Event::HelloRequest {
            from: fields.connection()?,
            hello: Box::new(Hello { cluster: None }),
        },
        "peerConnected" => Event::PeerConnected(fields.peer()?),
        "peerDisconnected" => Event::PeerDisconnected(fields.link()?),
        "disconnected" => Event::Disconnected(fields.connection()?),
        "objection" => Event::Objection(Box::new((fields.link()?, fields.objection()?))),
        "overrule" => Event::Overrule(Box::new((fields.link()?, fields.overrule()?))),
        "allAsked" => Event::AllAsked,
        "joinTimeout" => Event::JoinTimeout,
        "saveTimeout" => Event::SaveTimeout,
        "writeTimeout" => Event::WriteTimeout,
        "storeTimeout" => Event::StoreTimeout,
        "membersRequest" => Event::MembersRequest {
            from: fields.connection()?,
            first: fields.pid("first", 0)?,
        },
        "forgetRequest" => Event::ForgetRequest {
            from: fields.connection()?,
            what: Forget::All(fields.pid("pid", 2)?),
        },
        "advanceRequest" => Event::AdvanceRequest {
            from: fields.connection()?,
            above: fields.or("above", 0)?,
        },
        "written" => Event::Written(fields.written(Outcome::Durable)?),
        "writeFailed" => Event::Written(fields.written(Outcome::Failed)?),
        "stop" => Event::Stop,
        other => return Err(format!("there is no event {other}")),
    };
    fields.end()?;
    Ok(event)
}

/// The fields after the name of an event.
struct Fields(BTreeMap<String, String>);

impl Fields {
    /// `name=value` or `name="value with spaces"`, or a word alone.
    fn new(text: &str) -> Result<Fields, String> {
        let mut fields = BTreeMap::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = rest.find(['=', ' ']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            let (value, behind) = match behind.strip_prefix('=') {
                None => ("", behind),
                Some(behind) => match behind.strip_prefix('"') {
                    Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
                    None => behind.split_at(behind.find(' ').unwrap_or(behind.len())),
                },
            };
            if fields.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(format!("{name} is there twice"));
            }
            rest = behind.trim_start();
        }
        Ok(Fields(fields))
    }

    /// Checks that no field is left over.
    fn end(self) -> Result<(), String> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("{name} does not belong there")),
        }
    }

    fn text(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_else(|| "no".to_owned())
    }

    /// The value of a field, as `read` reads it.
    fn read<T>(
        &mut self,
        name: &str,
        otherwise: T,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, String> {
        match self.0.remove(name) {
            None => Ok(otherwise),
            Some(value) => read(&value).ok_or_else(|| format!("{name}={value}")),
        }
    }

    fn or<T: FromStr>(&mut self, name: &str, otherwise: T) -> Result<T, String> {
        self.read(name, otherwise, |value| value.parse().ok())
    }

    fn hex(&mut self, name: &str, otherwise: u128) -> Result<u128, String> {
        self.read(name, otherwise, |value| {
            u128::from_str_radix(value, 16).ok()
        })
    }

    fn sequence(&mut self, name: &str, otherwise: Sequence) -> Result<Sequence, String> {
        self.read(name, otherwise, |value| Sequence::new(value.parse().ok()?))
    }

    fn pid(&mut self, name: &str, otherwise: u16) -> Result<Pid, String> {
        let otherwise = Pid::new(otherwise).unwrap();
        self.read(name, otherwise, |value| Pid::new(value.parse().ok()?))
    }

    fn code(&mut self, name: &str) -> Result<ErrorCode, String> {
        let code = self.read(name, None, |value| {
            Some(ErrorCode::from_u16(value.parse().ok()?))
        });
        code?.ok_or_else(|| format!("{name} is missing, or unknown"))
    }

    fn connection(&mut self) -> Result<ConnectionId, String> {
        let connection = self.read("connection", None, |value| {
            let (slot, serial) = value.split_once('.')?;
            let id = ConnectionId::new(slot.parse().ok()?, serial.parse().ok()?);
            Some(Some(id))
        });
        connection?.ok_or_else(|| "connection is missing".to_owned())
    }

    fn peer(&mut self) -> Result<PeerId, String> {
        let peer = self.read("peer", None, |value| Some(Some(value.parse().ok()?)));
        Ok(PeerId(peer?.ok_or("peer is missing")?))
    }

    fn link(&mut self) -> Result<Link, String> {
        match self.0.contains_key("peer") {
            true => Ok(Link::Dialed(self.peer()?)),
            false => Ok(Link::Accepted(self.connection()?)),
        }
    }

    fn written(&mut self, outcome: Outcome) -> Result<Written, String> {
        let (what, _) = self.0.pop_first().ok_or("what was written?")?;
        match &*what {
            "ceiling" => Ok(Written::Ceiling(outcome)),
            "objection" => Ok(Written::Objection(outcome)),
            "members" => Ok(Written::Members(outcome)),
            "stop" => Ok(Written::Stop(outcome)),
            other => Err(format!("{other} is never written")),
        }
    }

    /// What pid 2 says about itself, unless the line says otherwise.
    fn sync(&mut self) -> Result<SyncMessage, String> {
        let cluster = actor_config().cluster;
        Ok(SyncMessage {
            version: self.or("version", WIRE_VERSION)?,
            cluster: self.read("cluster", cluster, |value| value.parse().ok())?,
            pid: self.pid("pid", 2)?,
            incarnation: self.hex("incarnation", 0x2222)?,
            boot: self.or("boot", 1)?,
            session: self.hex("session", 0x52)? as u64,
            sequence: self.or("sequence", 0)?,
            told: Told {
                stage: self.read("stage", Stage::Serves, |value| {
                    Stage::ALL.into_iter().find(|stage| stage.name() == value)
                })?,
                ceiling: self.or("ceiling", 1 << 20)?,
                votes: self.read("votes", Vote::Counts, |value| {
                    Vote::ALL.into_iter().find(|vote| vote.name() == value)
                })?,
                known: None,
                claimed: None,
                nonce: self.hex("nonce", 0x5200)? as u64,
                heard: self.hex("heard", 0)? as u64,
                refused: self.or("refused", 0)?,
            },
            advertise: String::new(),
        })
    }

    /// An objection to this actor, unless the line says otherwise.
    fn objection(&mut self) -> Result<Objection, String> {
        let own = actor_config();
        Ok(Objection {
            pid: self.pid("pid", own.pid.get())?,
            session: self.hex("session", own.session.into())? as u64,
            code: self.code("code")?.get(),
            sequence: self.or("sequence", 0)?,
            message: self.text("message"),
        })
    }

    /// An overrule of pid 2, unless the line says otherwise.
    fn overrule(&mut self) -> Result<Overrule, String> {
        Ok(Overrule {
            pid: self.pid("pid", 2)?,
            incarnation: self.hex("incarnation", 0x2222)?,
            session: self.hex("session", 0x52)? as u64,
            above: self.or("above", 0)?,
        })
    }
}
