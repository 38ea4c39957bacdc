//! The keys that tokens are signed by: a JWKS (RFC 7517), from a file or over https.

mod fetch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::AuthError;
use fetch::Fetcher;

/// How often a file is read.
const FILE_EVERY: Duration = Duration::from_secs(5);
/// How often a URL is asked. A new key is found earlier, by the first token that it signed.
const URL_EVERY: Duration = Duration::from_secs(300);
/// How often a key that is not known makes us look at most: anybody can name one.
const MISS_EVERY: Duration = Duration::from_secs(10);
/// How long a request waits for that.
const MISS_WAIT: Duration = Duration::from_secs(3);
/// An API server has one or two, while it changes them.
const MAX_KEYS: usize = 64;

/// Where keys are.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// At an https URL.
    Url {
        /// The URL.
        url: http::Uri,
        /// The CA of its certificate, PEM; the system's if `None`.
        ca: Option<PathBuf>,
        /// A file with a token to ask with.
        token: Option<PathBuf>,
    },
}

/// The keys that are in force.
#[derive(Debug)]
pub(super) struct Keys {
    fetcher: Fetcher,
    set: ArcSwap<Set>,
    /// When somebody looked last, and what was there.
    looked: Mutex<(Option<Instant>, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct Set {
    by_id: HashMap<String, DecodingKey>,
    /// The only key, where there is one only.
    only: Option<DecodingKey>,
}

impl Keys {
    pub(super) async fn start(
        source: Source,
        ended: &CancellationToken,
    ) -> Result<Arc<Self>, AuthError> {
        let every = match &source {
            Source::File(_) => FILE_EVERY,
            Source::Url { .. } => URL_EVERY,
        };
        let from_file = matches!(source, Source::File(_));
        let fetcher = Fetcher::new(source)?;
        let keys = Arc::new(Self {
            fetcher,
            set: ArcSwap::default(),
            looked: Mutex::default(),
        });
        match keys.look().await {
            Ok(_) => {}
            Err(reason) if from_file => {
                return Err(AuthError {
                    what: "cannot read the keys of tokens",
                    source_of: keys.fetcher.to_string(),
                    reason,
                    hint: "--token-jwks is a JSON Web Key Set, such as kubectl get --raw /openid/v1/jwks prints",
                });
            }
            Err(reason) => {
                warn!(source = %keys.fetcher, reason, "no keys of tokens yet; asking again");
            }
        }
        let watched = Arc::clone(&keys);
        tokio::spawn(ended.clone().run_until_cancelled_owned(async move {
            watched.watch(every).await;
        }));
        Ok(keys)
    }

    /// The key of that name; or the only one, for tokens that name none.
    pub(super) async fn find(&self, id: Option<&str>) -> Option<DecodingKey> {
        let set = self.set.load();
        let Some(id) = id else {
            return set.only.clone();
        };
        if let Some(key) = set.by_id.get(id) {
            return Some(key.clone());
        }
        drop(set);
        // Those who come together wait for one look. It is given up with this request, and keeps what was.
        if let Ok(Err(reason)) = timeout(MISS_WAIT, self.look_again()).await {
            warn!(source = %self.fetcher, reason, "cannot look for a key that is not known");
        }
        self.set.load().by_id.get(id).cloned()
    }

    async fn look_again(&self) -> Result<(), String> {
        let mut looked = self.looked.lock().await;
        if looked.0.is_some_and(|at| at.elapsed() < MISS_EVERY) {
            return Ok(());
        }
        self.load(&mut looked).await.map(drop)
    }

    /// Whether there are other keys than before.
    async fn look(&self) -> Result<bool, String> {
        let mut looked = self.looked.lock().await;
        self.load(&mut looked).await
    }

    async fn load(&self, looked: &mut (Option<Instant>, Vec<u8>)) -> Result<bool, String> {
        looked.0 = Some(Instant::now());
        let bytes = self.fetcher.fetch().await?;
        if bytes == looked.1 {
            return Ok(false);
        }
        let set = parse(&bytes)?;
        info!(source = %self.fetcher, keys = set.by_id.len(), "keys of tokens are in force");
        self.set.store(Arc::new(set));
        looked.1 = bytes;
        Ok(true)
    }

    async fn watch(&self, every: Duration) {
        let mut failing = false;
        loop {
            // Sooner while there is none at all.
            let none = self.set.load().by_id.is_empty() && self.set.load().only.is_none();
            sleep(if none { every.min(MISS_EVERY) } else { every }).await;
            match self.look().await {
                Ok(_) => failing = false,
                Err(reason) => {
                    if !failing {
                        warn!(source = %self.fetcher, reason, "the keys that were read before stay in force");
                    }
                    failing = true;
                }
            }
        }
    }
}

/// A key that cannot be used may be for something else than tokens.
fn parse(bytes: &[u8]) -> Result<Set, String> {
    #[derive(Deserialize)]
    struct Jwks {
        keys: Vec<serde_json::Value>,
    }
    let Jwks { keys } =
        serde_json::from_slice(bytes).map_err(|error| format!("no JSON Web Key Set: {error}"))?;
    if keys.len() > MAX_KEYS {
        return Err(format!("{} keys are more than {MAX_KEYS}", keys.len()));
    }
    let usable = keys.into_iter().filter_map(|value| {
        let key: Jwk = serde_json::from_value(value).ok()?;
        let signs = matches!(
            key.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        );
        // Never a shared secret: it would let whoever reads the file make tokens.
        let public = matches!(
            key.algorithm,
            AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_)
        );
        let decoding = DecodingKey::from_jwk(&key).ok()?;
        (signs && public).then_some((key.common.key_id, decoding))
    });
    let usable: Vec<_> = usable.collect();
    if usable.is_empty() {
        return Err("there is no RSA or EC key for signatures in it".to_owned());
    }
    let only = match &*usable {
        [(_, key)] => Some(key.clone()),
        _ => None,
    };
    let by_id = usable.into_iter().filter_map(|(id, key)| Some((id?, key)));
    Ok(Set {
        by_id: by_id.collect(),
        only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &str, expected: Result<(usize, bool), &str>) {
        match (parse(keys.as_bytes()), expected) {
            (Ok(set), Ok(expected)) => {
                assert_eq!((set.by_id.len(), set.only.is_some()), expected, "{keys}");
            }
            (Err(error), Err(part)) if error.contains(part) => {}
            (got, _) => panic!("{keys}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn only_public_keys_for_signatures_count() {
        let rsa = r#"{"kty":"RSA","use":"sig","alg":"RS256","kid":"a","n":"AQAB","e":"AQAB"}"#;
        let other = r#"{"kty":"RSA","use":"sig","kid":"b","n":"AQAB","e":"AQAB"}"#;
        let nameless = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
        let encrypts = r#"{"kty":"RSA","use":"enc","kid":"c","n":"AQAB","e":"AQAB"}"#;
        let secret = r#"{"kty":"oct","use":"sig","kid":"d","k":"AQAB"}"#;
        let strange = r#"{"kty":"XYZ","kid":"e"}"#;
        let set = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        check(&set(&[rsa]), Ok((1, true)));
        check(&set(&[nameless]), Ok((0, true)));
        check(&set(&[rsa, other]), Ok((2, false)));
        check(&set(&[rsa, encrypts, secret, strange]), Ok((1, true)));
        check(&set(&[secret]), Err("no RSA or EC key"));
        check(&set(&[]), Err("no RSA or EC key"));
        check(&set(&[rsa; 65]), Err("more than 64"));
        check("{}", Err("no JSON Web Key Set"));
        check("", Err("no JSON Web Key Set"));
    }
}
