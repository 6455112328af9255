//! The man pages and the completions fit the flags, and the programs that read them understand them.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn completions() -> String {
    top()
        .join("packaging/completions")
        .to_str()
        .unwrap()
        .to_owned()
}

/// Runs a program that must work, and returns what it prints.
fn output(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; .ci/setup installs it"));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_files_are_those_that_the_flags_make() {
    let mut made = BTreeSet::new();
    for (path, text) in texts::files() {
        let found = fs::read_to_string(top().join(&path)).unwrap_or_default();
        assert!(
            found == text,
            "{} is not up to date: cargo run -p texts",
            path.display()
        );
        made.insert(path);
    }
    for folder in ["packaging/man", "packaging/completions"] {
        for entry in fs::read_dir(top().join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            assert!(
                made.contains(&path),
                "{} is made of nothing",
                path.display()
            );
        }
    }
}

#[test]
fn every_page_has_every_flag_and_reads_well() {
    let page = |name: &str| fs::read_to_string(top().join("packaging/man").join(name)).unwrap();
    let server = page("ipseity.1").replace("\\-", "-");
    for flag in ipseity::options::flags().iter() {
        assert!(
            server.contains(&format!("--{}\\fR", flag.name)),
            "{}",
            flag.name
        );
        if let Some(variable) = &flag.variable {
            assert!(
                server.contains(&format!("\\fB{variable}\\fR")),
                "{variable}"
            );
        }
    }
    for section in [
        "OPTIONS",
        "ENVIRONMENT",
        "FILES",
        "SIGNALS",
        "EXIT STATUS",
        "SEE ALSO",
    ] {
        let heading = [format!(".SH {section}"), format!(".SH \"{section}\"")];
        assert!(
            server
                .lines()
                .any(|line| heading.iter().any(|heading| line == heading)),
            "{section}"
        );
    }
    for command in ipseity_cli::COMMANDS {
        let text = page(&format!("ipseity-cli-{}.1", command.name));
        assert!(text.contains("EXIT STATUS"), "{}", command.name);
        assert!(text.contains("EXAMPLES"), "{}", command.name);
        let flags = ipseity_cli::flags_of(command);
        let asks_servers = flags.iter().any(|flag| flag.name == "server");
        assert_eq!(
            text.contains("IPSEITY_SERVER"),
            asks_servers,
            "{}",
            command.name
        );
    }
    for entry in fs::read_dir(top().join("packaging/man")).unwrap() {
        let page = entry.unwrap().path();
        let said = output(
            Command::new("mandoc")
                .args(["-Tlint", "-Wwarning"])
                .arg(&page),
        );
        // The pages have no date, so that they change with the flags only.
        let faults: Vec<&str> = said
            .lines()
            .filter(|line| !line.contains("missing date"))
            .collect();
        assert_eq!(faults, [""; 0]);
        let text = output(Command::new("mandoc").args(["-Tutf8"]).arg(&page));
        assert!(
            text.contains("SEE ALSO") || text.contains("S\u{8}SE\u{8}E"),
            "{text}"
        );
    }
}

/// What a shell offers for a line, in a folder with a file and a folder.
fn offered(shell: &str, line: &str) -> BTreeSet<String> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a-file.pem"), "").unwrap();
    fs::create_dir(folder.path().join("a-folder")).unwrap();
    let program = line.split(' ').next().unwrap();
    let file = format!("{}/{program}.{shell}", completions());
    let mut command = match shell {
        "bash" => {
            // As bash itself calls it: the words, which of them is completed, and that one with the one before it.
            // Behind `plusdirs` bash adds the folders itself, and behind `-o default` files where nothing else fits.
            let script = "compopt() { [[ $* != *plusdirs* ]] || COMPREPLY+=($(compgen -d -- \"$cur\")); }\n\
                          source \"$1\"; COMP_WORDS=($2); [[ $2 == *' ' ]] && COMP_WORDS+=('')\n\
                          COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$2; COMP_POINT=${#2}\n\
                          complete -p $3 | grep -q . || exit 1\n\
                          call=$(complete -p $3 | grep -o -- '-F [^ ]*'); ${call#-F } $3 \
                          \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"\n\
                          ((${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n\
                          printf '%s\\n' \"${COMPREPLY[@]}\"";
            let mut command = Command::new("bash");
            command.args(["--norc", "-c", script, "bash", &file, line, program]);
            command
        }
        "fish" => {
            let mut command = Command::new("fish");
            command.args([
                "--no-config",
                "-c",
                "source $argv[1]; complete -C $argv[2]",
                &file,
                line,
            ]);
            command.env("HOME", folder.path());
            command
        }
        _ => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/complete.zsh");
            let mut command = Command::new("zsh");
            command.arg("-f").arg(script).args([&completions(), line]);
            command
        }
    };
    output(command.current_dir(folder.path()))
        .lines()
        // Behind a tab fish shows what it is. A folder may have its slash.
        .map(|line| {
            line.split('\t')
                .next()
                .unwrap()
                .trim_end_matches('/')
                .to_owned()
        })
        .filter(|word| !word.is_empty() && word != ".fish_history" && !word.starts_with('.'))
        .collect()
}

fn assert_offered(shell: &str) {
    let words = |text: &str| {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let commands: Vec<&str> = ipseity_cli::COMMANDS
        .iter()
        .map(|command| command.name)
        .collect();
    for (line, expected) in [
        ("ipseity --log-", "--log-format --log-level"),
        ("ipseity --join ", "prefer require majority"),
        ("ipseity --join m", "majority"),
        ("ipseity --log-level ", "error warn info debug"),
        ("ipseity --plain ", "never loopback any"),
        ("ipseity --tls-cert a", "a-file.pem a-folder"),
        ("ipseity --data-dir a", "a-folder"),
        ("ipseity-cli ", &commands.join(" ")),
        ("ipseity-cli hel", "help"),
        ("ipseity-cli help n", "next"),
        ("ipseity-cli next --f", "--format"),
        ("ipseity-cli next --format ", "text json csv"),
        ("ipseity-cli next --as ", "decimal hex pair base32"),
        ("ipseity-cli ping --wa", "--wait"),
        ("ipseity-cli status --color a", "auto always"),
        ("ipseity-cli cert ", "ca server peer client operator show"),
        ("ipseity-cli cert show a", "a-file.pem a-folder"),
        ("ipseity-cli decode --t", ""),
        ("ipseity-cli pids ", "list import epoch"),
        ("ipseity-cli pids import --da", "--data-dir"),
        ("ipseity-cli members --ne", "--never-served"),
    ] {
        let expected: BTreeSet<String> = words(expected);
        let offered = offered(shell, line);
        // A shell may offer more where nothing is typed yet: flags, or files.
        let is_open = line.ends_with(' ');
        let fits = match is_open {
            true => expected.is_subset(&offered),
            false => expected == offered,
        };
        assert!(fits, "{shell}: {line:?}: {offered:?}, not {expected:?}");
    }
    // What is no path is not completed with the files of the folder.
    let offered = offered(shell, "ipseity --pid a");
    assert!(!offered.contains("a-file.pem"), "{shell}: {offered:?}");
}

#[test]
fn bash_completes_both_programs() {
    assert_offered("bash");
}

#[test]
fn fish_completes_both_programs() {
    assert_offered("fish");
}

#[test]
fn zsh_completes_both_programs() {
    assert_offered("zsh");
}
