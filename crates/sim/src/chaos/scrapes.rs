//! The metrics of a server, as a monitor reads them.

use std::collections::BTreeMap;

use ipseity_core::time::Instant;

/// What a scrape has found.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// Everything that must never fall within a life, by name and labels.
    counters: BTreeMap<String, f64>,
    pub sequence: u64,
    /// When its client had it.
    pub came_at: Instant,
}

impl Scrape {
    /// Decodes a scrape in Prometheus' text format 0.0.4.
    pub fn read(text: &str, came_at: Instant) -> Result<Scrape, String> {
        let mut scrape = Scrape {
            came_at,
            ..Scrape::default()
        };
        let mut has_sequence = false;
        let mut counts = false;
        if !text.ends_with('\n') {
            return Err("a scrape has no end".to_owned());
        }
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                counts = kind.ends_with(" counter") || kind.ends_with(" histogram");
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let wrong = || format!("a scrape has the line {line:?}");
            let (series, value) = line.rsplit_once(' ').ok_or_else(wrong)?;
            let value: f64 = value.parse().map_err(|_| wrong())?;
            if !series.starts_with("ipseity_") || value.is_nan() {
                return Err(wrong());
            }
            if series == "ipseity_sequence" {
                (scrape.sequence, has_sequence) = (value as u64, true);
            }
            // A peer that was forgotten and comes again begins at zero.
            if counts && !series.starts_with("ipseity_peer_") {
                let before = scrape.counters.insert(series.to_owned(), value);
                if before.is_some() {
                    return Err(format!("a scrape has {series} twice"));
                }
            }
        }
        match has_sequence {
            true => Ok(scrape),
            false => Err("a scrape has no sequence".to_owned()),
        }
    }

    /// What has fallen, or is gone, since an earlier scrape of the same life.
    pub fn what_fell(&self, before: &Scrape) -> Option<String> {
        before.counters.iter().find_map(|(series, before)| {
            let now = self.counters.get(series);
            let holds = now.is_some_and(|now| now >= before);
            (!holds).then(|| format!("{series} was {before} and is {now:?}"))
        })
    }
}
