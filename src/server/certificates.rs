//! Certificates: dialing peers with TLS, reading the files again, and warning before a certificate expires.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use log::{error, info, warn};

use super::{
    Server, TlsConfig,
    telling::{Line, Whom},
};
use ipseity_core::{
    address::HostPort,
    ids::{ConnectionId, PeerId},
    timer::Timer,
    words::{CertificateStatus, TlsStatus},
};
use ipseity_tls::Date;

use crate::{
    edge::Edge,
    limits::{
        CERTIFICATES_INTERVAL, CERTIFICATES_INTERVAL_MIN, CERTIFICATES_SHOWN_MAX,
        EXPIRY_WARNINGS_DAYS, HANDSHAKES_MAX,
    },
    secure::{Dialing, Kept, Settings, Warning},
    transport::Rechecked,
};

/// What the server remembers of its certificates.
#[derive(Debug)]
pub(super) struct Certificates {
    config: TlsConfig,
    /// How many of the warnings about each certificate were logged.
    told: BTreeMap<(PathBuf, String), usize>,
    /// Whether a log line says how the reading went that is under way, even if that is no news.
    is_told: bool,
    /// Why the files could not be taken when they were read last.
    failed: Option<String>,
    /// The events of what was not good about them when they were read last.
    warned: Vec<&'static str>,
    /// The connections are being looked at.
    recheck: Option<Recheck>,
}

/// How far looking at the connections again has come.
#[derive(Debug)]
struct Recheck {
    closed: usize,
    /// Whether a log line says how many were closed, even if none was.
    is_told: bool,
}

impl Certificates {
    pub(super) fn new(config: TlsConfig) -> Certificates {
        Certificates {
            config,
            told: BTreeMap::new(),
            is_told: false,
            failed: None,
            warned: Vec::new(),
            recheck: None,
        }
    }

    /// Whether the time that a certificate has left is news. Each level is told once.
    fn is_news(&mut self, kept: &Kept, days: i64) -> bool {
        let passed = EXPIRY_WARNINGS_DAYS.iter().filter(|level| days < **level);
        let passed = passed.count();
        let key = (kept.file.clone(), kept.facts.name());
        let before = self.told.insert(key, passed).unwrap_or_default();
        passed > before
    }
}

impl<E: Edge> Server<E> {
    /// The TLS session with which a peer is to be dialed; `None` if it is dialed without TLS.
    pub(super) fn dialing(&self, peer: PeerId) -> Result<Option<Dialing>, String> {
        let (Some(certificates), Some(settings)) = (&self.certificates, self.transport.tls())
        else {
            return Ok(None);
        };
        let name = self.peers.name_of(peer);
        if certificates.config.plain_peers.contains(name) {
            return Ok(None);
        }
        let host = name
            .parse::<HostPort>()
            .map_err(|error| error.to_string())?;
        settings.dial(host.host()).map(Some)
    }

    /// How TLS does, for `status`.
    pub(super) fn tls_status(&self) -> TlsStatus {
        let Some(settings) = self.transport.tls() else {
            return TlsStatus::default();
        };
        let handshakes = self.transport.handshakes();
        let now = settings.unix_seconds();
        let kept = settings.kept().into_iter().take(CERTIFICATES_SHOWN_MAX);
        TlsStatus {
            offered: true,
            connections: handshakes.open as u64,
            handshakes: handshakes.done,
            handshakes_failed: handshakes.failed,
            handshakes_under_way: handshakes.under_way as u64,
            longest_wait_us: handshakes.longest_wait_us,
            certificates: kept
                .map(|kept| CertificateStatus {
                    purpose: kept.what.to_owned(),
                    name: kept.facts.name(),
                    expires_in_s: kept.facts.not_after.saturating_sub(now),
                })
                .collect(),
        }
    }

    /// Logs that a TLS session could not be made, or broke.
    pub(super) fn tell_of_handshake(&mut self, connection: ConnectionId, text: &str) {
        let address = self.transport.address(connection);
        let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
        if self.may_tell(Line::Handshake, Whom::Host(host.to_owned())) {
            warn!(
                event = "tlsFailed", address:% = address, reason:% = text;
                "no TLS with {address}: {text}"
            );
        }
    }

    /// Logs that a handshake was cut off because too many are under way.
    pub(super) fn tell_of_full_line(&mut self, connection: ConnectionId) {
        if self.may_tell(Line::Handshakes, Whom::Nobody) {
            let address = self.transport.address(connection);
            warn!(
                event = "handshakesFull", address:% = address;
                "{HANDSHAKES_MAX} TLS handshakes are under way, and no more may be: the one with {address} was cut off, \
                 as one of those that take longest; `ipseity-cli status` counts them"
            );
        }
    }

    /// Reads the files again. If `is_told`, a log line says how it went. If the outcome is news, it says so in any case.
    pub(super) fn read_certificates(&mut self, is_told: bool) {
        if let Some(certificates) = &mut self.certificates {
            certificates.is_told = is_told;
            self.edge.read_tls();
        }
    }

