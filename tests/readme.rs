//! What README.md and docs/ show is what happens: every shell example of the README is run, every flag is in
//! its table, and every bound of docs/architecture.md is the one in src/limits.rs.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is the report, and waiting is bounded by the clock"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long an example may take to come out as it is shown. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(30);

/// The ports that the README names; each example runs on a free one in its place.
const PORTS: [&str; 4] = ["3264", "3271", "3272", "3273"];

/// The set-up of a fresh machine.
const MAIN_JOB: &str = "cargo build --release --locked && target/release/ipseity";
const TESTS: &str = ".ci/setup && cargo test --workspace --locked";

#[test]
fn the_examples_of_the_readme_come_out_as_shown() {
    let mut shell = Shell::new();
    // The main job: its build is what ran this test.
    shell.serve("ipseity --listen 127.0.0.1:3264");
    for block in blocks(&read("README.md"), "console") {
        for example in examples(&block) {
            shell.run(&example);
        }
    }
    // The last example stops them.
    for (command, mut server) in std::mem::take(&mut shell.servers) {
        let status = server.wait().unwrap();
        let killed = command.ends_with("2> 1.log");
        assert_eq!(status.success(), !killed, "{command}: {status}");
    }
}

#[test]
fn two_commands_set_up_a_fresh_machine() {
    let commands = blocks(&read("README.md"), "sh");
    assert_eq!(
        commands,
        [vec![MAIN_JOB.to_owned()], vec![TESTS.to_owned()]]
    );
    for program in [".ci/setup", ".ci/run", ".ci/full"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{program} is executable");
    }
    let run = read(".ci/run");
    for command in TESTS.split(" && ") {
        let step = format!("step {command}");
        assert!(run.lines().any(|line| line == step), "{step}");
    }
}

#[test]
fn what_ci_tests_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for program in [".ci/run", ".ci/full"] {
        let text = read(program);
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2) {
            let folder = match pair[0] {
                "--test" => "tests",
                "--bench" => "benches",
                _ => continue,
            };
            let [one, other] = ["", "/main"].map(|end| format!("{folder}/{}{end}.rs", pair[1]));
            let is_there = root.join(&one).exists() || root.join(&other).exists();
            assert!(is_there, "{program}: neither {one} nor {other} is there");
            named += 1;
        }
    }
    assert!(named >= 4, "only {named} are named");
}

#[test]
fn the_table_of_flags_is_that_of_the_help() {
    let help: BTreeSet<String> = ipseity::options::help()
        .lines()
        .filter_map(|line| {
            flag(
                line.trim_start()
                    .trim_start_matches("-h, ")
                    .trim_start_matches("-V, "),
            )
        })
        .collect();
    let shown: BTreeSet<String> = read("README.md")
        .lines()
        .filter_map(|line| flag(line.strip_prefix("| `")?))
        .collect();
    assert!(help.contains("--listen"), "{help:?}");
    assert_eq!(shown, help, "left: the README, right: ipseity --help");
}

#[test]
fn the_bounds_of_the_architecture_are_those_of_the_limits() {
    let mut limits = BTreeMap::new();
    let files = [
        "src/limits.rs",
        "crates/core/src/limits.rs",
        "crates/frames/src/limits.rs",
    ];
    for line in files.map(read).concat().replace("=\n", "=").lines() {
        if let Some((name, value)) = line
            .strip_prefix("pub const ")
            .and_then(|rest| rest.split_once(": "))
        {
            let value = value.split_once('=').unwrap().1;
            limits.insert(name.to_owned(), plain(value.trim().trim_end_matches(';')));
        }
    }
    let mut checked = 0;
    for line in read("docs/architecture.md").lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [_, constant, value, _] = cells[..] else {
            continue;
        };
        let Some(name) = constant
            .strip_prefix('`')
            .and_then(|name| name.split('`').next())
        else {
            continue;
        };
        let limit = limits
            .get(name)
            .unwrap_or_else(|| panic!("no limits.rs has {name}"));
        assert_eq!(value, limit, "{name}");
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} bounds are shown");
}

#[test]
fn the_log_lines_of_the_operations_are_in_the_code() {
    let mut code = String::new();
    collect(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(),
        &mut code,
    );
    // A long text goes on behind a backslash at the end of a line.
    let parts: Vec<&str> = code.split("\\\n").collect();
    let (first, rest) = parts.split_first().unwrap();
    let code = rest
        .iter()
        .fold((*first).to_owned(), |code, part| code + part.trim_start());
    let page = read("docs/operations.md");
    let table = page.split("## Log lines").nth(1).unwrap();
    let lines: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .collect();
    assert!(lines.len() >= 10, "only {} lines are shown", lines.len());
    for line in lines {
        let line = line.split('`').next().unwrap();
        // What stands in the place of `...` differs each time.
        for piece in line.split("...").filter(|piece| piece.len() > 3) {
            assert!(code.contains(piece), "{line:?}: src/ has no {piece:?}");
        }
    }
}

