//! Every metric there is: its name, its type, its labels, and a short help. docs/metrics.md has the same list with more words.

use std::fmt;

/// What a metric counts, as Prometheus knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and begins at zero with each start.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts times in buckets.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        })
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name. Programs know it, so it never changes.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is, in one line.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// Every metric there is, in the order in which they are written.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO: Gauge "ipseity_build_info" ["version" "commit"] "The version of the server, and the commit it was built from if that is known; always 1.";
    UPTIME: Gauge "ipseity_uptime_seconds" [] "Time since the process began to serve.";
    BOOT: Gauge "ipseity_boot" [] "How many times the state directory has been started.";
    STANDING: Gauge "ipseity_standing" ["standing"] "1 for the standing that the server has, 0 for the others.";
    JOIN_PEERS: Gauge "ipseity_join_peers" ["answer"] "While the server joins: how many peers have accepted it, have confirmed that, and are needed.";
    OBJECTION: Gauge "ipseity_objection_above_sequence" ["peer" "pid"] "If a peer objects to the server: what --recover-above must be at least; 0 if no sequence is known.";

    SEQUENCE: Gauge "ipseity_sequence" [] "The highest sequence handed out or absorbed.";
    SEQUENCE_USED: Gauge "ipseity_sequence_used_ratio" [] "The part of all sequences that is used up.";
    DEMAND: Gauge "ipseity_demand_sequences_per_second" [] "Sequences used in a second lately, by clients and by what was absorbed.";
    CEILING: Gauge "ipseity_ceiling" [] "The highest sequence that may be handed out before the state must be written again.";
    CEILING_LEFT: Gauge "ipseity_ceiling_left_seconds" [] "How long the sequences below the ceiling last at the demand of now.";
    SKIPPED: Gauge "ipseity_skipped_sequences" [] "Sequences that this start skipped, because the last run did not stop cleanly.";

    IDENTITY_REQUESTS: Counter "ipseity_identity_requests_total" ["codec" "outcome"] "Identity requests, answered with identities or refused with an error.";
    IDENTITIES: Counter "ipseity_identities_total" ["codec"] "Identities handed out.";
    WAITED: Counter "ipseity_identity_requests_waited_total" [] "Identity requests that had to wait for a write of the state.";
    ABSORBED: Counter "ipseity_absorbed_total" [] "Times the sequence was raised by a peer or by a client.";
    ERRORS: Counter "ipseity_errors_total" ["code"] "Error replies sent.";

    EVENTS: Counter "ipseity_events_total" ["kind"] "Entries of the mailbox that were handled.";
    TURNS: Counter "ipseity_turns_total" [] "Turns of the loop.";
    TURN_TIMES: Histogram "ipseity_turn_duration_seconds" [] "How long a turn took, without the wait for something to happen; one turn in 64 is measured.";
    SPINS: Counter "ipseity_spins_total" ["result"] "Times that the loop looked again for a while before it slept, by what came of it.";
    SPUN: Counter "ipseity_spin_seconds_total" [] "Time that went by in those looks.";
    MAILBOX: Gauge "ipseity_mailbox_entries" [] "Entries that wait in the mailbox now.";
    MAILBOX_MAX: Gauge "ipseity_mailbox_entries_max" [] "The most entries that have waited at the beginning of a turn.";

    CONNECTIONS: Gauge "ipseity_connections" ["codec" "grant"] "Accepted connections that are open, by the highest thing that they may do.";
    CONNECTIONS_MAX: Gauge "ipseity_connections_max" [] "The most client connections that the server takes.";
    ACCEPTED: Counter "ipseity_connections_accepted_total" [] "Connections accepted, also those that were refused for lack of room.";
    CUT_OFF: Counter "ipseity_connections_cut_off_total" [] "Clients cut off because too many bytes waited for all of them together.";
    REFUSED_FOR_ADDRESS: Counter "ipseity_connections_refused_for_address_total" [] "Connections refused because their address had as many as it may have.";
    CLOSED_IDLE: Counter "ipseity_connections_closed_idle_total" [] "Idle connections closed to make room for others.";
    PENDING_BYTES: Gauge "ipseity_pending_bytes" [] "Memory that holds replies which wait, for all connections together.";

    DURABLE: Gauge "ipseity_durable" [] "1 if the state is kept, in a directory or in etcd; 0 under --ephemeral.";
    WRITE_TIMES: Histogram "ipseity_disk_write_duration_seconds" [] "How long a write of the state took, to the disk or to etcd.";
    WRITES_FAILED: Counter "ipseity_disk_write_failures_total" [] "Writes of the state that have failed.";
    WRITE_UNDER_WAY: Gauge "ipseity_disk_write_under_way_seconds" [] "How long the write that is under way has taken so far; 0 if there is none.";
    WAITING: Gauge "ipseity_disk_waiting_requests" [] "Requests that wait for a write of the state, or for etcd, now.";

    STORE: Gauge "ipseity_store" ["kind"] "1 for what keeps the state: a directory, etcd, or none.";
    STORE_STATE: Gauge "ipseity_store_state" ["state"] "1 for how that answers: ready; in doubt, so that requests wait; or away, so that they are refused.";
    STORE_CONFIRMED: Gauge "ipseity_store_confirmed_age_seconds" [] "How long ago etcd confirmed last that this server has its pid.";
    STORE_ANSWERED: Gauge "ipseity_store_answered_seconds" [] "How long etcd took for the last sign of life.";
    STORE_DOUBTS: Counter "ipseity_store_doubts_total" [] "How often etcd has not confirmed in time that this server has its pid.";
    STORE_LEASES_LOST: Counter "ipseity_store_leases_lost_total" [] "How often the lease had ended and was made anew.";
    STORE_FENCED: Gauge "ipseity_store_fenced" [] "1 if another server has taken the pid, so that this one is about to exit.";

    LOG_DROPPED: Counter "ipseity_log_lines_dropped_total" [] "Log lines dropped, because nobody reads the log or it cannot be written.";

    TLS_CONNECTIONS: Gauge "ipseity_tls_connections" [] "Connections with TLS that are open, those to peers included.";
    HANDSHAKES: Counter "ipseity_tls_handshakes_total" ["outcome"] "TLS handshakes that have succeeded or failed.";
    HANDSHAKES_UNDER_WAY: Gauge "ipseity_tls_handshakes_under_way" [] "TLS handshakes that are under way.";
    CERTIFICATES: Gauge "ipseity_tls_certificate_expires_seconds" ["name" "purpose"] "For how long a certificate is still valid; 0 if it has expired.";

    SYNC_REQUESTS: Counter "ipseity_sync_requests_total" [] "Sync requests of peers that were answered.";
    SYNC_REPLIES: Counter "ipseity_sync_replies_total" [] "Sync replies that peers sent.";
    PEERS: Gauge "ipseity_peers" ["state"] "Peers by state; not_listed are those that are too many for the list.";
    PEER_UP: Gauge "ipseity_peer_up" ["peer" "pid"] "1 if the two synchronize, 0 if not.";
    PEER_LAG: Gauge "ipseity_peer_lag_sequences" ["peer" "pid"] "How many sequences the peer was behind when it was last heard.";
    PEER_SILENT: Gauge "ipseity_peer_silent_seconds" ["peer" "pid"] "Time since the peer last spoke.";
    PEER_REFUSALS: Counter "ipseity_peer_refusals_total" ["peer" "pid"] "How often a connection to the peer has ended because one of the two refused the other.";
}
