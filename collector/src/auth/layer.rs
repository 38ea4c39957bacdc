//! Decides for each request: agents may report, readers may ask, health is for everybody.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Auth, Caller};
use crate::accept::Peer;
use crate::ending;
use crate::ingest::gate::{Room, take_messages};
use crate::refusals::{Reason, Refusals};

/// Makes services decide so. From here on requests carry a [`Caller`].
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    /// Nobody is asked who they are if there is none.
    pub(crate) auth: Option<Arc<Auth>>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) room: Room,
    /// Readers' answers end when this is cancelled.
    pub(crate) closing: CancellationToken,
}

impl<S> Layer<S> for Roles {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            roles: self.clone(),
        }
    }
}

/// A service that is not asked before it is clear who asks.
#[derive(Clone, Debug)]
pub(crate) struct Guarded<S> {
    inner: S,
    roles: Roles,
}

/// What a method is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Report,
    Read,
    Health,
}

impl Purpose {
    /// By the path of a request: whatever is not known is for readers.
    fn of(path: &str) -> Self {
        match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
            Some(("archtrace.v1.AgentIngest", _)) => Self::Report,
            Some(("grpc.health.v1.Health", _)) => Self::Health,
            _ => Self::Read,
        }
    }

    fn allows(self, caller: &Caller) -> Result<(), Status> {
        match (self, caller) {
            (_, Caller::Anyone)
            | (Self::Health, _)
            | (Self::Report, Caller::Agent(_))
            | (Self::Read, Caller::Reader(_)) => Ok(()),
            (Self::Report, Caller::Reader(_)) => Err(Status::permission_denied(
                "these are a reader's credentials; agents report with their own",
            )),
            (Self::Read, Caller::Agent(_)) => Err(Status::permission_denied(
                "these are an agent's credentials; reading needs a reader's",
            )),
        }
    }
}

impl Roles {
    /// Who asks for a page, if they may read.
    pub(crate) async fn reader(&self, head: &Parts) -> Result<Caller, Status> {
        self.decide(Purpose::Read, head).await
    }

    async fn decide(&self, purpose: Purpose, head: &Parts) -> Result<Caller, Status> {
        let peer = head.extensions.get::<Peer>();
        let caller = self.judge(purpose, head, peer).await?;
        // Whoever is not let in must not take a place for good.
        if let Some(peer) = peer {
            peer.asks();
        }
        Ok(caller)
    }

    async fn judge(
        &self,
        purpose: Purpose,
        head: &Parts,
        peer: Option<&Peer>,
    ) -> Result<Caller, Status> {
        let Some(auth) = &self.auth else {
            return Ok(Caller::Anyone);
        };
        if purpose == Purpose::Health {
            return Ok(Caller::Anyone);
        }
        let address = || peer.map_or_else(String::new, |peer| peer.address().ip().to_string());
        let caller = auth
            .caller(peer.and_then(Peer::certificate), &head.headers)
            .await
            .inspect_err(|status| self.note(&address(), status))?;
        purpose.allows(&caller).inspect_err(|status| {
            self.note(&format!("{caller} at {}", address()), status);
        })?;
        Ok(caller)
    }

    fn note(&self, who: &str, status: &Status) {
        let reason = match status.code() {
            tonic::Code::PermissionDenied => Reason::PermissionDenied,
            _ => Reason::Unauthenticated,
        };
        self.refusals.note(reason, who, &status.message());
    }
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that was asked whether it is ready, as tower wants it.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let roles = self.roles.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let purpose = Purpose::of(head.uri.path());
            match roles.decide(purpose, &head).await {
                Ok(caller) => {
                    head.extensions.insert(caller);
                    let request = Request::from_parts(head, body);
                    if purpose == Purpose::Report {
                        return inner.call(take_messages(&roles.room, request)).await;
                    }
                    let Ok(response) = inner.call(request).await;
                    Ok(ending::until(&roles.closing, response))
                }
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::time::timeout;
    use tonic::transport::server::Connected as _;

    use super::*;
    use crate::accept::connected;
    use crate::auth::{Options, dev_certs};

    #[tokio::test(start_paused = true)]
    async fn only_who_is_let_in_keeps_a_connection() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("certificates");
        let wanted = dev_certs::Wanted {
            out: out.clone(),
            nodes: Vec::new(),
            cluster: None,
            servers: Vec::new(),
        };
        dev_certs::make(&wanted).expect("makes them");
        let options = Options {
            certificate: out.join("server.crt"),
            key: out.join("server.key"),
            client_ca: Some(out.join("ca.crt")),
            tokens: None,
        };
        let ended = CancellationToken::new();
        let auth = Auth::start(options, &ended).await.expect("they are read");
        let auth = Arc::new(auth);
        let facts = "/archtrace.v1.Query/ListFacts";
        for (auth, path, stays) in [
            (Some(Arc::clone(&auth)), facts, false),
            (Some(auth), "/grpc.health.v1.Health/Check", true),
            (None, facts, true),
        ] {
            let roles = Roles {
                auth,
                refusals: Arc::default(),
                room: Room::default(),
                closing: CancellationToken::new(),
            };
            let (mut connection, _peer) = connected().await;
            let request = Request::builder().uri(path);
            let request = request.extension(connection.connect_info()).body(());
            let (head, ()) = request.expect("a request").into_parts();
            let decided = roles.decide(Purpose::of(path), &head).await;
            assert_eq!(decided.is_ok(), stays, "{path}");
            let ended = timeout(Duration::from_secs(300), connection.read_u8()).await;
            assert_eq!(ended.is_err(), stays, "{path}: {ended:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_for_readers() {
        for (path, purpose) in [
            ("/archtrace.v1.AgentIngest/Sync", Purpose::Report),
            ("/archtrace.v1.AgentIngest", Purpose::Read),
            ("/archtrace.v1.Query/ListFacts", Purpose::Read),
            ("/grpc.health.v1.Health/Check", Purpose::Health),
            ("/grpc.health.v1.Healthy/Check", Purpose::Read),
            ("//grpc.health.v1.Health/Check", Purpose::Read),
            ("/grpc.reflection.v1.ServerReflection/X", Purpose::Read),
            ("", Purpose::Read),
        ] {
            assert_eq!(Purpose::of(path), purpose, "{path}");
        }
    }
}
