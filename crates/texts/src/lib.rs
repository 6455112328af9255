//! The man pages and the completions of both programs, made of the tables of flags that their parsers read.
//!
//! ```text
//! flags ──command──▶ clap::Command ──▶ packaging/completions, packaging/man
//! ```
//!
//! Only this crate names clap: the programs themselves parse with `getopts`.

mod command;
mod man;

use std::path::PathBuf;

use clap_complete::Shell;

use command::{Program, programs};

/// The folder of the man pages, and the one of the completions, below the top of the repository.
const MAN: &str = "packaging/man";
const COMPLETIONS: &str = "packaging/completions";

/// All files, each with its path below the top of the repository, and its text.
pub fn files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for program in programs() {
        for page in man::pages(&program) {
            files.push((PathBuf::from(MAN).join(page.name), page.text));
        }
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            files.push(completion(shell, &program));
        }
    }
    files
}

fn completion(shell: Shell, program: &Program) -> (PathBuf, String) {
    let name = program.name;
    let file = match shell {
        // The name under which zsh looks for it.
        Shell::Zsh => format!("_{name}"),
        shell => format!("{name}.{shell}"),
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program.command(), name, &mut text);
    let mut text = String::from_utf8(text).expect("the flags are text");
    if shell == Shell::Bash {
        // clap_complete 4.6 gives the commands of a program with a dash in its name two names, and so never finds them.
        let name = name.replace('-', "__");
        text = text.replace(&name.replace("__", "__subcmd__"), &name);
    }
    (PathBuf::from(COMPLETIONS).join(file), text)
}
