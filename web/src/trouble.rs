//! What is shown where there is no answer. Never in words of the request.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use tonic::{Code, Status};

use crate::guard::protected;
use crate::view::Frame;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No page has this address.
    NoPage,
    /// There is nothing of this name.
    NoThing,
    /// No agent of this name has to run.
    NoAgent,
    /// Pages are read, and nothing else.
    Method,
    /// Conditions that no page has.
    Nonsense,
    /// A name that is not this machine's.
    OtherHost,
    /// Later.
    Busy,
    /// This program's fault.
    Failed,
    /// It is not known who asks.
    Unauthenticated,
    /// Whoever asks may not.
    Denied,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct Page {
    frame: Frame,
    help: &'static str,
    again: bool,
}

impl Trouble {
    fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoPage => (
                StatusCode::NOT_FOUND,
                "There is no such page",
                "Begin with one of those above.",
            ),
            Self::NoThing => (
                StatusCode::NOT_FOUND,
                "Nothing is known of this",
                "No agent keeps facts of it now, and no event of it is stored. It may have ended: \
                 archtrace facts --history finds what was.",
            ),
            Self::NoAgent => (
                StatusCode::NOT_FOUND,
                "No such agent has to run",
                "The policy in force names none that is called so. Coverage lists those that it does.",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Pages are only read",
                "GET and HEAD are answered.",
            ),
            Self::Nonsense => (
                StatusCode::BAD_REQUEST,
                "This address asks for nothing that there is",
                "It may be cut off, or from another version of the collector. Begin again with one of the \
                 pages above.",
            ),
            Self::OtherHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "Not by this name",
                "This collector asks nobody who they are, so that it answers to this machine's own names \
                 only: use http://localhost and the port.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "No answer at the moment",
                "Facts are still being read, the store is away, or too many ask at once. The collector's \
                 log says which.",
            ),
            Self::Failed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong here",
                "The collector's log says what.",
            ),
            Self::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                "Who are you?",
                "Let the browser show a reader's certificate (O=archtrace:readers, signed by the CA of \
                 --client-ca), or come through a proxy that adds a reader's token.",
            ),
            Self::Denied => (
                StatusCode::FORBIDDEN,
                "You may not read here",
                "Agents' credentials are for reporting; reading needs a reader's.",
            ),
        }
    }
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::InvalidArgument => Self::Nonsense,
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => Self::Busy,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::Denied,
            _ => {
                tracing::error!(%status, "cannot show a page");
                Self::Failed
            }
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (code, what, help) = self.told();
        let page = Page {
            frame: Frame::new(what, ""),
            help,
            again: self == Self::Busy,
        };
        let mut headers = HeaderMap::new();
        match self {
            Self::Busy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
            }
            _ => {}
        }
        // A template without a value that could fail to print.
        let page = page.render().unwrap_or_else(|_| what.to_owned());
        (code, headers, Html(page)).into_response()
    }
}

/// What whoever may not read is shown.
#[must_use]
pub fn refused(status: Status) -> Response {
    protected(Trouble::from(status).into_response())
}

pub(crate) async fn no_such_page() -> Trouble {
    Trouble::NoPage
}

pub(crate) async fn no_such_method() -> Trouble {
    Trouble::Method
}
