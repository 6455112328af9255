//! What a connection keeps of the request that is being answered.

/// How a request has to be answered. It is small, because every connection keeps one.
///
/// The default is the answer to what is no request yet: a text, and then the connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    pub(crate) what: What,
    pub(crate) form: Form,
    pub(crate) is_head: bool,
    pub(crate) then: Then,
}

const _: () = assert!(size_of::<Exchange>() <= 4);

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// Nothing that there is: the request is refused.
    #[default]
    Nothing,
    /// `POST /identities`.
    Identities,
    /// `GET /status`.
    Status,
    /// `GET /metrics`.
    Metrics,
    /// `GET /livez`.
    Live,
    /// `GET /readyz`.
    Ready,
    /// `GET /`.
    Page,
}

/// In which form identities, and errors in place of them, are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines of text.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Then {
    /// It ends, and the answer says so.
    #[default]
    Close,
    /// It goes on, as always in HTTP/1.1.
    KeepAlive,
    /// It goes on because an HTTP/1.0 client has asked for it, and the answer says so.
    KeepAliveTold,
}

impl Exchange {
    /// The default, as a constant.
    pub const REFUSAL: Exchange = Exchange {
        what: What::Nothing,
        form: Form::Text,
        is_head: false,
        then: Then::Close,
    };

    /// Whether the connection ends after the answer. Nothing may be parsed behind such a request: where the next one
    /// begins may be unknown.
    pub const fn closes(self) -> bool {
        matches!(self.then, Then::Close)
    }

    /// The same exchange, after whose answer the connection ends.
    pub const fn closing(self) -> Exchange {
        Exchange {
            then: Then::Close,
            ..self
        }
    }

    /// The same exchange, but what was asked for is refused, and the connection ends.
    pub const fn refusing(self) -> Exchange {
        Exchange {
            what: What::Nothing,
            ..self.closing()
        }
    }

    /// What the request asks for.
    pub const fn asks(self) -> What {
        self.what
    }
}
