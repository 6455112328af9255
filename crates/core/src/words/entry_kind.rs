//! The kinds of what a server handles, with the names that they have in logs, in traces and in metrics.

macro_rules! kinds {
    ($($kind:ident $name:literal)*) => {
        /// The kind of an entry of the mailbox. In a statusReply it is its place in this list, so a new kind goes to the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum EntryKind {
            $(#[doc = concat!("`", $name, "`")] $kind,)*
        }

        impl EntryKind {
            /// Every kind there is, in order.
            pub const ALL: &[EntryKind] = &[$(EntryKind::$kind),*];

            /// The name in logs, traces and metrics. Programs compare it, so it never changes.
            pub const fn name(self) -> &'static str {
                match self {
                    $(EntryKind::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    // Events of the actor.
    Unknown "unknown"
    Denied "denied"
    IdentityRequest "identityRequest"
    SyncTimeout "syncTimeout"
    SyncRequest "syncRequest"
    SyncReply "syncReply"
    ErrorReply "errorReply"
    StatusRequest "statusRequest"
    PeerConnected "peerConnected"
    PeerDisconnected "peerDisconnected"
    Disconnected "disconnected"
    Objection "objection"
    Overrule "overrule"
    Probe "probe"
    Alive "alive"
    Goodbye "goodbye"
    PeerUnreachable "peerUnreachable"
    PeerForgotten "peerForgotten"
    AllAsked "allAsked"
    JoinTimeout "joinTimeout"
    ProbeTimeout "probeTimeout"
    SaveTimeout "saveTimeout"
    WriteTimeout "writeTimeout"
    MembersRequest "membersRequest"
    ForgetRequest "forgetRequest"
    HelloRequest "helloRequest"
    AdvanceRequest "advanceRequest"
    Written "written"
    WriteFailed "writeFailed"
    Stop "stop"
    // What the server handles itself.
    Readable "readable"
    Writable "writable"
    ReadableWritable "readableWritable"
    Acceptable "acceptable"
    DialTimeout "dialTimeout"
    SweepTimeout "sweepTimeout"
    AcceptTimeout "acceptTimeout"
    StopTimeout "stopTimeout"
    TellTimeout "tellTimeout"
    CertificatesTimeout "certificatesTimeout"
    Resolved "resolved"
    TlsRead "tlsRead"
    Signal "signal"
    Hangup "hangup"
    PageRequest "pageRequest"
    HttpRefused "httpRefused"
    NotifyTimeout "notifyTimeout"
    Owners "owners"
    // Events of the actor that came later.
    Leased "leased"
    Fenced "fenced"
    StoreTimeout "storeTimeout"
}

impl EntryKind {
    /// The name of the kind with this number, or the number if this build does not know it.
    pub fn name_of(number: u8) -> String {
        let kind = EntryKind::ALL.get(usize::from(number));
        kind.map_or_else(|| number.to_string(), |kind| kind.name().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_its_place_and_a_name_of_its_own() {
        let names: BTreeSet<&str> = EntryKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), EntryKind::ALL.len());
        for (place, kind) in EntryKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, place);
            assert_eq!(EntryKind::name_of(place as u8), kind.name());
        }
        assert_eq!(EntryKind::name_of(255), "255");
    }
}
