//! `postgres://…`: what is in it, and that its secret stays there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::passfile;
use super::tls::{Identity, Roots, Tls, Verify};

/// A URL as somebody wrote it. It may hold a password, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// Takes a text that begins with `postgres://` or `postgresql://`; whether the rest reads is found out
    /// when it is used, since a parser of options would print what does not.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let ours = ["postgres://", "postgresql://"];
        let ours = ours.iter().any(|scheme| text.starts_with(scheme));
        ours.then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://…")
    }
}

/// Without user and secret.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match settings(self, |_| None) {
            Ok(settings) => f.write_str(&settings.name),
            Err(_) => f.write_str("postgres"),
        }
    }
}

/// Why a URL is of no use. None of these repeats a part that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL of a database.
    #[error(
        "the URL of --store does not read: it is postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full, \
         with special characters of users and passwords percent-encoded"
    )]
    Unreadable,
    /// The database has to be named.
    #[error("the URL of --store names no {0}: it is postgres://USER@HOST:PORT/DATABASE")]
    Missing(&'static str),
    /// A mode that does not exist.
    #[error(
        "sslmode in the URL of --store is one of disable, prefer, require, verify-ca and verify-full"
    )]
    SslMode,
}

/// What a URL and the environment say.
#[derive(Debug)]
pub(super) struct Settings {
    /// As people see it: without user and secret.
    pub(super) name: Arc<str>,
    pub(super) config: Config,
    pub(super) tls: Tls,
}

/// Reads a URL. A password that it does not name comes from `PGPASSWORD`, else from the password file that
/// `passfile` in the URL, `PGPASSFILE` or `~/.pgpass` name, as with libpq.
pub(super) fn settings(
    url: &PostgresUrl,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Settings, UrlError> {
    let (base, query) = url.0.split_once('?').unwrap_or((&url.0, ""));
    let mut ours = Ours::default();
    let mut others = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(UrlError::Unreadable)?;
        let value = || {
            let value = percent_decode_str(value).decode_utf8();
            value.map(String::from).map_err(|_| UrlError::Unreadable)
        };
        match key {
            "sslmode" => ours.mode = Some(value()?),
            "sslrootcert" => ours.roots = Some(value()?),
            "sslcert" => ours.certificate = Some(value()?.into()),
            "sslkey" => ours.key = Some(value()?.into()),
            "passfile" => ours.passfile = Some(value()?.into()),
            _ => others.push(pair),
        }
    }
    let base = format!("{base}?{}", others.join("&"));
    // The client's errors repeat what they did not understand.
    let mut config: Config = base.parse().map_err(|_| UrlError::Unreadable)?;
    let database = config
        .get_dbname()
        .ok_or(UrlError::Missing("database"))?
        .to_owned();
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(UrlError::Missing("host"));
    }
    let places = places(&config);
    if config.get_password().is_none() {
        let user = config.get_user().unwrap_or_default().to_owned();
        let listed = || {
            let path = ours.passfile.clone();
            let path = path.or_else(|| env("PGPASSFILE").map(PathBuf::from));
            let path = path.or_else(|| Some(PathBuf::from(env("HOME")?).join(".pgpass")))?;
            let (host, port) = places.first()?;
            passfile::find(&path, [host, port, &database, &user])
        };
        if let Some(password) = env("PGPASSWORD").or_else(listed) {
            config.password(password);
        }
    }
    let tls = ours.tls(is_local(&config))?;
    config.ssl_mode(match &tls {
        Tls::Never => SslMode::Disable,
        Tls::IfOffered(_) => SslMode::Prefer,
        Tls::Always(_) => SslMode::Require,
    });
    let places: Vec<_> = places
        .iter()
        .map(|(host, port)| format!("{host}:{port}"))
        .collect();
    let name = format!("postgres://{}/{database}", places.join(","));
    Ok(Settings {
        name: name.into(),
        config,
        tls,
    })
}

/// What the URL says that the client does not know.
#[derive(Debug, Default)]
struct Ours {
    mode: Option<String>,
    roots: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    passfile: Option<PathBuf>,
}

