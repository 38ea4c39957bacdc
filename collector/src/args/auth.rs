//! Options that say who peers are.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::auth::{Options, Source, Tokens};

/// TLS, and whose certificates and tokens hold.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Who may report and read")]
pub struct AuthArgs {
    /// The server's certificate with its chain (PEM): from then on only TLS is spoken. Read again when
    /// it changes, as all files of credentials are
    #[arg(
        long,
        env = "ARCHTRACE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// The key of that certificate (PEM)
    #[arg(
        long,
        env = "ARCHTRACE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// CA of client certificates (PEM). Agents' have O=archtrace:agents and the node's name as CN or as
    /// DNS name, and its cluster as OU if several report here; readers' have O=archtrace:readers. Nothing is revoked: keep them short-lived, or replace
    /// the CA
    #[arg(
        long,
        env = "ARCHTRACE_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub client_ca: Option<PathBuf>,

    /// Keys that sign service accounts' tokens (JWKS): a file, or an https URL. Tokens have to name their
    /// pod's node, as they do from Kubernetes 1.30 on
    #[arg(
        long,
        env = "ARCHTRACE_TOKEN_JWKS",
        value_name = "FILE|URL",
        requires_all = ["tls_cert", "token_audience"]
    )]
    pub token_jwks: Option<JwksAt>,

    /// CA of the certificate of that URL (PEM); the system's CAs if it is not given
    #[arg(
        long,
        env = "ARCHTRACE_TOKEN_JWKS_CA",
        value_name = "FILE",
        requires = "token_jwks"
    )]
    pub token_jwks_ca: Option<PathBuf>,

    /// A token to ask that URL with, such as the collector's own
    #[arg(
        long,
        env = "ARCHTRACE_TOKEN_JWKS_BEARER",
        value_name = "FILE",
        requires = "token_jwks"
    )]
    pub token_jwks_bearer: Option<PathBuf>,

    /// Audience that tokens have to be for
    #[arg(
        long,
        env = "ARCHTRACE_TOKEN_AUDIENCE",
        value_name = "NAME",
        requires = "token_jwks"
    )]
    pub token_audience: Option<String>,

    /// Issuer that tokens have to be of; any whose keys are known if it is not given
    #[arg(
        long,
        env = "ARCHTRACE_TOKEN_ISSUER",
        value_name = "URL",
        requires = "token_jwks"
    )]
    pub token_issuer: Option<String>,

    /// Cluster whose tokens these are: agents that show one have to name it (--cluster), so that no node reports for
    /// one of another cluster that has its name. Certificates say it by OU
    #[arg(
        long,
        env = "ARCHTRACE_TOKEN_CLUSTER",
        value_name = "NAME",
        requires = "token_jwks"
    )]
    pub token_cluster: Option<String>,

    /// Service account whose tokens may report for their node: any pod may get a token for our audience,
    /// so the account matters. Can be repeated
    #[arg(
        long,
        env = "ARCHTRACE_AGENT_SUBJECT",
        value_name = "SUBJECT",
        value_delimiter = ',',
        default_value = "system:serviceaccount:archtrace:archtrace-agent"
    )]
    pub agent_subject: Vec<String>,

    /// Service account whose tokens may read. Can be repeated
    #[arg(
        long,
        env = "ARCHTRACE_READER_SUBJECT",
        value_name = "SUBJECT",
        value_delimiter = ',',
        requires = "token_jwks"
    )]
    pub reader_subject: Vec<String>,
}

impl AuthArgs {
    /// Whether what is given belongs together.
    ///
    /// # Errors
    /// What to do about it.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.tls_cert.is_some() && self.client_ca.is_none() && self.token_jwks.is_none() {
            return Err(
                "with --tls-cert alone nobody could report or read; add --client-ca, --token-jwks or both"
                    .to_owned(),
            );
        }
        if matches!(self.token_jwks, Some(JwksAt::File(_)))
            && (self.token_jwks_ca.is_some() || self.token_jwks_bearer.is_some())
        {
            return Err(
                "--token-jwks-ca and --token-jwks-bearer are for a URL, not for a file".to_owned(),
            );
        }
        for subject in self.agent_subject.iter().chain(&self.reader_subject) {
            let parts: Vec<_> = subject.split(':').collect();
            if !matches!(&*parts, ["system", "serviceaccount", space, name] if !space.is_empty() && !name.is_empty())
            {
                return Err(format!(
                    "'{subject}' is no service account: it is system:serviceaccount:NAMESPACE:NAME"
                ));
            }
        }
        if let Some(both) = self
            .reader_subject
            .iter()
            .find(|subject| self.agent_subject.contains(subject))
        {
            return Err(format!(
                "'{both}' cannot be both --agent-subject and --reader-subject: agents cannot read"
            ));
        }
        Ok(())
    }

    /// `None` where everybody may report and read.
    pub(super) fn options(&self) -> Option<Options> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        let tokens = self.token_jwks.clone().map(|at| Tokens {
            keys: match at {
                JwksAt::File(path) => Source::File(path),
                JwksAt::Url(url) => Source::Url {
                    url,
                    ca: self.token_jwks_ca.clone(),
                    token: self.token_jwks_bearer.clone(),
                },
            },
            audience: self.token_audience.clone().unwrap_or_default(),
            issuer: self.token_issuer.clone(),
            cluster: self.token_cluster.clone(),
            agents: self.agent_subject.clone(),
            readers: self.reader_subject.clone(),
        });
        Some(Options {
            certificate,
            key,
            client_ca: self.client_ca.clone(),
            tokens,
        })
    }
}

/// Where the keys of tokens are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksAt {
    /// In a file.
    File(PathBuf),
    /// At an https URL.
    Url(http::Uri),
}

impl FromStr for JwksAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None if text.is_empty() => Err("it is empty".to_owned()),
            None => Ok(Self::File(text.into())),
            Some(("https", _)) => {
                let url: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
                Ok(Self::Url(url))
            }
            Some(_) => Err("keys come from a file or an https URL".to_owned()),
        }
    }
}
