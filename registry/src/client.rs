//! One reference: whether it is an index or an image, and for which platforms.

mod exchange;

use std::time::Duration;

use archtrace_facts::platform::Platform;
use archtrace_facts::registry::{Listing, Reference};
use http::header::HeaderName;
use http::{HeaderValue, Method, Uri};
use sha2::{Digest as _, Sha256, Sha512};
use tokio::time::timeout;

use crate::credentials::{Credentials, Found};
use crate::document::{Descriptor, Document, Entry, MANIFESTS, MAX_ENTRIES, PlatformText, parse};
use crate::error::RegistryError;
use crate::transport::{Options, Transport};

/// How long one reference may take, whatever its registry does: retries and pauses included.
const ASK: Duration = Duration::from_secs(60);
/// How often a request is made before it has failed.
const TRIES: u32 = 3;
/// Indexes in indexes: nobody needs more than one in another.
const MAX_DEPTH: usize = 3;
/// Manifests that are asked for, of one reference: only those are of which the index does not say what they
/// are for.
const MAX_DOCUMENTS: usize = 20;

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Asks registries.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// One that trusts these.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(options: Options) -> Result<Self, rustls::Error> {
        let transport = Transport::new(options)?;
        Ok(Self { transport })
    }

    /// Asks what there is under a reference. If it is still `known`, only that is asked, which registries do not
    /// count against limits on pulls.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        known: Option<&Listing>,
    ) -> Result<Listing, RegistryError> {
        let host = &reference.registry;
        let asked = timeout(ASK, self.by_any_scheme(reference, credentials, known)).await;
        asked.unwrap_or_else(|_| {
            Err(RegistryError::Unreachable {
                host: host.clone(),
                reason: format!("it did not tell all within {ASK:?}"),
            })
        })
    }

    /// By TLS; without, if there is none and that is allowed.
    async fn by_any_scheme(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        known: Option<&Listing>,
    ) -> Result<Listing, RegistryError> {
        let host = match &*reference.registry {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let plain = self.transport.may_be_plain(host);
        let mut session = Session::new(self, "https", host, reference, credentials)?;
        session.tries = if plain { 1 } else { TRIES };
        match session.ask(known).await {
            Err(RegistryError::Unreachable { .. }) if plain => {
                let session = Session::new(self, "http", host, reference, credentials)?;
                session.ask(known).await
            }
            told => told,
        }
    }
}

/// One reference that is being asked for.
struct Session<'a> {
    transport: &'a Transport,
    home: Uri,
    host: &'a str,
    reference: &'a Reference,
    found: Found<'a>,
    authorization: Option<HeaderValue>,
    tries: u32,
}

/// A manifest or an index.
struct Fetched {
    digest: String,
    document: Document,
}

/// What an index leads to.
#[derive(Default)]
struct Walk {
    platforms: Vec<Platform>,
    /// Entries that are not looked at yet, and how deep they are.
    entries: Vec<(Descriptor, usize)>,
    seen: usize,
    documents: usize,
    /// What there is besides images.
    artifact: Option<String>,
}

impl<'a> Session<'a> {
    fn new(
        client: &'a Client,
        scheme: &str,
        host: &'a str,
        reference: &'a Reference,
        credentials: &'a Credentials,
    ) -> Result<Self, RegistryError> {
        let home = format!("{scheme}://{host}/").parse();
        let home = home.map_err(|_| RegistryError::invalid(host, "its name makes no URL"))?;
        Ok(Self {
            transport: &client.transport,
            home,
            host,
            reference,
            found: credentials.find(reference),
            authorization: None,
            tries: TRIES,
        })
    }

    async fn ask(mut self, known: Option<&Listing>) -> Result<Listing, RegistryError> {
        let target = self.reference.target().to_owned();
        if let Some(known) = known
            && self.leads_to(&target, &known.digest).await?
        {
            return Ok(known.clone());
        }
        let Fetched { digest, document } = self.manifest(&target).await?;
        if let Some(manifests) = document.manifests {
            return Ok(Listing {
                is_index: true,
                digest,
                platforms: self.index(manifests).await?,
            });
        }
        match self.image(document.config).await? {
            Ok(platform) => Ok(Listing {
                is_index: false,
                digest,
                platforms: vec![platform],
            }),
            Err(what) => Err(RegistryError::NoImage {
                host: self.host.to_owned(),
                what,
            }),
        }
    }