impl Ours {
    /// As libpq, but for the default: beyond this machine it is `verify-full`, not `prefer`, which anybody
    /// in between could make plaintext of.
    fn tls(&self, local: bool) -> Result<Tls, UrlError> {
        let roots = match self.roots.as_deref() {
            None | Some("system") => Roots::System,
            Some(path) => Roots::File(path.into()),
        };
        let verify = |verify| {
            let identity = self.certificate.as_ref().zip(self.key.as_ref());
            super::tls::Settings {
                verify,
                identity: identity.map(|(certificate, key)| Identity {
                    certificate: certificate.clone(),
                    key: key.clone(),
                }),
            }
        };
        let default = if local { "prefer" } else { "verify-full" };
        Ok(
            match (self.mode.as_deref().unwrap_or(default), &self.roots) {
                ("disable", _) => Tls::Never,
                ("prefer", _) => Tls::IfOffered(verify(Verify::Nothing)),
                ("require", None) => Tls::Always(verify(Verify::Nothing)),
                ("require", Some(_)) | ("verify-ca", _) => {
                    Tls::Always(verify(Verify::Chain(roots)))
                }
                ("verify-full", _) => Tls::Always(verify(Verify::Name(roots))),
                _ => return Err(UrlError::SslMode),
            },
        )
    }
}

/// Hosts and ports.
fn places(config: &Config) -> Vec<(String, String)> {
    let hosts: Vec<_> = match config.get_hosts() {
        [] => config
            .get_hostaddrs()
            .iter()
            .map(ToString::to_string)
            .collect(),
        hosts => hosts
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect(),
    };
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let placed = hosts.into_iter().enumerate();
    placed
        .map(|(at, host)| (host, port(at).to_string()))
        .collect()
}

/// Whether nothing of it leaves this machine.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    addresses.iter().all(std::net::IpAddr::is_loopback)
        && config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => {
                !addresses.is_empty()
                    || name == "localhost"
                    || name
                        .parse()
                        .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
            Host::Unix(_) => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        text: &str,
        env: &[(&str, &str)],
        expected: Result<(&str, Option<&str>, &str), UrlError>,
    ) {
        let url = PostgresUrl::of(text).expect("one of ours");
        assert!(!format!("{url:?}").contains("s3cret"));
        let env = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let read = settings(&url, env);
        assert!(!format!("{read:?}").contains("s3cret"), "{text}");
        let found = read.map(|settings| {
            let password = settings.config.get_password();
            let password = password.map(|text| String::from_utf8_lossy(text).into_owned());
            let tls = match settings.tls {
                Tls::Never => "never".to_owned(),
                Tls::IfOffered(tls) => format!("if offered, {:?}", tls.verify),
                Tls::Always(tls) => format!("{:?}", tls.verify),
            };
            (settings.name.to_string(), password, tls)
        });
        let expected = expected.map(|(name, password, tls)| {
            (name.to_owned(), password.map(str::to_owned), tls.to_owned())
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn urls_are_read_and_secrets_kept() {
        for (text, expected) in [
            (
                "postgres://u:s3cret@db.example:5433/archtrace",
                Ok((
                    "postgres://db.example:5433/archtrace",
                    Some("s3cret"),
                    "Name(System)",
                )),
            ),
            (
                "postgresql://u:s3cret%3F@127.0.0.1/a?sslmode=require",
                Ok(("postgres://127.0.0.1:5432/a", Some("s3cret?"), "Nothing")),
            ),
            (
                "postgres://u@localhost/a",
                Ok(("postgres://localhost:5432/a", None, "if offered, Nothing")),
            ),
            (
                "postgres://u@a,b:7/x?sslmode=require&sslrootcert=/etc/ca%20.pem",
                Ok((
                    "postgres://a:5432,b:7/x",
                    None,
                    "Chain(File(\"/etc/ca .pem\"))",
                )),
            ),
            (
                "postgres://u@h/x?connect_timeout=3&sslmode=disable",
                Ok(("postgres://h:5432/x", None, "never")),
            ),
            ("postgres://u:s3cret?@h/x", Err(UrlError::Unreadable)),
            ("postgres://u:p@h/x?s3cret=1", Err(UrlError::Unreadable)),
            ("postgres://u:s3cret@h", Err(UrlError::Missing("database"))),
            ("postgres:///x", Err(UrlError::Missing("host"))),
            ("postgres://u@h/x?sslmode=s3cret", Err(UrlError::SslMode)),
        ] {
            check(text, &[], expected);
        }
    }

    #[test]
    fn passwords_may_be_elsewhere() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("passes");
        std::fs::write(&file, "other:*:*:*:wrong\nh:5432:x:u:s3cret-listed\n").expect("writes");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).expect("ours");
        let file = file.to_str().expect("UTF-8");
        let with = |password| Ok(("postgres://h:5432/x", password, "never"));
        let url = "postgres://u@h/x?sslmode=disable";
        check(url, &[("PGPASSWORD", "s3cret")], with(Some("s3cret")));
        check(url, &[("PGPASSFILE", file)], with(Some("s3cret-listed")));
        let named = format!("{url}&passfile={file}");
        check(&named, &[], with(Some("s3cret-listed")));
        check(url, &[("HOME", "/nowhere")], with(None));
    }
}