    /// The files were read again.
    #[cold]
    pub(super) fn on_tls_read(&mut self) {
        let read = self.edge.tls_read();
        let Some(certificates) = &mut self.certificates else {
            return;
        };
        let is_told = certificates.is_told;
        let before = certificates.failed.take();
        let read = read.and_then(|settings| match self.transport.tls() {
            Some(old) => is_no_worse(&settings, old).map(|()| settings),
            None => Ok(settings),
        });
        match read {
            Ok(settings) => {
                certificates.told.clear();
                let until = settings.own().until();
                self.transport.renew_tls(Arc::new(settings));
                let is_told = is_told || before.is_some();
                if is_told {
                    info!(
                        event = "certificatesRead";
                        "the certificates were read again; that of this server is valid until {until}"
                    );
                }
                self.warn_of_certificates(is_told);
                self.warn_of_expiry();
                self.begin_recheck(is_told);
            }
            Err(text) => {
                let is_news = before.as_ref() != Some(&text);
                if self.may_tell(Line::ReloadFailed, Whom::Nobody) || is_news {
                    error!(
                        event = "certificatesNotRead", reason:% = text;
                        "the certificates were NOT read again, and the old ones stay: {text}"
                    );
                }
                if let Some(certificates) = &mut self.certificates {
                    certificates.failed = Some(text);
                }
            }
        }
    }

    /// Looks at the certificates again, because it is time. Or goes on with what was left to this turn.
    #[cold]
    pub(super) fn check_certificates(&mut self) {
        let goes_on = |certificates: &Certificates| certificates.recheck.is_some();
        if self.certificates.as_ref().is_some_and(goes_on) {
            self.recheck_some();
        } else {
            self.warn_of_expiry();
            self.begin_recheck(false);
        }
    }

    /// Begins to close the connections whose certificate is not good any more, if that is wanted. If `is_told`, a log line
    /// says in the end how many there were.
    fn begin_recheck(&mut self, is_told: bool) {
        if let Some(certificates) = &mut self.certificates
            && certificates.config.rechecks
        {
            self.transport.begin_recheck();
            certificates.recheck = Some(Recheck { closed: 0, is_told });
        }
        self.recheck_some();
    }

    /// Looks at some of the connections. The next turn goes on, or the timer is set for the next look.
    fn recheck_some(&mut self) {
        let Some(certificates) = &mut self.certificates else {
            return;
        };
        if let Some(recheck) = &mut certificates.recheck {
            let Rechecked { closed, is_over } = self.transport.recheck_some();
            recheck.closed += closed;
            if !is_over {
                return self.timers.set(Timer::Certificates, self.now);
            }
            if recheck.is_told || recheck.closed > 0 {
                info!(
                    event = "connectionsRechecked";
                    "connections closed by --tls-recheck: {}",
                    recheck.closed
                );
            }
            certificates.recheck = None;
        }
        if let Some(settings) = self.transport.tls() {
            let wait = next_look(settings);
            self.timers.set(Timer::Certificates, self.now.after(wait));
        }
    }

    /// Warns of what is not good about the certificates as they were read: if that `is_told`, or if it is something else than
    /// the last time.
    pub(super) fn warn_of_certificates(&mut self, is_told: bool) {
        let (Some(certificates), Some(settings)) = (&mut self.certificates, self.transport.tls())
        else {
            return;
        };
        let warnings = settings.warnings();
        let events = warnings.iter().map(|warning| warning.event).collect();
        let before = std::mem::replace(&mut certificates.warned, events);
        if is_told || before != certificates.warned {
            for Warning { event, text } in warnings {
                warn!(event = event; "{text}");
            }
        }
    }

    fn warn_of_expiry(&mut self) {
        let (Some(certificates), Some(settings)) = (&mut self.certificates, self.transport.tls())
        else {
            return;
        };
        let now = settings.unix_seconds();
        for kept in settings.kept() {
            let days = kept.facts.days_left(now);
            if !certificates.is_news(&kept, days) {
                continue;
            }
            let (file, name) = (kept.file.display(), kept.facts.name());
            let (what, at) = (kept.what, Date(kept.facts.not_after));
            if days < 0 {
                error!(
                    event = "certificateExpired";
                    "{what} in {file} ({name}) EXPIRED at {at}: replace the file, and send SIGHUP"
                );
            } else {
                let days = match days {
                    0 => "less than a day".to_owned(),
                    1 => "1 day".to_owned(),
                    days => format!("{days} days"),
                };
                warn!(
                    event = "certificateExpires";
                    "{what} in {file} ({name}) expires in {days}, at {at}: replace the file, and send SIGHUP"
                );
            }
        }
    }
}

/// How long until the certificates have to be looked at again: when the next one has expired, or before.
fn next_look(settings: &Settings) -> Duration {
    let now = settings.unix_seconds();
    let kept = settings.kept().into_iter();
    let left = kept.filter_map(|kept| kept.facts.not_after.checked_sub(now));
    let left = left
        .min()
        .map_or(CERTIFICATES_INTERVAL, Duration::from_secs);
    // A certificate is good until the end of its last second.
    left.min(CERTIFICATES_INTERVAL) + CERTIFICATES_INTERVAL_MIN
}

/// Whether the server's certificate is good, or the old one is not good either. With one that nobody accepts, the server
/// would be out of reach although it had a good one.
fn is_no_worse(new: &Settings, old: &Settings) -> Result<(), String> {
    let now = new.unix_seconds();
    let own = new.own();
    if own.is_valid_at(now) || !old.own().is_valid_at(now) {
        return Ok(());
    }
    Err(format!(
        "{}: the certificate of this server ({}) is good only from {} to {}, and it would take the place of one that is \
         good now",
        new.own_file().display(),
        own.name(),
        Date(own.not_before),
        Date(own.not_after),
    ))
}