    /// Whether a tag still leads to this digest. Who does not tell is asked for all of it.
    async fn leads_to(&mut self, target: &str, digest: &str) -> Result<bool, RegistryError> {
        let told = self.get(Method::HEAD, "manifests", target, MANIFESTS).await;
        match told {
            Ok(reply) => {
                let told = reply.headers.get(DIGEST);
                Ok(told.is_some_and(|told| told.as_bytes() == digest.as_bytes()))
            }
            Err(RegistryError::Invalid { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The platforms that an index, and indexes in it, have images for.
    async fn index(&mut self, manifests: Vec<Descriptor>) -> Result<Vec<Platform>, RegistryError> {
        let mut walk = Walk::default();
        self.add(&mut walk, manifests, 1)?;
        while let Some((descriptor, depth)) = walk.entries.pop() {
            let entry = descriptor.entry().map_err(|what| self.invalid(what))?;
            match entry {
                Entry::Attestation => {}
                Entry::Image(platform) => self.add_platform(&mut walk, platform)?,
                Entry::Index | Entry::Untold => {
                    walk.documents += 1;
                    if depth >= MAX_DEPTH || walk.documents > MAX_DOCUMENTS {
                        return Err(self.invalid("indexes in indexes in indexes"));
                    }
                    let Fetched { document, .. } = self.manifest(&descriptor.digest).await?;
                    if let Some(manifests) = document.manifests {
                        self.add(&mut walk, manifests, depth + 1)?;
                        continue;
                    }
                    match self.image(document.config).await? {
                        Ok(platform) => self.add_platform(&mut walk, platform)?,
                        Err(what) => walk.artifact = Some(what),
                    }
                }
            }
        }
        match walk.artifact {
            Some(what) if walk.platforms.is_empty() => Err(RegistryError::NoImage {
                host: self.host.to_owned(),
                what,
            }),
            _ => Ok(walk.platforms),
        }
    }

    fn add(
        &self,
        walk: &mut Walk,
        manifests: Vec<Descriptor>,
        depth: usize,
    ) -> Result<(), RegistryError> {
        walk.seen = walk.seen.saturating_add(manifests.len());
        if walk.seen > MAX_ENTRIES {
            return Err(self.invalid("an index of more than 1,000 manifests"));
        }
        let manifests = manifests.into_iter();
        walk.entries
            .extend(manifests.map(|descriptor| (descriptor, depth)));
        Ok(())
    }

    /// Each once, sorted.
    fn add_platform(&self, walk: &mut Walk, platform: Platform) -> Result<(), RegistryError> {
        if let Err(place) = walk.platforms.binary_search(&platform) {
            walk.platforms.insert(place, platform);
        }
        if walk.platforms.len() > Listing::MAX_PLATFORMS {
            return Err(self.invalid("an index for more than 100 platforms"));
        }
        Ok(())
    }

    /// What an image is for, which its configuration says; or what it is, if it is none.
    async fn image(
        &mut self,
        config: Option<Descriptor>,
    ) -> Result<Result<Platform, String>, RegistryError> {
        let config = config
            .ok_or_else(|| self.invalid("what is neither an index nor a manifest of an image"))?;
        if let Some(what) = config.artifact() {
            return Ok(Err(what));
        }
        if !archtrace_facts::registry::is_digest(&config.digest) {
            return Err(self.invalid("a digest in a manifest is none by sha256 or sha512"));
        }
        let reply = self
            .get(Method::GET, "blobs", &config.digest, "*/*")
            .await?;
        self.verify(&config.digest, &reply.body)?;
        let text: PlatformText = parse(&reply.body).map_err(|what| self.invalid(what))?;
        let platform = text.platform().map_err(|what| self.invalid(what))?;
        let platform =
            platform.ok_or_else(|| self.invalid("a configuration that names no architecture"))?;
        Ok(Ok(platform))
    }

    async fn manifest(&mut self, target: &str) -> Result<Fetched, RegistryError> {
        let reply = self
            .get(Method::GET, "manifests", target, MANIFESTS)
            .await?;
        let digest = if target.contains(':') {
            self.verify(target, &reply.body)?;
            target.to_owned()
        } else {
            format!("sha256:{}", hex(&Sha256::digest(&reply.body)))
        };
        let document = parse(&reply.body).map_err(|what| self.invalid(what))?;
        Ok(Fetched { digest, document })
    }

    /// What is named by a digest has to have it.
    fn verify(&self, digest: &str, body: &[u8]) -> Result<(), RegistryError> {
        let is_it = match digest.split_once(':') {
            Some(("sha256", wanted)) => hex(&Sha256::digest(body)) == wanted,
            Some(("sha512", wanted)) => hex(&Sha512::digest(body)) == wanted,
            _ => false,
        };
        if is_it {
            return Ok(());
        }
        Err(self.invalid(format!("what has another digest than {digest}")))
    }

    fn invalid(&self, what: impl Into<String>) -> RegistryError {
        RegistryError::invalid(self.host, what)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
