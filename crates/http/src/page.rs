//! The page of `GET /`, and what a browser may do with it.

/// The page. It is whole in itself: one style and one script, and what the script shows it asks `/status` for.
pub const PAGE: &str = include_str!("../page/index.html");

/// The headers of the page: a browser runs this one script and uses this one style, asks only this server, shows the
/// page in no frame of another page, and tells no other server where it came from. A test computes both hashes.
pub(crate) const CONTENT_SECURITY_POLICY: &str = concat!(
    "\r\nContent-Security-Policy: default-src 'none'; script-src 'sha256-",
    "oalH/V3MJiN4ErkuT4tbzNW/lX5v5ChoxfbHWEdaAn8=",
    "'; style-src 'sha256-",
    "LAlmItMx7mLm9Qcy6/5BOs75Sx5UOguTcLL6prVYsAA=",
    "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer"
);

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The texts within each such element of the page.
    fn inside(tag: &str) -> Vec<&'static str> {
        let (opens, closes) = (format!("<{tag}"), format!("</{tag}>"));
        let after = PAGE.split(opens.as_str()).skip(1);
        let texts = after.map(|text| text.strip_prefix('>').expect("no attributes"));
        texts
            .map(|text| text.split_once(closes.as_str()).unwrap().0)
            .collect()
    }

    #[test]
    fn the_browser_is_told_the_hashes_of_the_script_and_the_style() {
        for (tag, source) in [("script", "script-src"), ("style", "style-src")] {
            let texts = inside(tag);
            assert_eq!(texts.len(), 1, "the page has one inline <{tag}>");
            let hash = BASE64_STANDARD.encode(Sha256::digest(texts[0]));
            let allowed = format!("{source} 'sha256-{hash}';");
            assert!(
                CONTENT_SECURITY_POLICY.contains(&allowed),
                "write into src/page.rs: {allowed}"
            );
        }
    }

    /// The policy would make a browser ignore these, so that the page would not work as written.
    #[test]
    fn the_page_has_nothing_that_its_policy_forbids() {
        for forbidden in [
            " style=",
            " onclick=",
            " onload=",
            "<link",
            "<iframe",
            "<form",
            "http-equiv",
        ] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
    }
}
