//! `members`: which other servers each server knows, for people or as JSON. It can also make them forget one.

use std::io::{self, Write};

use getopts::Matches;
use ipseity_client::{Client, ClientError, ClientOptions};
use ipseity_core::{
    identity::{Pid, Sequence},
    words::{Forget, Member},
};
use serde::Serialize;

use ipseity_console::{Flags, age, code_name, plain, table};

use crate::{
    at_once::at_once,
    command::{Command, no_more},
    failure::{Failure, Outcome, advice, complain},
    json::{write_error, write_line},
    servers,
    shape::{self, Shape, write_csv},
    unread::Unread,
    unseen::Unseen,
    values,
};

/// The command.
pub const COMMAND: Command = Command {
    name: "members",
    arguments: "",
    summary: "Show which other servers each server knows, or make it forget one",
    details: "\
A server knows another from the first time that it hears from it, also after a restart, until it is
told to forget it. The last column says what it objects to: staleState (the other's state directory
was lost or rolled back) or pidConflict (two live servers have that pid). A server shows the
incarnation and the boot only to its peers and its operators.

To retire a pid for good, stop its server, and then make every other server forget it. If it still
runs, the others know it again as soon as they hear from it. A server takes --forget only from its
own machine, or from an address that it was given with --trust.

A server that had claimed a pid, and was killed before it served, can stand in the way of the server
that has that pid. If you know that it handed out nothing, forget it: --forget PID --never-served,
or --forget --never-served for every pid.

All servers are asked at once, and shown in the order in which they are named. If a server cannot be
reached, standard error says so, and the others are shown. In JSON and CSV there is a line for each
member, with the server that knows it.",
    examples: &[
        ("ipseity-cli members", "for people"),
        (
            "ipseity-cli members --format csv",
            "a table for a spreadsheet",
        ),
        (
            "ipseity-cli members --forget --never-served",
            "forget claims of starts that never served",
        ),
    ],
    options,
    run,
};

fn options(options: &mut Flags) {
    shape::options_with_json(options);
    options.optopt(
        "",
        "forget",
        "make each server forget this pid, and show the last sequence that it knew of it",
        "PID",
    );
    options.optflag(
        "",
        "never-served",
        "with --forget: forget only starts that claimed this pid, or any if none is named, and never served",
    );
    servers::options(options);
}

fn run(matches: &Matches, out: &mut dyn Write) -> Result<(), Failure> {
    no_more(&matches.free)?;
    let shape = shape::shape(matches)?;
    let forgotten = forgotten(matches)?;
    if forgotten.is_some() {
        shape.not_csv("--forget")?;
    }
    let mut clients = servers::clients(matches, ClientOptions::one_round())?;
    let headed = clients.len() > 1;
    let out = &mut Unread::new(out);
    let mut outcome = Outcome::default();
    let mut shown = 0;
    if shape == Shape::Csv {
        write_csv(out, CSV_HEADER)?;
    }
    let ask = |client: &mut Client| ask(client, forgotten);
    at_once(&mut clients, ask, |client, answer| {
        let server = client.server().to_string();
        match answer {
            Ok(answer) if shape == Shape::Json => answer.write_json(out, &server)?,
            Ok(answer) if shape == Shape::Csv => answer.write_csv(out, &server)?,
            Ok(answer) => {
                if shown > 0 && forgotten.is_none() {
                    writeln!(out)?;
                }
                answer.write_text(out, &server, headed)?;
                shown += 1;
            }
            Err(error) => {
                outcome.failed();
                match shape {
                    Shape::Text => {}
                    Shape::Json => write_error(out, &server, &error)?,
                    Shape::Csv => write_csv(out, csv_of_error(&server, &error))?,
                }
                complain(&advice(&error));
            }
        }
        // Flushed, so that it is shown before what is written about the next server to standard error.
        out.flush()
    })?;
    outcome.end()
}

/// What each server is to forget, if anything.
fn forgotten(matches: &Matches) -> Result<Option<Forget>, Failure> {
    let never_served = matches.opt_present("never-served");
    // Without a pid, the parser takes the flag behind it for its value.
    if matches.opt_str("forget").as_deref() == Some("--never-served") {
        return Ok(Some(Forget::AllNeverServed));
    }
    let pid = values::number(matches, "forget", 0..=Pid::MAX.get().into())?
        .and_then(|pid| u16::try_from(pid).ok())
        .and_then(Pid::new);
    match pid {
        None if never_served => Err(Failure::Usage(
            "--never-served needs --forget: members --forget [PID] --never-served".to_owned(),
        )),
        None => Ok(None),
        Some(pid) if never_served => Ok(Some(Forget::NeverServed(pid))),
        Some(pid) => Ok(Some(Forget::All(pid))),
    }
}

