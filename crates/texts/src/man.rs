//! The man pages: one for the server, one for the client, and one for each command of the client.

use crate::command::Program;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use ipseity_console::Flags;

/// A file of a man page.
pub(crate) struct Page {
    /// Its name, such as `ipseity.1`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A table of a section: what stands at the margin, and what it means.
type Rows = [(&'static str, &'static str)];

const SERVER_EXITS: &Rows = &[
    ("0", "It was stopped as asked, or --check found no fault."),
    (
        "1",
        "It could not start, its disk failed or took too long, or it got a second signal; or it was stopped after a peer \
         had objected to it; or --check found a fault. The last line of the log says which.",
    ),
    (
        "2",
        "The command line or a variable is wrong. A restart changes nothing.",
    ),
];

const SERVER_FILES: &Rows = &[
    (
        "ipseity-data/PID/lock",
        "Locked while a server uses the directory. It holds the id of its process, or says that it has stopped.",
    ),
    (
        "ipseity-data/PID/state",
        "How far this pid has come. Never copy it for a second server, and never bring an old one back.",
    ),
    (
        "ipseity-data/PID/members",
        "What the other servers have said about themselves.",
    ),
];

const SERVER_SIGNALS: &Rows = &[
    (
        "SIGTERM, SIGINT",
        "Stop, within five seconds. A second one ends the process at once.",
    ),
    (
        "SIGHUP",
        "Read the files of TLS again, and open the file of --trace again.",
    ),
];

/// Each with the flag that it stands for.
const CLIENT_VARIABLES: [(&str, &str, &str); 5] = [
    (
        "server",
        "IPSEITY_SERVER",
        "The servers to ask, with commas between them, if --server is not given.",
    ),
    (
        "tls-ca",
        "IPSEITY_TLS_CA",
        "The file of --tls-ca, if that is not given.",
    ),
    (
        "tls-cert",
        "IPSEITY_TLS_CERT",
        "The file of --tls-cert, if that is not given.",
    ),
    (
        "tls-key",
        "IPSEITY_TLS_KEY",
        "The file of --tls-key, if that is not given.",
    ),
    (
        "store",
        "IPSEITY_STORE",
        "Where etcd is, if --store is not given.",
    ),
];

/// All pages of a program.
pub(crate) fn pages(program: &Program) -> Vec<Page> {
    if program.commands.is_empty() {
        let sections = |roff: &mut Roff| {
            roff.control("SH", ["ENVIRONMENT"]);
            roff.text([roman(
                "Each flag also has a variable, which counts if the flag is not given. An empty one counts as not set. Commas \
                 separate what a flag may repeat. For a flag without a value the variable is true, 1 or yes, or else false, 0 \
                 or no. Variables that belong to no flag are ignored.",
            )]);
            for flag in program.flags.iter() {
                if let Some(variable) = &flag.variable {
                    row(roff, variable, &format!("The same as --{}.", flag.name));
                }
            }
            table(roff, "FILES", SERVER_FILES);
            table(roff, "SIGNALS", SERVER_SIGNALS);
            table(roff, "EXIT STATUS", SERVER_EXITS);
        };
        return vec![page(
            program,
            program.name,
            program.name,
            &sections,
            &["ipseity-cli"],
        )];
    }
    let pages: Vec<String> = program
        .commands
        .iter()
        .map(|command| format!("{}-{}", program.name, command.name))
        .collect();
    // A page names the variables of the flags that it has.
    let sections = |roff: &mut Roff, flags: &Flags| {
        let has = |name: &str| flags.iter().any(|flag| flag.name == name);
        let variables = CLIENT_VARIABLES.iter().filter(|(flag, ..)| has(flag));
        let rows: Vec<_> = variables.map(|(_, name, text)| (*name, *text)).collect();
        if !rows.is_empty() {
            table(roff, "ENVIRONMENT", &rows);
        }
        table(roff, "EXIT STATUS", &ipseity_cli::EXIT_CODES);
    };
    let overview = |roff: &mut Roff| {
        roff.control("SH", ["COMMANDS"]);
        for (command, page) in program.commands.iter().zip(&pages) {
            row(roff, &format!("{page}(1)"), &format!("{}.", command.about));
        }
        row(
            roff,
            "ipseity-cli help [COMMAND]",
            "The flags and examples of all, or of this command.",
        );
        sections(roff, &program.flags);
    };
    let mut made = vec![page(
        program,
        program.name,
        program.name,
        &overview,
        &["ipseity"],
    )];
    for (command, name) in program.commands.iter().zip(&pages) {
        let typed = format!("{} {}", program.name, command.name);
        let with_examples = |roff: &mut Roff| {
            roff.control("SH", ["EXAMPLES"]);
            for (line, purpose) in command.examples {
                row(roff, line, &format!("{purpose}."));
            }
            sections(roff, &command.flags);
        };
        made.push(page(
            command,
            name,
            &typed,
            &with_examples,
            &[program.name, "ipseity"],
        ));
    }
    made
}

/// A page. `typed` is what people type, and `more` are its last sections but one.
fn page(
    program: &Program,
    name: &str,
    typed: &str,
    more: &dyn Fn(&mut Roff),
    see_also: &[&str],
) -> Page {
    let command = program
        .command()
        .display_name(name.to_owned())
        .bin_name(typed.to_owned())
        .override_usage(format!("{typed} [FLAGS]{}", program.arguments));
    let man = Man::new(command);
    let mut begin = Roff::new();
    // Without a date: the pages change with the flags and not with the days.
    begin.control(
        "TH",
        [&*name.to_uppercase(), "1", "\"\"", "Ipseity", "Ipseity"],
    );
    let mut description = Roff::new();
    description.control("SH", ["DESCRIPTION"]);
    describe(&mut description, program.details);
    let mut end = Roff::new();
    more(&mut end);
    end.control("SH", ["SEE ALSO"]);
    let pages: Vec<String> = see_also.iter().map(|page| format!("{page}(1)")).collect();
    end.text([roman(pages.join(", "))]);
    let mut text = begin.to_roff().into_bytes();
    let written = man
        .render_name_section(&mut text)
        .and_then(|()| man.render_synopsis_section(&mut text))
        .and_then(|()| description.to_writer(&mut text))
        .and_then(|()| man.render_options_section(&mut text))
        .and_then(|()| end.to_writer(&mut text));
    written.expect("writing to memory never fails");
    Page {
        name: format!("{name}.1"),
        text: String::from_utf8(text).expect("the flags are text"),
    }
}

/// Paragraphs. Lines that begin with a space keep their form.
fn describe(roff: &mut Roff, details: &str) {
    let mut is_as_it_is = false;
    for line in details.lines() {
        if line.starts_with(' ') != is_as_it_is {
            is_as_it_is = !is_as_it_is;
            roff.control(if is_as_it_is { "nf" } else { "fi" }, []);
        }
        match line.is_empty() {
            true => roff.control("PP", []),
            false => roff.text([roman(line)]),
        };
    }
    if is_as_it_is {
        roff.control("fi", []);
    }
}

fn table(roff: &mut Roff, heading: &str, rows: &Rows) {
    roff.control("SH", [heading]);
    for (name, text) in rows {
        row(roff, name, text);
    }
}

fn row(roff: &mut Roff, name: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(text)]);
}
