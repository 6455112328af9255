//! Names with several addresses. No name of a machine has two addresses of this machine for sure, and a test may not
//! depend on a name server. So an adapter that needs such names gets a file of hosts of its own: it is started in a mount
//! namespace, in which that file stands in the place of /etc/hosts. Nobody else sees it.

use std::{
    fs,
    net::IpAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::scenario::Scenario;

/// The file that is replaced.
const HOSTS: &str = "/etc/hosts";

/// Puts the file over that of the system, and goes on as the program that is told.
const SCRIPT: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// The ways to a mount namespace: as root, and as anybody else where the system lets everybody have one.
const WAYS: [&[&str]; 2] = [
    &["unshare", "--mount", "--propagation", "private"],
    &["unshare", "--user", "--map-root-user", "--mount"],
];

/// The names of all scenarios, and the way to give them to an adapter.
pub struct Names {
    lists: Vec<Vec<IpAddr>>,
    file: PathBuf,
    way: Result<&'static [&'static str], String>,
    // The file goes when it is dropped.
    _folder: TempDir,
}

impl Names {
    /// A name for each list of addresses in these scenarios.
    pub fn of(scenarios: &[Scenario]) -> Names {
        let mut lists: Vec<Vec<IpAddr>> = Vec::new();
        for spots in scenarios.iter().flat_map(Scenario::spots) {
            let list = spots.iter().map(|(address, _)| *address).collect();
            if !lists.contains(&list) {
                lists.push(list);
            }
        }
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("hosts");
        let mut text = fs::read_to_string(HOSTS).unwrap_or_default();
        for (number, list) in lists.iter().enumerate() {
            let name = name(number);
            text.extend(list.iter().map(|address| format!("\n{address} {name}")));
        }
        fs::write(&file, text + "\n").unwrap();
        let way = match lists.is_empty() {
            true => Err("no scenario needs it".to_owned()),
            false => way(&file),
        };
        Names {
            lists,
            file,
            way,
            _folder: folder,
        }
    }

    /// The name that has these addresses.
    pub fn name(&self, list: &[IpAddr]) -> Option<String> {
        self.lists.iter().position(|other| other == list).map(name)
    }

    /// The same program, where these names are known.
    ///
    /// # Errors
    /// This machine does not let a program have a file of hosts of its own; why.
    pub fn known_to(&self, program: &Command) -> Result<Command, String> {
        let mut command = within(self.way.clone()?, &self.file);
        command.arg(program.get_program()).args(program.get_args());
        for (variable, value) in program.get_envs() {
            if let Some(value) = value {
                command.env(variable, value);
            }
        }
        if let Some(directory) = program.get_current_dir() {
            command.current_dir(directory);
        }
        Ok(command)
    }
}

/// The name with this number. Nobody can own one below `.test` (RFC 2606).
fn name(number: usize) -> String {
    format!("ids-{number}.kit.test")
}

fn within(way: &[&str], file: &PathBuf) -> Command {
    let mut command = Command::new(way[0]);
    command.args(&way[1..]).args(["sh", "-c", SCRIPT]).arg(file);
    command
}

/// The first way that works here.
fn way(file: &PathBuf) -> Result<&'static [&'static str], String> {
    let mut why = String::new();
    for way in WAYS {
        let output = within(way, file)
            .args(["cat", HOSTS])
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if fs::read(file).is_ok_and(|text| text == output.stdout) => return Ok(way),
            Ok(output) => String::from_utf8_lossy(&output.stderr)
                .trim()
                .clone_into(&mut why),
            Err(error) => why = format!("{}: {error}", way[0]),
        }
    }
    Err(format!(
        "this machine lets no program have a file of hosts of its own: {why}"
    ))
}
