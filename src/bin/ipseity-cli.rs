//! `ipseity-cli`: the command line client. All of it is in the crate of that name.

use std::process::ExitCode;

fn main() -> ExitCode {
    ipseity_cli::main()
}
