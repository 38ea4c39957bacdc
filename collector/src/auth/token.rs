//! What a service account's token says: a JWT that the API server signed
//! (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::text::escape;
use http::HeaderValue;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::keys::Keys;
use super::{AuthError, Caller, Identity, Tokens};

/// What the API server signs with, by the kind of its key.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// Clocks of nodes may differ by this.
const LEEWAY_SECS: u64 = 30;

/// A token is some 1,200 bytes.
const MAX_BYTES: usize = 16 << 10;

/// Which tokens hold, and what they say.
#[derive(Debug)]
pub(super) struct Verifier {
    keys: Arc<Keys>,
    validation: Validation,
    cluster: Option<String>,
    agents: Vec<String>,
    readers: Vec<String>,
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
    sub: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
struct Kubernetes {
    /// The API server says so from 1.30 on, of tokens that are bound to a pod.
    node: Option<Node>,
}

#[derive(Deserialize)]
struct Node {
    name: String,
}

impl Verifier {
    pub(super) async fn start(
        tokens: Tokens,
        ended: &CancellationToken,
    ) -> Result<Self, AuthError> {
        let Tokens {
            keys,
            audience,
            issuer,
            cluster,
            agents,
            readers,
        } = tokens;
        let mut validation = Validation::new(ALGORITHMS[0]);
        validation.set_audience(&[audience]);
        let mut required = vec!["exp", "aud", "sub"];
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECS;
        Ok(Self {
            keys: Keys::start(keys, ended).await?,
            validation,
            cluster,
            agents,
            readers,
        })
    }

    /// Whose token a header holds. What is answered never holds any part of it.
    pub(super) async fn caller(&self, header: &HeaderValue) -> Result<Caller, Status> {
        let refuse = |what: &str| Status::unauthenticated(format!("token: {what}"));
        let text = header.to_str().ok().filter(|text| text.len() <= MAX_BYTES);
        let token = text
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| refuse("the header is not 'Bearer' and a token"))?;
        let head = decode_header(token).map_err(|error| refuse(reason(error.kind())))?;
        if !ALGORITHMS.contains(&head.alg) {
            return Err(refuse("it is signed by neither RS256 nor ES256"));
        }
        let key = self.keys.find(head.kid.as_deref()).await;
        let key = key.ok_or_else(|| refuse("it is signed by a key that is not known"))?;
        let mut validation = self.validation.clone();
        validation.algorithms = vec![head.alg];
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| refuse(reason(error.kind())))?
            .claims;
        self.role(claims)
    }

    fn role(&self, claims: Claims) -> Result<Caller, Status> {
        let Claims {
            exp,
            sub,
            kubernetes,
        } = claims;
        let expires = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(exp))
            .ok_or_else(|| Status::unauthenticated("token: exp is no time"))?;
        let name = escape(format!("token of {sub}").as_bytes());
        let identity = |nodes| {
            Arc::new(Identity {
                name,
                cluster: self.cluster.clone(),
                nodes,
                expires,
            })
        };
        if self.readers.contains(&sub) {
            return Ok(Caller::Reader(identity(Vec::new())));
        }
        if !self.agents.contains(&sub) {
            return Err(Status::permission_denied(
                "token: its service account may neither report nor read; see --agent-subject and \
                 --reader-subject",
            ));
        }
        let node = kubernetes.and_then(|kubernetes| kubernetes.node);
        match node.filter(|node| !node.name.is_empty()) {
            Some(node) => Ok(Caller::Agent(identity(vec![node.name]))),
            None => Err(Status::unauthenticated(
                "token: it names no node; it has to be a projected token of a pod, by Kubernetes 1.30 or later \
                 (before, use certificates)",
            )),
        }
    }
}

fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired; the kubelet renews it in its file",
        ErrorKind::ImmatureSignature => "it does not hold yet; is the clock right?",
        ErrorKind::InvalidAudience => "it is for another audience than --token-audience",
        ErrorKind::InvalidIssuer => "it is of another issuer than --token-issuer",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidAlgorithm => "it is signed by neither RS256 nor ES256",
        ErrorKind::MissingRequiredClaim(_) => "it lacks one of exp, aud, sub and iss",
        _ => "it does not read",
    }
}
