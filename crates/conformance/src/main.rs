//! `ipseity-conformance`: see conformance/README.md.

#![allow(
    clippy::disallowed_macros,
    reason = "this program is part of the tests, and a panic is a report"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use getopts::Options;
use ipseity_conformance::{
    clients, exam, load,
    run::{Plan, run, vectors_row},
    scenario,
    table::Table,
    vectors,
};

/// How many scenarios run at a time for each processor: they wait more than they compute.
const JOBS_PER_PROCESSOR: usize = 4;

/// How long a worker of a load may get nothing. It is long because machines are shared.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long each load lasts, in seconds.
const LOAD_S: u64 = 5;

fn main() -> ExitCode {
    match program(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("ipseity-conformance: {reason}");
            ExitCode::from(2)
        }
    }
}

fn flags() -> Options {
    let mut flags = Options::new();
    flags
        .optmulti(
            "",
            "client",
            "only this client; may be given several times",
            "NAME",
        )
        .optmulti(
            "",
            "scenario",
            "only those with this in their name; may be given several times",
            "PART",
        )
        .optmulti(
            "",
            "at",
            "only the clients whose conformance.json is in this folder; may be given several times",
            "FOLDER",
        )
        .optopt(
            "",
            "load",
            "how long each load lasts; 0 for none (5)",
            "SECONDS",
        )
        .optopt(
            "",
            "jobs",
            "how many scenarios run at a time (4 for each processor)",
            "NUMBER",
        )
        .optopt(
            "",
            "report",
            "write the results to this file too: Markdown, or JSON if it ends so",
            "FILE",
        )
        .optflag("", "no-build", "take the clients as they are built")
        .optflag("", "list", "only list the clients and the scenarios")
        .optflag("", "write-vectors", "only write conformance/vectors anew")
        .optflag(
            "q",
            "quiet",
            "print no table, only what differs and a line for each client",
        )
        .optflag("v", "verbose", "tell each result as soon as it is there")
        .optflag("h", "help", "this text");
    flags
}

/// Whether nothing differs.
fn program(arguments: &[String]) -> Result<bool, String> {
    let flags = flags();
    let given = flags.parse(arguments).map_err(|error| error.to_string())?;
    if let Some(word) = given.free.first() {
        return Err(format!("{word:?} is no flag: see --help"));
    }
    if given.opt_present("help") {
        print!("{}", flags.usage("usage: ipseity-conformance [FLAGS]"));
        return Ok(true);
    }
    if given.opt_present("write-vectors") {
        vectors::write().map_err(|error| error.to_string())?;
        return Ok(true);
    }
    let number = |flag: &str, default: u64| match given.opt_str(flag) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("--{flag}: {text:?} is no number")),
    };
    let parts = given.opt_strs("scenario");
    let is_meant =
        |row: &str| parts.is_empty() || parts.iter().any(|part| row.contains(part.as_str()));
    let names = given.opt_strs("client");
    let at: Vec<PathBuf> = given.opt_strs("at").iter().map(PathBuf::from).collect();
    let all = clients::find(&at)?;
    if let Some(name) = names
        .iter()
        .find(|name| all.iter().all(|client| client.name != **name))
    {
        let known: Vec<&str> = all.iter().map(|client| client.name.as_str()).collect();
        return Err(format!(
            "there is no client {name}; there are {}",
            known.join(", ")
        ));
    }
    let load_s = number("load", LOAD_S)?;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let jobs = number("jobs", (processors * JOBS_PER_PROCESSOR) as u64)?;
    let plan = Plan {
        clients: all
            .into_iter()
            .filter(|client| names.is_empty() || names.contains(&client.name))
            .collect(),
        scenarios: scenario::all()?
            .into_iter()
            .filter(|scenario| is_meant(&scenario.name))
            .collect(),
        vectors: exam::FILES
            .into_iter()
            .filter(|file| is_meant(&vectors_row(file)))
            .collect(),
        loads: load::Kind::ALL
            .into_iter()
            .filter(|kind| load_s > 0 && is_meant(&kind.row()))
            .collect(),
        load_times: load::Times {
            time: Duration::from_secs(load_s),
            patience: PATIENCE,
        },
        jobs: jobs.max(1) as usize,
        builds: !given.opt_present("no-build"),
        tells: given.opt_present("verbose"),
    };
    if given.opt_present("list") {
        list(&plan);
        return Ok(true);
    }
    if plan.scenarios.is_empty() && plan.vectors.is_empty() && plan.loads.is_empty() {
        return Err(format!(
            "no scenario has {} in its name",
            parts.join(" or ")
        ));
    }
    let table = run(&plan);
    if !given.opt_present("quiet") {
        println!("{}", table.text());
    }
    print!("{}", table.summary());
    if let Some(file) = given.opt_str("report") {
        report(&table, Path::new(&file)).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(!table.has_failed())
}

fn list(plan: &Plan) {
    for client in &plan.clients {
        let missing = client.missing();
        match missing.is_empty() {
            true => println!("client {}", client.name),
            false => println!(
                "client {}: skipped, it needs {}",
                client.name,
                missing.join(" and ")
            ),
        }
    }
    for file in &plan.vectors {
        println!("{}", vectors_row(file));
    }
    for scenario in &plan.scenarios {
        println!("{}: {}", scenario.name, scenario.about);
    }
    for kind in &plan.loads {
        println!("{}", kind.row());
    }
}

fn report(table: &Table, file: &Path) -> std::io::Result<()> {
    let is_json = file.extension().is_some_and(|kind| kind == "json");
    match is_json {
        true => fs::write(file, format!("{:#}\n", table.json())),
        false => fs::write(file, table.markdown()),
    }
}
