//! Names and passwords, from Docker's `config.json`, as `docker login` writes it and as Kubernetes has it in
//! Secrets of type `kubernetes.io/dockerconfigjson`.
//!
//! Programs that would tell passwords (`credHelpers`, `credsStore`) are not run, and tokens that only some
//! registries give (`identitytoken`, `registrytoken`) are not used: whoever is denied for that is told so.

use std::collections::BTreeMap;
use std::fmt;

use archtrace_facts::registry::Reference;
use archtrace_facts::text::escape;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// A text that nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A name and a password. The name is none of anybody's business either: it may be a key's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    username: Secret,
    password: Secret,
}

impl Login {
    /// The value of `Authorization` (RFC 7617).
    pub(crate) fn basic(&self) -> String {
        let text = format!("{}:{}", self.username.0, self.password.0);
        format!("Basic {}", BASE64.encode(text))
    }
}

/// With or without `=` at the end: people write these files too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is known of one registry, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Login(Login),
    /// There is something, which is not used, for this reason.
    Unused(String),
}

/// What there is for registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// By host, and behind a slash the beginning of the repository's path, if one is named.
    entries: BTreeMap<String, Entry>,
    /// Whom `credsStore` would ask about all others.
    store: Option<String>,
}

/// A file that is no `config.json`. The text of the file is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// It is no JSON, or not of that form.
    #[error("no config.json of Docker's: line {line}, column {column} does not read")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// One of its entries is broken.
    #[error("auths, '{registry}': {what}")]
    Entry {
        /// The name of the entry.
        registry: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What is used for one reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// This.
    Login(&'a Login),
    /// Nothing, though there is something, for this reason.
    Unused(&'a str),
    /// Nothing.
    Nothing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

impl Credentials {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// If it is none, or one of its entries is broken.
    pub fn parse(json: &str) -> Result<Self, CredentialsError> {
        let file: File = serde_json::from_str(json).map_err(|error| CredentialsError::Json {
            line: error.line(),
            column: error.column(),
        })?;
        let mut entries = BTreeMap::new();
        for (name, auth) in file.auths {
            if let Some(entry) = entry(&auth).map_err(|what| CredentialsError::Entry {
                registry: escape(name.as_bytes()),
                what,
            })? {
                entries.insert(key(&name), entry);
            }
        }
        for (name, helper) in file.cred_helpers {
            let helper = escape(helper.as_bytes());
            let why = format!(
                "credHelpers has docker-credential-{helper} for it, which is not run: write what it tells into \
                 auths"
            );
            // What is written down can be used, whatever Docker would prefer.
            entries.entry(key(&name)).or_insert(Entry::Unused(why));
        }
        let store = Some(escape(file.creds_store.as_bytes())).filter(|store| !store.is_empty());
        let store = store.map(|store| {
            format!(
                "credsStore is docker-credential-{store}, which is not run: write what it tells into auths"
            )
        });
        Ok(Self { entries, store })
    }

    /// How many logins there are.
    #[must_use]
    pub fn logins(&self) -> usize {
        let entries = self.entries.values();
        entries
            .filter(|entry| matches!(entry, Entry::Login(_)))
            .count()
    }

    /// Registries for which there is something that is not used, and why.
    pub fn unused(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_entries = self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Unused(why) => Some((&**name, &**why)),
            Entry::Login(_) => None,
        });
        of_entries.chain(self.store.as_deref().map(|why| ("all others", why)))
    }

    /// What is used for `reference`: of entries for its registry the one that names most of its path.
    #[must_use]
    pub fn find(&self, reference: &Reference) -> Found<'_> {
        let Reference {
            registry,
            repository,
            ..
        } = reference;
        let whole = format!("{registry}/{repository}");
        let mut name = &*whole;
        loop {
            match self.entries.get(name) {
                Some(Entry::Login(login)) => return Found::Login(login),
                Some(Entry::Unused(why)) => return Found::Unused(why),
                None => {}
            }
            let Some((shorter, _)) = name.rsplit_once('/') else {
                return self.store.as_deref().map_or(Found::Nothing, Found::Unused);
            };
            name = shorter;
        }
    }
}

/// `None` where `docker login` left the rest to a helper.
fn entry(auth: &Auth) -> Result<Option<Entry>, &'static str> {
    let Auth {
        auth,
        username,
        password,
        identitytoken,
        registrytoken,
    } = auth;
    if !auth.is_empty() {
        let bytes = BASE64
            .decode(auth.trim())
            .map_err(|_| "auth is no base64")?;
        let text = String::from_utf8(bytes).map_err(|_| "auth is no text")?;
        let (username, password) = text
            .split_once(':')
            .ok_or("auth is not NAME:PASSWORD in base64")?;
        // Docker puts NULs behind it.
        let password = password.trim_end_matches('\0');
        if !identitytoken.is_empty() && password.is_empty() {
            return Ok(Some(Entry::Unused(TOKEN.to_owned())));
        }
        return Ok(Some(login(username, password)));
    }
    if !username.is_empty() {
        return Ok(Some(login(username, password)));
    }
    if !identitytoken.is_empty() || !registrytoken.is_empty() {
        return Ok(Some(Entry::Unused(TOKEN.to_owned())));
    }
    Ok(None)
}

