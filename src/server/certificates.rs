//! Certificates: dialing peers with TLS, reading the files again, and warning before a certificate expires.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

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
    limits::{CERTIFICATES_INTERVAL, CERTIFICATES_SHOWN_MAX, EXPIRY_WARNINGS_DAYS},
    secure::{Dialing, Kept},
};

/// What the server remembers of its certificates.
#[derive(Debug)]
pub(super) struct Certificates {
    config: TlsConfig,
    /// How many of the warnings about each certificate were logged.
    told: BTreeMap<(PathBuf, String), usize>,
    /// Whether a log line says how the reading went that is under way.
    is_told: bool,
}

impl Certificates {
    pub(super) fn new(config: TlsConfig) -> Certificates {
        Certificates {
            config,
            told: BTreeMap::new(),
            is_told: false,
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
            warn!("no TLS with {address}: {text}");
        }
    }

    /// Reads the files again. If `is_told`, a log line says how it went.
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
        let may_tell = certificates.is_told;
        match read {
            Ok(settings) => {
                certificates.told.clear();
                let until = settings.own().until();
                self.transport.renew_tls(Arc::new(settings));
                let closed = match self.recheck() {
                    Some(closed) => format!("; {closed} connections were closed (--tls-recheck)"),
                    None => String::new(),
                };
                if may_tell {
                    info!(
                        "the certificates were read again; the own one is valid until {until}{closed}"
                    );
                }
                self.warn_of_expiry();
            }
            Err(text) if may_tell => {
                error!("the certificates were NOT read again, and the old ones stay: {text}");
            }
            Err(_) => {}
        }
    }

    /// Closes the connections whose certificate is not good any more, if that is wanted. Returns how many.
    fn recheck(&mut self) -> Option<usize> {
        let certificates = self.certificates.as_ref()?;
        certificates
            .config
            .rechecks
            .then(|| self.transport.recheck_tls())
    }

    /// Warns of certificates that expire soon, and closes connections whose certificate has expired, if that is wanted.
    #[cold]
    pub(super) fn check_certificates(&mut self) {
        self.warn_of_expiry();
        self.recheck();
        if self.certificates.is_some() {
            self.timers
                .set(Timer::Certificates, self.now.after(CERTIFICATES_INTERVAL));
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
                    "{what} in {file} ({name}) EXPIRED at {at}: replace the file, and send SIGHUP"
                );
            } else {
                let days = match days {
                    0 => "less than a day".to_owned(),
                    1 => "1 day".to_owned(),
                    days => format!("{days} days"),
                };
                warn!(
                    "{what} in {file} ({name}) expires in {days}, at {at}: replace the file, and send SIGHUP"
                );
            }
        }
    }
}
