//! The house: what must be true of the files of the repository.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a panic is the report, and tests print"
)]

mod circles; // no files import each other in a circle
mod invariants; // the code does not contain what docs/architecture.md says is not there
mod log_lines; // every line that others can cause has a bound, and every line has its event
mod metrics; // docs/metrics.md, the alert rules and the dashboard know exactly the metrics there are
mod packaging; // the image and the manifests have the version of the programs
mod pages; // the pages show the real flags, bounds, commands and log lines
mod tidy; // rooms, arrows, clocks, sizes, planted bugs
mod units; // the units of systemd and the settings of the Debian package
