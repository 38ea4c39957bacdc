//! One request of a reference: until it is answered, wherever that leads, and with what the registry wants to see.

use std::time::Duration;

use http::{Method, StatusCode, Uri};
use tokio::time::sleep;

use super::Session;
use crate::credentials::Found;
use crate::error::RegistryError;
use crate::login::{self, Challenge};
use crate::transport::{Asked, Reply, host_of, retry_after};

/// The first pause between them, at most; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(500);
/// A registry that wants a longer one is asked another time.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Redirects of one request: object stores and mirrors take one or two.
const MAX_REDIRECTS: usize = 5;

impl Session<'_> {
    /// Asks until there is an answer, or it has failed often enough.
    pub(super) async fn get(
        &mut self,
        method: Method,
        kind: &str,
        what: &str,
        accept: &'static str,
    ) -> Result<Reply, RegistryError> {
        let repository = &self.reference.repository;
        let uri = format!("{}v2/{repository}/{kind}/{what}", self.home).parse();
        let uri: Uri = uri.map_err(|_| self.invalid("its name makes no URL"))?;
        let mut tried = 0;
        loop {
            let failed = match self.follow(method.clone(), uri.clone(), accept).await {
                Err(error) if error.may_pass() => error,
                told => return told,
            };
            tried += 1;
            let pause = match failed.retry_after() {
                Some(wanted) if wanted > MAX_PAUSE => return Err(failed),
                Some(wanted) => wanted,
                None => jittered(PAUSE * 2_u32.pow(tried)),
            };
            if tried >= self.tries {
                return Err(failed);
            }
            sleep(pause).await;
        }
    }

    /// Asks, logs in if that is asked for, and follows redirects.
    async fn follow(
        &mut self,
        method: Method,
        mut uri: Uri,
        accept: &'static str,
    ) -> Result<Reply, RegistryError> {
        let (mut redirects, mut logged_in) = (0, false);
        loop {
            let host = host_of(&uri);
            // Whoever else is asked is not shown what is for this one.
            let is_home =
                uri.scheme() == self.home.scheme() && uri.authority() == self.home.authority();
            let reply = self
                .transport
                .send(Asked {
                    method: method.clone(),
                    uri: uri.clone(),
                    accept,
                    authorization: self.authorization.as_ref().filter(|_| is_home),
                })
                .await?;
            match reply.status {
                StatusCode::OK => return Ok(reply),
                StatusCode::UNAUTHORIZED if is_home && !logged_in => {
                    logged_in = true;
                    self.log_in(&reply).await?;
                }
                status if status.is_redirection() => {
                    redirects += 1;
                    if redirects > MAX_REDIRECTS {
                        return Err(RegistryError::invalid(&host, "more than five redirects"));
                    }
                    uri = self.transport.redirect(&self.home, &uri, &reply.headers)?;
                }
                status => return Err(self.refusal(&host, status, &reply)),
            }
        }
    }

    /// What a status says that is no success.
    fn refusal(&self, host: &str, status: StatusCode, reply: &Reply) -> RegistryError {
        let host = host.to_owned();
        let retry_after = retry_after(&reply.headers);
        match status {
            StatusCode::NOT_FOUND => RegistryError::Gone {
                host,
                what: format!("{} {}", self.reference.repository, self.reference.target()),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.denied(host, status),
            StatusCode::TOO_MANY_REQUESTS => RegistryError::Busy { host, retry_after },
            status if status.is_server_error() => RegistryError::Unavailable {
                host,
                status: status.as_u16(),
                retry_after,
            },
            status => RegistryError::invalid(&host, format!("status {}", status.as_u16())),
        }
    }

    fn denied(&self, host: String, status: StatusCode) -> RegistryError {
        let hint = match self.found {
            Found::Login(_) => {
                "what --registry-config has for it is not let in there, or there is no such repository"
                    .to_owned()
            }
            Found::Unused(why) => why.to_owned(),
            Found::Nothing => {
                "--registry-config has nothing for it, or there is no such repository".to_owned()
            }
        };
        RegistryError::Denied {
            host,
            status: status.as_u16(),
            hint,
        }
    }

    /// Gets what a 401 asked for.
    async fn log_in(&mut self, refused: &Reply) -> Result<(), RegistryError> {
        let denied = |session: &Self, status| session.denied(session.host.to_owned(), status);
        let login = match self.found {
            Found::Login(login) => Some(login),
            Found::Unused(_) | Found::Nothing => None,
        };
        let basic = login.and_then(|login| login::secret(&login.basic()));
        match login::challenge(&refused.headers) {
            Some(Challenge::Basic) => {
                self.authorization = basic;
                if self.authorization.is_none() {
                    return Err(denied(self, StatusCode::UNAUTHORIZED));
                }
            }
            Some(Challenge::Bearer { realm, service }) => {
                let uri = login::token_uri(&realm, &service, &self.reference.repository);
                let uri = uri.ok_or_else(|| self.invalid("a place for tokens that is no URL"))?;
                let led = self.transport.may_lead(&self.home, &uri);
                led.map_err(|what| self.invalid(what))?;
                let host = host_of(&uri);
                let asked = Asked {
                    method: Method::GET,
                    uri,
                    accept: "application/json",
                    // Public images want a token, too, which is given to everybody.
                    authorization: basic.as_ref(),
                };
                let reply = self.transport.send(asked).await?;
                if reply.status != StatusCode::OK {
                    return Err(match reply.status {
                        StatusCode::NOT_FOUND => {
                            RegistryError::invalid(&host, "status 404 for a token")
                        }
                        status => self.refusal(&host, status, &reply),
                    });
                }
                let token = login::bearer(&reply.body);
                let token = token.ok_or_else(|| RegistryError::invalid(&host, "no token"))?;
                self.authorization = Some(token);
            }
            None => return Err(denied(self, StatusCode::UNAUTHORIZED)),
        }
        Ok(())
    }
}

/// At random up to `most`, so that those who failed together do not come back together.
fn jittered(most: Duration) -> Duration {
    // Without randomness all wait as long as they may.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