const TOKEN: &str = "there is an identitytoken or registrytoken for it, which is not used: write a name and a password into auths";

fn login(username: &str, password: &str) -> Entry {
    Entry::Login(Login {
        username: Secret(username.to_owned()),
        password: Secret(password.to_owned()),
    })
}

/// Docker writes `https://index.docker.io/v1/`, others the bare host; Kubernetes allows a path behind it.
fn key(name: &str) -> String {
    let name = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"))
        .unwrap_or(name);
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let host = host.to_ascii_lowercase();
    let is_docker = matches!(
        &*host,
        "index.docker.io" | "registry-1.docker.io" | "docker.io"
    );
    let host = if is_docker { "docker.io" } else { &host };
    let path = path.trim_end_matches('/');
    // Versions of the API.
    if matches!(path, "" | "v1" | "v2") {
        return host.to_owned();
    }
    format!("{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(json: &str, reference: &str, expected: Result<&str, &str>) {
        let credentials = Credentials::parse(json).expect(json);
        let reference = reference.parse().expect("a reference");
        let found = match credentials.find(&reference) {
            Found::Login(Login { username, password }) => {
                Ok(format!("{}:{}", username.0, password.0))
            }
            Found::Unused(why) => Err(why.to_owned()),
            Found::Nothing => Err(String::new()),
        };
        match (&found, expected) {
            (Ok(login), Ok(expected)) => assert_eq!(login, expected, "{json} {reference}"),
            (Err(why), Err("")) => assert_eq!(why, "", "{json} {reference}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{json} {reference}: {why}"),
            _ => panic!("{json} {reference}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_entry_that_names_most_of_it_is_used() {
        // printf joe:s3:cret | base64
        let json = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "am9lOnMzOmNyZXQ="},
            "reg.example": {"username": "all", "password": "1"},
            "reg.example/team/app": {"username": "app", "password": "2"},
            "https://REG.example:5000/v2/": {"auth": "am9lOnMzOmNyZXQ"},
            "empty.example": {},
            "token.example": {"auth": "am9lOg==", "identitytoken": "x"},
            "ecr.example": {"username": "AWS", "password": "3"}
        }, "credHelpers": {"ecr.example": "ecr-login", "gcr.example": "gcloud"}, "HttpHeaders": {}}"#;
        for (reference, expected) in [
            ("nginx", Ok("joe:s3:cret")),
            ("docker.io/a/b:1", Ok("joe:s3:cret")),
            ("reg.example/x", Ok("all:1")),
            ("reg.example/team/apple", Ok("all:1")),
            ("reg.example/team/app", Ok("app:2")),
            ("reg.example/team/app/part:7", Ok("app:2")),
            ("reg.example:5000/x", Ok("joe:s3:cret")),
            ("reg.example:5001/x", Err("")),
            ("example/x", Ok("joe:s3:cret")),
            ("empty.example/x", Err("")),
            ("token.example/x", Err("identitytoken")),
            ("ecr.example/x", Ok("AWS:3")),
            (
                "gcr.example/x",
                Err("docker-credential-gcloud for it, which is not run"),
            ),
        ] {
            check(json, reference, expected);
        }
        check(
            r#"{"auths": {"reg.example": {}}, "credsStore": "desktop"}"#,
            "reg.example/x",
            Err("docker-credential-desktop, which is not run"),
        );
        check("{}", "nginx", Err(""));
    }

    #[test]
    fn broken_files_are_told_without_what_they_hold() {
        for (json, expected) in [
            ("", "line 1, column 0"),
            (
                r#"{"auths": {"r": {"password": s3cret}}}"#,
                "line 1, column",
            ),
            (
                r#"{"auths": {"r": {"auth": "s3cret!"}}}"#,
                "auths, 'r': auth is no base64",
            ),
            (
                r#"{"auths": {"r": {"auth": "czNjcmV0"}}}"#,
                "auths, 'r': auth is not NAME:PASSWORD",
            ),
            (
                r#"{"auths": {"r": {"auth": "/////w=="}}}"#,
                "auths, 'r': auth is no text",
            ),
        ] {
            let told = Credentials::parse(json).expect_err(json).to_string();
            assert!(told.contains(expected), "{json}: {told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let json = r#"{"auths": {"r.example": {"username": "joe-s3cret", "password": "s3cret"}}}"#;
        let credentials = Credentials::parse(json).expect("reads");
        let shown = format!("{credentials:?} {credentials:#?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("r.example"), "{shown}");
        assert_eq!((credentials.logins(), credentials.unused().count()), (1, 0));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(json: String, host in "[a-z/:.]{0,20}", auth in "[A-Za-z0-9+/=]{0,20}") {
            let _ = Credentials::parse(&json);
            let json = format!(r#"{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#);
            let _ = Credentials::parse(&json);
        }
    }
}