/// What a server answers: to the question which others it knows, or to the order to forget one.
enum Answer {
    /// These are the others that it knows.
    Known(Vec<Member>),
    /// It has forgotten this pid, which had come to this sequence.
    Forgotten(Pid, Sequence),
    /// It has forgotten the lives of this pid, or of all, that never served.
    NeverServed(Option<Pid>, Sequence),
}

fn ask(client: &mut Client, forgotten: Option<Forget>) -> Result<Answer, ClientError> {
    match forgotten {
        Some(Forget::All(pid)) => client
            .forget(pid)
            .map(|sequence| Answer::Forgotten(pid, sequence)),
        Some(Forget::NeverServed(pid)) => client
            .forget_never_served(Some(pid))
            .map(|sequence| Answer::NeverServed(Some(pid), sequence)),
        Some(Forget::AllNeverServed) => client
            .forget_never_served(None)
            .map(|sequence| Answer::NeverServed(None, sequence)),
        None => client.members().map(Answer::Known),
    }
}

impl Answer {
    /// For people. If several servers are asked, each has a heading.
    fn write_text(&self, out: &mut dyn Write, server: &str, headed: bool) -> io::Result<()> {
        match self {
            Answer::Known(members) => {
                if headed {
                    writeln!(out, "{server}")?;
                }
                if members.is_empty() {
                    return writeln!(out, "no other server is known");
                }
                for line in rows(members) {
                    writeln!(out, "{line}")?;
                }
                Ok(())
            }
            Answer::Forgotten(pid, sequence) => writeln!(
                out,
                "{server} has forgotten pid {pid}, which had come to sequence {sequence}"
            ),
            Answer::NeverServed(pid, _) => {
                let whose = pid.map_or("any pid".to_owned(), |pid| format!("pid {pid}"));
                writeln!(
                    out,
                    "{server} has forgotten every life of {whose} that never served, if there was one"
                )
            }
        }
    }

    /// A row for each member.
    fn write_csv(&self, out: &mut dyn Write, server: &str) -> io::Result<()> {
        let Answer::Known(members) = self else {
            return Ok(());
        };
        for member in members {
            let of = MemberJson::of(server, member);
            let number = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
            let fields: [String; CSV_HEADER.len()] = [
                of.server.to_owned(),
                of.pid.to_string(),
                of.incarnation.unwrap_or_default(),
                number(of.boot),
                of.session.unwrap_or_default(),
                of.address.unwrap_or_default().to_owned(),
                of.sequence,
                number(of.last_heard_ms),
                of.objection.unwrap_or_default(),
                String::new(),
            ];
            write_csv(out, fields)?;
        }
        Ok(())
    }

    /// One object a line. Whatever can exceed 2^53 is a string, since many readers of JSON have no larger
    /// integers.
    fn write_json(&self, out: &mut dyn Write, server: &str) -> io::Result<()> {
        match self {
            Answer::Known(members) => {
                for member in members {
                    write_line(out, &MemberJson::of(server, member))?;
                }
                Ok(())
            }
            Answer::Forgotten(pid, sequence) => {
                let report = ForgottenJson {
                    server,
                    forgotten: Some(pid.get()),
                    never_served: false,
                    sequence: sequence.to_string(),
                };
                write_line(out, &report)
            }
            Answer::NeverServed(pid, sequence) => {
                let report = ForgottenJson {
                    server,
                    forgotten: pid.map(Pid::get),
                    never_served: true,
                    sequence: sequence.to_string(),
                };
                write_line(out, &report)
            }
        }
    }
}

/// The columns in CSV.
const CSV_HEADER: [&str; 10] = [
    "server",
    "pid",
    "incarnation",
    "boot",
    "session",
    "address",
    "sequence",
    "last_heard_ms",
    "objection",
    "error",
];

fn csv_of_error(server: &str, error: &ClientError) -> [String; CSV_HEADER.len()] {
    let mut fields = [""; CSV_HEADER.len()].map(str::to_owned);
    server.clone_into(&mut fields[0]);
    fields[CSV_HEADER.len() - 1] = Unseen::new(error).reason;
    fields
}

