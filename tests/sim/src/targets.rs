//! The collectors that agents report to, and how they show who they are.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use archtrace_sink::{Collector, Files};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// Collectors: replicas over one store, if there are several.
#[derive(Clone, Debug)]
pub struct Targets {
    urls: Vec<String>,
    tls: Option<Tls>,
}

/// What shows who is who.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Certificates of who signed the collector's.
    pub ca: PathBuf,
    /// Where each node's certificate and key are: node-NODE.crt and node-NODE.key, as `archtrace-collector dev-certs` makes them.
    pub nodes: Option<PathBuf>,
    /// Certificate and key of who asks.
    pub reader: Option<(PathBuf, PathBuf)>,
    /// Name in the collectors' certificates, if it is not that of the URL.
    pub server_name: Option<String>,
}

impl Targets {
    /// Collectors at these URLs.
    ///
    /// # Errors
    /// If a URL is none, or does not fit to whether there is TLS.
    pub fn new(urls: Vec<String>, tls: Option<Tls>) -> Result<Self> {
        let targets = Self { urls, tls };
        for number in 0..targets.urls.len() {
            targets.collector(number, "node")?;
        }
        Ok(targets)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.urls.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.urls.is_empty()
    }

    /// A collector, for the agent of a node. Numbers are counted round.
    ///
    /// # Errors
    /// If there is none, or its URL is none.
    pub fn collector(&self, number: usize, node: &str) -> Result<Collector> {
        let files = self.tls.as_ref().map_or_else(Files::default, |tls| Files {
            ca: Some(tls.ca.clone()),
            cert: tls
                .nodes
                .as_ref()
                .map(|nodes| nodes.join(format!("node-{node}.crt"))),
            key: tls
                .nodes
                .as_ref()
                .map(|nodes| nodes.join(format!("node-{node}.key"))),
            token: None,
            server_name: tls.server_name.clone(),
        });
        Ok(Collector::new(self.url(number)?, files)?)
    }

    /// The same for who speaks by hand.
    ///
    /// # Errors
    /// If there is none, or a file cannot be read.
    pub fn endpoint(&self, number: usize, node: &str) -> Result<Endpoint> {
        let nodes = self.tls.as_ref().and_then(|tls| tls.nodes.as_ref());
        let files = nodes.map(|nodes| {
            (
                nodes.join(format!("node-{node}.crt")),
                nodes.join(format!("node-{node}.key")),
            )
        });
        self.open(number, files)
    }

    /// The same for who asks.
    ///
    /// # Errors
    /// If there is none, or a file cannot be read.
    pub fn reader(&self, number: usize) -> Result<Endpoint> {
        self.open(number, self.tls.as_ref().and_then(|tls| tls.reader.clone()))
    }

    fn open(&self, number: usize, identity: Option<(PathBuf, PathBuf)>) -> Result<Endpoint> {
        let endpoint = Endpoint::from_shared(self.url(number)?.to_owned())?;
        let Some(tls) = &self.tls else {
            return Ok(endpoint);
        };
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("read {}", path.display()))
        };
        let mut config =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&tls.ca)?));
        if let Some(name) = &tls.server_name {
            config = config.domain_name(name);
        }
        if let Some((cert, key)) = identity {
            config = config.identity(Identity::from_pem(read(&cert)?, read(&key)?));
        }
        Ok(endpoint.tls_config(config)?)
    }

    fn url(&self, number: usize) -> Result<&str> {
        let number = number
            .checked_rem(self.urls.len())
            .context("there is no collector")?;
        Ok(&self.urls[number])
    }
}
