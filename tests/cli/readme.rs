//! README.md and docs/http.md show what really happens: every shell example is run, in order, as somebody who follows the page would
//! run it.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use ipseity_harness::page;
use tempfile::TempDir;

/// How long an example may take to give the output that is shown. It is long because machines are shared.
const PATIENCE: Duration = Duration::from_secs(30);

/// The ports that the pages name; each example runs on a free one in its place.
const PORTS: [&str; 5] = ["3264", "3265", "3271", "3272", "3273"];

#[test]
fn the_examples_of_the_readme_come_out_as_shown() {
    let mut shell = Shell::new();
    // The README first builds and starts a server. Cargo has built it for this test, so only the start is left.
    shell.serve("ipseity --listen 127.0.0.1:3264");
    for block in page::blocks(&page::read("README.md"), "console") {
        for example in page::examples(&block) {
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
fn the_examples_of_the_page_of_http_come_out_as_shown() {
    let mut shell = Shell::new();
    shell.serve("ipseity --pid 1 --listen 127.0.0.1:3264 --http 127.0.0.1:3265");
    let blocks = page::blocks(&page::read("docs/http.md"), "console");
    assert!(blocks.len() >= 2);
    for example in blocks.iter().flat_map(page::examples) {
        shell.run(&example);
    }
}

/// Somebody may paste all lines of a block at once, and the next example right after it. Then nothing has time to become
/// true by itself: here nothing is tried twice, and the servers take a moment to start.
#[test]
fn the_servers_answer_when_all_lines_that_start_them_were_pasted_at_once() {
    let shell = Shell::new();
    let blocks = page::blocks(&page::read("README.md"), "console");
    let starts = |block: &&page::Fence| block.text.contains("--pid 3 ");
    let at = blocks.iter().position(|block| starts(&block)).unwrap();
    let pasted = blocks[at..=at + 1].iter().flat_map(page::examples);
    let lines: Vec<String> = pasted.map(|example| example.command).collect();
    let script = format!(
        "exec timeout {} bash << 'END'\n\
         trap 'kill $(jobs -p); wait' EXIT\n\
         ipseity() {{ sleep 0.3; exec ipseity \"$@\"; }}\n\
         {}\nEND\n",
        PATIENCE.as_secs(),
        lines.join("\n")
    );
    let output = shell.command(&script).output().unwrap();
    let shown = &page::examples(&blocks[at + 1])[0].output;
    assert_eq!(String::from_utf8_lossy(&output.stdout), *shown);
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

    /// Runs an example until it gives the output that is shown: a server needs a moment to listen, and servers need a
    /// moment to agree. An example that hands out identities never gives the same output a second time.
    fn run(&mut self, example: &page::Example) {
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
            .output
            .lines()
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
        // The tests have programs of their own, found by PATH.
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

/// Ports that nobody listens on, below those that the system assigns by itself. Each call returns other ones.
fn free_ports(count: usize) -> Vec<u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + (process::id() % 20_000) as u16;
    let next = || start + TAKEN.fetch_add(1, Ordering::Relaxed);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(next)
        .filter(free)
        .take(count)
        .collect()
}

/// The line with single spaces, because a port of five digits moves the columns, and without the day on which it was
/// written and the digits of a key that stand behind a day in the name of a CA.
fn words(line: &str) -> String {
    let is_day = |word: &str| {
        let mask = word
            .bytes()
            .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
        mask.eq(b"0000-00-00".iter().copied())
    };
    let without = |word: &str| match (is_day(word.trim_end_matches(',')), word.len() == 5) {
        (true, _) => "DAY".to_owned(),
        (false, true) if word.as_bytes()[2] == b':' => "TIME".to_owned(),
        (false, _) => word.to_owned(),
    };
    let is_key = |word: &str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let is_behind_day = words.last().is_some_and(|last| last == "DAY");
        match is_behind_day && is_key(word.trim_end_matches(',')) {
            true => words.push("KEY".to_owned()),
            false => words.push(without(word)),
        }
    }
    words.join(" ")
}