fn rows(members: &[Member]) -> Vec<String> {
    let header = [
        "pid",
        "incarnation",
        "boot",
        "address",
        "sequence",
        "last heard",
        "objection",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for member in members {
        rows.push(vec![
            member.pid.to_string(),
            incarnation(member).unwrap_or_else(|| "not shown".to_owned()),
            boot(member).map_or_else(|| "-".to_owned(), |boot| boot.to_string()),
            address(member).unwrap_or_else(|| "-".to_owned()),
            member.sequence.to_string(),
            member.last_heard_ms.map_or_else(
                || "before its start".to_owned(),
                |ms| format!("{} ago", age(ms)),
            ),
            objection(member).unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table(&rows, &[-3, 0, -4, 0, -8, 0, 0])
}

/// Its incarnation, if the server shows it.
fn incarnation(member: &Member) -> Option<String> {
    let life = member.life()?;
    Some(format!("{:#034x}", life.incarnation))
}

/// Its boot, if the server shows it.
fn boot(member: &Member) -> Option<u64> {
    member.life().map(|life| life.boot)
}

/// Where it was last heard, if that was since the server was started.
fn address(member: &Member) -> Option<String> {
    (!member.address.is_empty()).then(|| plain(&member.address))
}

fn objection(member: &Member) -> Option<String> {
    (member.objection != 0).then(|| code_name(member.objection))
}

#[derive(Serialize)]
struct MemberJson<'a> {
    server: &'a str,
    pid: u16,
    /// This and the next two are null if the server does not show them.
    incarnation: Option<String>,
    boot: Option<u64>,
    session: Option<String>,
    address: Option<&'a str>,
    /// A string, because many programs would round a large number.
    sequence: String,
    last_heard_ms: Option<u64>,
    objection: Option<String>,
}

impl<'a> MemberJson<'a> {
    fn of(server: &'a str, member: &'a Member) -> MemberJson<'a> {
        MemberJson {
            server,
            pid: member.pid.get(),
            incarnation: incarnation(member),
            boot: boot(member),
            session: member.life().map(|life| format!("{:#018x}", life.session)),
            address: Some(&*member.address).filter(|address| !address.is_empty()),
            sequence: member.sequence.to_string(),
            last_heard_ms: member.last_heard_ms,
            objection: objection(member),
        }
    }
}

#[derive(Serialize)]
struct ForgottenJson<'a> {
    server: &'a str,
    /// Null: all pids.
    forgotten: Option<u16>,
    /// Only lives that never served.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    never_served: bool,
    sequence: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<Member> {
        let member = Member {
            pid: Pid::new(2).unwrap(),
            incarnation: 0xabc,
            boot: 7,
            session: u64::MAX,
            sequence: 990,
            address: "b:3264\u{1b}[2J".into(),
            last_heard_ms: Some(250),
            objection: 38,
        };
        let remembered = Member {
            pid: Pid::MAX,
            incarnation: u128::MAX,
            address: "".into(),
            last_heard_ms: None,
            objection: 0,
            ..member.clone()
        };
        let unknown = Member {
            pid: Pid::new(3).unwrap(),
            objection: 63,
            ..remembered.clone()
        };
        vec![member, unknown, remembered]
    }

    fn text(answer: &Answer, headed: bool) -> String {
        let mut out = Vec::new();
        answer.write_text(&mut out, "a:3264", headed).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_are_shown_a_table() {
        assert_eq!(
            text(&Answer::Known(members()), true),
            "\
a:3264
 pid  incarnation                         boot  address          sequence  last heard        objection
   2  0x00000000000000000000000000000abc     7  b:3264\\u{1b}[2J       990  250ms ago         staleState
   3  0xffffffffffffffffffffffffffffffff     7  -                     990  before its start  63
1023  0xffffffffffffffffffffffffffffffff     7  -                     990  before its start  -
"
        );
        assert_eq!(
            text(&Answer::Known(Vec::new()), false),
            "no other server is known\n"
        );
        let forgotten = Answer::Forgotten(Pid::MAX, Sequence::ZERO);
        assert_eq!(
            text(&forgotten, true),
            "a:3264 has forgotten pid 1023, which had come to sequence 0\n"
        );
    }

    #[test]
    fn json_is_an_object_a_line_with_the_server_that_was_asked() {
        let mut out = Vec::new();
        let answer = Answer::Known(members());
        answer.write_json(&mut out, "a:3264").unwrap();
        let shown = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            concat!(
                r#"{"server":"a:3264","pid":2,"incarnation":"0x00000000000000000000000000000abc","#,
                r#""boot":7,"session":"0xffffffffffffffff","address":"b:3264\u001b[2J","#,
                r#""sequence":"990","last_heard_ms":250,"objection":"staleState"}"#,
            )
        );
        assert!(lines[1].ends_with(r#""last_heard_ms":null,"objection":"63"}"#));
        assert!(lines[2].contains(r#""address":null,"#), "{}", lines[2]);
        assert_eq!(lines.len(), 3);
    }
}
