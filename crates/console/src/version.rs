//! What this build is made of.

/// The commit that was built, its first 12 digits; `None` if the build did not know it. See `build.rs`.
pub const COMMIT: Option<&str> = option_env!("IPSEITY_BUILT_COMMIT");

/// The date of that commit; empty if it is not known.
const DATE: Option<&str> = option_env!("IPSEITY_BUILT_DATE");

/// What `--version` shows of a program: `ipseity 0.1.0 (9cc9810abc12 2026-11-28)`, or without the brackets if the commit is
/// not known.
pub fn version(program: &str) -> String {
    describe(program, COMMIT, DATE.unwrap_or_default())
}

fn describe(program: &str, commit: Option<&str>, date: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match commit {
        None => format!("{program} {version}"),
        Some(commit) if date.is_empty() => format!("{program} {version} ({commit})"),
        Some(commit) => format!("{program} {version} ({commit} {date})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_commit_as_far_as_it_is_known() {
        let plain = concat!("ipseity ", env!("CARGO_PKG_VERSION"));
        let shown = |commit, date| describe("ipseity", commit, date);
        assert_eq!(shown(None, ""), plain);
        assert_eq!(
            shown(Some("9cc9810abc12"), ""),
            format!("{plain} (9cc9810abc12)")
        );
        assert_eq!(
            shown(Some("9cc9810abc12"), "2026-11-28"),
            format!("{plain} (9cc9810abc12 2026-11-28)")
        );
    }
}