fn collect(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, text);
        } else {
            *text += &fs::read_to_string(&path).unwrap();
        }
    }
}

/// A value of limits.rs as a page shows it: `16 * 1024` is `16 KiB`, a duration has its unit.
fn plain(value: &str) -> String {
    let number = |text: &str| text.replace('_', "");
    let inside = |prefix: &str| value.strip_prefix(prefix)?.strip_suffix(')');
    if let Some(seconds) = inside("Duration::from_secs(") {
        format!("{} s", number(seconds))
    } else if let Some(millis) = inside("Duration::from_millis(") {
        format!("{} ms", number(millis))
    } else if let Some(kib) = value.strip_suffix(" * 1024") {
        format!("{} KiB", number(kib))
    } else if let Some(power) = value.strip_prefix("1 << ") {
        format!("2^{power}")
    } else {
        number(value)
    }
}

/// The flag that a text begins with, without its value.
fn flag(text: &str) -> Option<String> {
    let name = text.strip_prefix("--")?;
    let end = name.find(|c: char| !c.is_ascii_lowercase() && c != '-');
    Some(format!("--{}", &name[..end.unwrap_or(name.len())]))
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The lines of every fenced block of this kind.
fn blocks(page: &str, kind: &str) -> Vec<Vec<String>> {
    let fence = format!("```{kind}");
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == fence {
            let block = lines.by_ref().take_while(|line| *line != "```");
            blocks.push(block.map(str::to_owned).collect());
        }
    }
    blocks
}

/// A command, and the lines that are shown under it.
struct Example {
    command: String,
    shown: Vec<String>,
}

fn examples(block: &[String]) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in block {
        match line.strip_prefix("$ ") {
            Some(command) => examples.push(Example {
                command: command.to_owned(),
                shown: Vec::new(),
            }),
            None => examples.last_mut().unwrap().shown.push(line.clone()),
        }
    }
    examples
}

/// The directory, the variables and the servers of somebody who follows the README.
struct Shell {
    directory: TempDir,
    variables: BTreeMap<String, String>,
    ports: Vec<u16>,
    servers: Vec<(String, Child)>,
}

impl Shell {
    fn new() -> Shell {
        let ports = free_ports(PORTS.len());
        let server = ipseity_harness::programs::ipseity();
        let programs = server.parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let server = format!("127.0.0.1:{}", ports[0]);
        Shell {
            directory: TempDir::new().unwrap(),
            variables: BTreeMap::from([
                ("PATH".to_owned(), path),
                ("IPSEITY_SERVER".to_owned(), server),
            ]),
            ports,
            servers: Vec::new(),
        }
    }

    /// Runs an example until it comes out as shown: a server needs a moment to listen, and servers need a
    /// moment to agree. What hands out identities never comes out right the second time.
    fn run(&mut self, example: &Example) {
        let command = &example.command;
        if let Some(server) = command.strip_suffix(" &") {
            return self.serve(server);
        }
        if let Some((name, value)) = command
            .strip_prefix("export ")
            .and_then(|assignment| assignment.split_once('='))
        {
            let value = self.mapped(value);
            self.variables.insert(name.to_owned(), value);
            return;
        }
        let shown: Vec<String> = example
            .shown
            .iter()
            .map(|line| words(&self.mapped(line)))
            .collect();
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.command(command).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            if output.status.success() && text.lines().map(words).eq(shown.iter().cloned()) {
                return;
            }
            assert!(
                Instant::now() < end,
                "$ {command}\n{text}{}instead of\n{}\n(.ci/setup installs what is missing)",
                String::from_utf8_lossy(&output.stderr),
                shown.join("\n")
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn serve(&mut self, command: &str) {
        let server = self
            .command(&format!("exec {command}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.servers.push((command.to_owned(), server));
    }

    fn command(&self, command: &str) -> Command {
        let mut shell = Command::new("bash");
        // Built here, and not in target/release.
        let command = self.mapped(command).replace("target/release/", "");
        shell
            .args(["-c", &command])
            .current_dir(&self.directory)
            .envs(&self.variables)
            .stdin(Stdio::null());
        shell
    }

    /// The text with the ports of this run.
    fn mapped(&self, text: &str) -> String {
        let ports = PORTS.iter().zip(&self.ports);
        ports.fold(text.to_owned(), |text, (shown, port)| {
            text.replace(&format!(":{shown}"), &format!(":{port}"))
                .replace(&format!(" {shown} "), &format!(" {port} "))
        })
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for (_, server) in &mut self.servers {
            // It may have ended already; then there is nothing to kill.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Ports that nobody listens on, below those that the system gives out by itself.
fn free_ports(count: usize) -> Vec<u16> {
    let start = 10_000 + process::id() % 20_000;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (start as u16..32_000).filter(free).take(count).collect()
}

/// The line with one space in the place of many: a port of five digits moves the columns.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
