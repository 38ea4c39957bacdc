//! Who is asked, and how.

use std::path::PathBuf;
use std::time::Duration;

/// Options that all commands have which ask somebody.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The collector to ask; https:// for one that has a certificate [default: http://127.0.0.1:50061, and
    /// that of the cluster for kubectl archtrace]
    #[arg(
        long,
        global = true,
        env = "ARCHTRACE_SERVER",
        value_name = "URL",
        value_parser = server
    )]
    pub(crate) server: Option<String>,
    /// Ask the agent of this node instead, by its socket, which needs no collector. Agents have it at
    /// /run/archtrace/agent.sock
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// How long an answer, or each page of a long one, may take, in seconds
    #[arg(
        long,
        global = true,
        env = "ARCHTRACE_TIMEOUT",
        value_name = "SECONDS",
        default_value = "30",
        value_parser = timeout
    )]
    pub(crate) timeout: Duration,
    /// Who signed the collector's certificate: a file of PEM certificates [default: whom this machine
    /// trusts]
    #[arg(long, global = true, env = "ARCHTRACE_TLS_CA", value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Your certificate (PEM), where the collector knows readers by theirs
    #[arg(long, global = true, env = "ARCHTRACE_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of your certificate (PEM)
    #[arg(long, global = true, env = "ARCHTRACE_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The name that the collector's certificate is for [default: the host in the URL]
    #[arg(
        long,
        global = true,
        env = "ARCHTRACE_TLS_SERVER_NAME",
        value_name = "NAME"
    )]
    pub(crate) tls_server_name: Option<String>,
    /// A file with the token of a reader, such as a Kubernetes service account's
    #[arg(long, global = true, env = "ARCHTRACE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

impl Connection {
    /// The collector to ask.
    pub(crate) fn server(&self) -> &str {
        self.server.as_deref().unwrap_or("http://127.0.0.1:50061")
    }

    /// An option that is there, if one is, by which people show who they are or have the collector show it.
    pub(crate) fn secures(&self) -> Option<&'static str> {
        let options = [
            (self.token_file.is_some(), "--token-file"),
            (self.tls_ca.is_some(), "--tls-ca"),
            (self.tls_cert.is_some(), "--tls-cert"),
            (self.tls_key.is_some(), "--tls-key"),
            (self.tls_server_name.is_some(), "--tls-server-name"),
        ];
        options
            .into_iter()
            .find_map(|(is, name)| is.then_some(name))
    }
}

fn server(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() => Ok(text.to_owned()),
        None if !text.is_empty() => Ok(format!("http://{text}")),
        _ => Err("a URL looks like http://127.0.0.1:50061 or https://collector:50061".to_owned()),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        // Longer than a day is no deadline, and gRPC has eight digits for it.
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("it is a number of seconds from 0.001 to 86400".to_owned()),
    }
}
