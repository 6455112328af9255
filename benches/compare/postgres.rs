//! A PostgreSQL of its own, with a sequence, and `pgbench`, which takes the next value of it again and again.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use ipseity_harness::measured::{self, Program, eventually, line};
use tempfile::TempDir;

use crate::{
    load::{Load, Place},
    sample::{Sample, by_its_own_client},
};

/// Where Debian and Ubuntu put the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The user that the package makes. The server refuses to run as root.
const USER: &str = "postgres";

/// What `pgbench` sends.
const SCRIPT: &str = "SELECT nextval('ids');\n";

/// How many values each client takes in a sample of a second. With fifty clients that takes about a second.
const EACH_A_SECOND: f64 = 400.0;

/// A running PostgreSQL. It stops when it is dropped, and its directory is removed.
#[derive(Debug)]
pub struct Postgres {
    /// `None` only while it stops.
    program: Option<Program>,
    programs: PathBuf,
    place: Place,
    script: String,
    _directory: TempDir,
}

/// The programs of the newest version that is installed.
pub fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten();
    let numbers = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let programs = PathBuf::from(format!("{VERSIONS}/{}/bin", numbers.max()?));
    // A package has the clients alone.
    programs.join("initdb").exists().then_some(programs)
}

impl Postgres {
    /// Starts one on a free port, as it is without any configuration.
    ///
    /// # Errors
    /// It is not installed, or it cannot make its files. The text says which, and follows "because".
    pub fn start(place: Place) -> Result<Postgres, String> {
        let programs = programs().ok_or("the package postgresql is not installed")?;
        // On the disk of the build, as the state of all others.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let program = |name: &str| programs.join(name).to_str().unwrap().to_owned();
        let (data, script) = (file("data"), file("next.sql"));
        fs::write(&script, SCRIPT).unwrap();
        let mut as_user = Vec::new();
        if rustix::process::geteuid().is_root() {
            let words = [
                "setpriv",
                "--reuid",
                USER,
                "--regid",
                USER,
                "--clear-groups",
            ];
            as_user.extend(line(&words));
            run(&line(&["chown", USER, directory.path().to_str().unwrap()])).unwrap();
        }
        let mut init = as_user.clone();
        init.extend(line(&[&program("initdb"), "--pgdata", &data]));
        init.extend(line(&["--username", "bench", "--auth", "trust"]));
        init.extend(line(&["--no-locale", "--no-sync"]));
        run(&init).map_err(|why| format!("it cannot make its files ({why})"))?;
        let address = measured::free_address();
        let mut all = place.of_server();
        all.extend(as_user);
        all.extend(line(&[&program("postgres"), "-D", &data]));
        for setting in [
            "listen_addresses=127.0.0.1",
            &format!("port={}", address.port()),
            "unix_socket_directories=",
        ] {
            all.extend(line(&["-c", setting]));
        }
        let postgres = Postgres {
            program: Some(Program::start_on(address, &all)),
            programs,
            place,
            script,
            _directory: directory,
        };
        let mut create = postgres.client("psql");
        create.extend(line(&["postgres", "--command", "CREATE SEQUENCE ids"]));
        // It listens before it lets anybody in.
        let is_created = eventually(|| run(&create).is_ok());
        assert!(is_created, "{}: {:?}", create.join(" "), run(&create));
        Ok(postgres)
    }

    /// One sample, by `pgbench`. It is not told for how long, because it would count the time that the connections take.
    pub fn measure(&self, load: Load, time: Duration) -> Sample {
        let mut all = self.place.of_clients();
        all.extend(self.client("pgbench"));
        all.extend(line(&["--no-vacuum", "--protocol", "prepared"]));
        all.extend(line(&["--file", &self.script, "--jobs", "1"]));
        all.extend(line(&["--client", &load.connections.to_string()]));
        let each = (time.as_secs_f64() * EACH_A_SECOND).ceil();
        all.extend(line(&["--transactions", &each.to_string()]));
        all.extend(line(&["postgres"]));
        by_its_own_client(&all, |text| {
            let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
            line?.split(' ').next()?.parse().ok()
        })
    }

    /// How a client of PostgreSQL reaches it.
    fn client(&self, name: &str) -> Vec<String> {
        let address = self.program.as_ref().unwrap().address();
        let program = self.programs.join(name);
        let mut all = line(&[program.to_str().unwrap(), "--username", "bench"]);
        all.extend(line(&["--host", &address.ip().to_string()]));
        all.extend(line(&["--port", &address.port().to_string()]));
        all
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // If it was killed, some of its processes would still write into the directory, and it would leave shared memory.
        if let Some(program) = self.program.take() {
            program.stop();
        }
    }
}

/// Runs a command that ends by itself, or says why it failed.
fn run(line: &[String]) -> Result<(), String> {
    let output = Command::new(&line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("{}: {error}", line[0]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    output.status.success().then_some(()).ok_or(last.to_owned())
}
