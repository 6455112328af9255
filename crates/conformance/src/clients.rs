//! The clients: where their adapters are, what these need, and how they are built.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ipseity_harness::programs::repository;
use serde_json::Value;

/// A client, as a `conformance.json` has it.
#[derive(Clone, Debug)]
pub struct Client {
    /// What the table calls it.
    pub name: String,
    /// Programs that must be on the machine.
    pub needs: Vec<String>,
    /// Commands that are run once.
    pub build: Vec<Vec<String>>,
    /// The command of the adapter.
    pub run: Vec<String>,
    /// The environment of all of them, beside that of the runner.
    pub env: BTreeMap<String, String>,
    /// Where they are run.
    pub directory: PathBuf,
}

/// All clients of the repository, in the order of their names; or those in these folders, if there are any.
///
/// # Errors
/// A `conformance.json` is not as the README says.
pub fn find(at: &[PathBuf]) -> Result<Vec<Client>, String> {
    if !at.is_empty() {
        let read_at = |folder: &PathBuf| {
            let file = fs::canonicalize(folder.join("conformance.json"));
            let file = file.map_err(|error| format!("{}: {error}", folder.display()))?;
            read(&file).map_err(|reason| format!("{}: {reason}", file.display()))
        };
        let found: Result<Vec<Vec<Client>>, String> = at.iter().map(read_at).collect();
        return Ok(found?.into_iter().flatten().collect());
    }
    let root = repository();
    let mut folders = vec![root.join("crates/client")];
    if let Ok(entries) = fs::read_dir(root.join("clients")) {
        folders.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    let mut clients = Vec::new();
    for folder in folders {
        let file = folder.join("conformance.json");
        if file.exists() {
            let found = read(&file).map_err(|reason| format!("{}: {reason}", file.display()))?;
            clients.extend(found);
        }
    }
    clients.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(clients)
}

fn read(file: &Path) -> Result<Vec<Client>, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let list = value.as_array().ok_or("it is not a list")?;
    let directory = file.parent().expect("a file is in a folder");
    list.iter().map(|one| client(one, directory)).collect()
}

fn client(value: &Value, directory: &Path) -> Result<Client, String> {
    let texts = |value: &Value, field: &str| -> Result<Vec<String>, String> {
        let list = value.as_array().ok_or(format!("{field} is not a list"))?;
        list.iter()
            .map(|text| Ok(text.as_str().ok_or(format!("{field}: {text}"))?.to_owned()))
            .collect()
    };
    let empty = Value::Array(Vec::new());
    let list = |field: &str| value.get(field).unwrap_or(&empty);
    let run = texts(list("run"), "run")?;
    if run.is_empty() {
        return Err("run is empty".to_owned());
    }
    let builds = list("build").as_array().ok_or("build is not a list")?;
    let mut env = BTreeMap::new();
    for (name, text) in value["env"].as_object().into_iter().flatten() {
        let text = text.as_str().ok_or(format!("env: {text}"))?;
        env.insert(name.clone(), text.to_owned());
    }
    Ok(Client {
        name: value["name"].as_str().ok_or("it has no name")?.to_owned(),
        needs: texts(list("needs"), "needs")?,
        build: builds
            .iter()
            .map(|command| texts(command, "build"))
            .collect::<Result<_, _>>()?,
        run,
        env,
        directory: directory.to_owned(),
    })
}

impl Client {
    /// The programs that it needs and that are not on the machine.
    pub fn missing(&self) -> Vec<&str> {
        let path = env::var_os("PATH").unwrap_or_default();
        let is_there =
            |name: &&String| env::split_paths(&path).any(|folder| folder.join(name).is_file());
        let missing = self.needs.iter().filter(|name| !is_there(name));
        missing.map(String::as_str).collect()
    }

    /// Runs the commands that build it.
    ///
    /// # Errors
    /// One of them failed; what it wrote.
    pub fn build(&self) -> Result<(), String> {
        for line in &self.build {
            let output = self
                .command(line)
                .stdin(Stdio::null())
                .output()
                .map_err(|error| format!("{}: {error}", line.join(" ")))?;
            if !output.status.success() {
                let written = [output.stdout, output.stderr].concat();
                let written = String::from_utf8_lossy(&written).into_owned();
                return Err(format!("{} failed:\n{}", line.join(" "), written.trim()));
            }
        }
        Ok(())
    }

    /// A command in its folder. A program that is given by a path with a slash is looked for there.
    pub fn command(&self, line: &[String]) -> Command {
        let (program, arguments) = line.split_first().expect("no command is empty");
        let mut command = match program.contains('/') {
            true => Command::new(self.directory.join(program)),
            false => Command::new(program),
        };
        command
            .args(arguments)
            .envs(&self.env)
            .current_dir(&self.directory);
        command
    }
}
