//! Certificates for trying out: a CA, and one for the server, each node and one reader.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::{AGENTS, READERS};

/// How long they hold: nobody should keep them.
const DAYS: u64 = 30;

/// For whom.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Directory to write them to; made if it is not there.
    pub out: PathBuf,
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// Their cluster, if certificates are to say it.
    pub cluster: Option<String>,
    /// Names and addresses that the server is reached by, besides `localhost`.
    pub servers: Vec<String>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum DevCertsError {
    /// A name that no file and no certificate can have.
    #[error("'{0}' is no name; letters, digits, dots and dashes make one")]
    Name(String),
    /// A file cannot be written. One that is there already is never overwritten.
    #[error("cannot write {path}: {reason}; choose another directory with --out DIR", path = .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// Makes them, and returns what to do with them.
///
/// # Errors
/// If a name is none, or a file cannot be written.
pub fn make(wanted: &Wanted) -> Result<String, DevCertsError> {
    let Wanted {
        out,
        nodes,
        cluster,
        servers,
    } = wanted;
    for name in nodes.iter().chain(servers).chain(cluster) {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
            return Err(DevCertsError::Name(name.clone()));
        }
    }
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(out);
    made.map_err(|reason| not_written(out, reason))?;
    let key = KeyPair::generate()?;
    let mut ca = params("archtrace development CA", None, &[])?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = ca.self_signed(&key)?;
    // Its key is not kept: whoever has it could be any node.
    let issuer = Issuer::new(ca, key);
    write(out, "ca.crt", &certificate.pem(), 0o644)?;

    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let names = [&local[..], servers].concat();
    let server = params("archtrace-collector", None, &names)?;
    issue(
        out,
        "server",
        server,
        &issuer,
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    for node in nodes {
        let mut node_of = params(node, Some(AGENTS), &[])?;
        if let Some(cluster) = cluster {
            let names = &mut node_of.distinguished_name;
            names.push(DnType::OrganizationalUnitName, cluster);
        }
        let name = format!("node-{}", node.replace(':', "_"));
        issue(
            out,
            &name,
            node_of,
            &issuer,
            ExtendedKeyUsagePurpose::ClientAuth,
        )?;
    }
    let reader = params("reader", Some(READERS), &[])?;
    issue(
        out,
        "reader",
        reader,
        &issuer,
        ExtendedKeyUsagePurpose::ClientAuth,
    )?;
    Ok(usage(out, nodes, cluster.as_deref()))
}

fn usage(out: &Path, nodes: &[String], cluster: Option<&str>) -> String {
    let dir = out.display();
    let cluster = cluster.map_or_else(String::new, |cluster| format!(" --cluster {cluster}"));
    let agents: String = nodes
        .iter()
        .map(|node| {
            format!(
                "\nOn node {node}:\n  archtrace-agent --collector https://HOST:50061 --tls-ca {dir}/ca.crt \
                 --tls-cert {dir}/node-{node}.crt --tls-key {dir}/node-{node}.key{cluster}\n"
            )
        })
        .collect();
    format!(
        "Certificates for trying out are in {dir}. They hold for {DAYS} days, and the CA's key was not kept: \
         for more of them, make a new set.\n\n\
         Collector:\n  archtrace-collector --listen 0.0.0.0:50061 --tls-cert {dir}/server.crt \
         --tls-key {dir}/server.key --client-ca {dir}/ca.crt\n{agents}\n\
         Reading:\n  archtrace --server https://HOST:50061 --tls-ca {dir}/ca.crt \
         --tls-cert {dir}/reader.crt --tls-key {dir}/reader.key nodes\n"
    )
}

fn params(
    common: &str,
    organisation: Option<&str>,
    names: &[String],
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    if let Some(organisation) = organisation {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
    }
    // Clocks of nodes differ.
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(3600)).into();
    params.not_after = (now + Duration::from_secs(DAYS * 24 * 3600)).into();
    Ok(params)
}

fn issue(
    out: &Path,
    name: &str,
    mut params: CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
    usage: ExtendedKeyUsagePurpose,
) -> Result<(), DevCertsError> {
    let key = KeyPair::generate()?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let certificate = params.signed_by(&key, issuer)?;
    write(out, &format!("{name}.crt"), &certificate.pem(), 0o644)?;
    write(out, &format!("{name}.key"), &key.serialize_pem(), 0o600)
}

fn write(out: &Path, name: &str, text: &str, mode: u32) -> Result<(), DevCertsError> {
    let path = out.join(name);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|reason| not_written(&path, reason))
}

fn not_written(path: &Path, reason: io::Error) -> DevCertsError {
    DevCertsError::Write {
        path: path.to_owned(),
        reason,
    }
}
