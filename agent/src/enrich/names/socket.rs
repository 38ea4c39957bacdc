//! Where the container runtime listens.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::str::FromStr;

/// Which socket to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    /// The first of the usual ones that answers.
    Find,
    /// This one.
    At(PathBuf),
    /// None: access to the runtime equals root, and may be unwanted.
    Off,
}

impl FromStr for Socket {
    type Err = Infallible;

    /// As it stands in options: `auto`, `off` or a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" | "auto" => Self::Find,
            "off" => Self::Off,
            path => Self::At(PathBuf::from(path.strip_prefix("unix://").unwrap_or(path))),
        })
    }
}

/// Where runtimes listen: containerd (EKS, GKE, AKS and most others), CRI-O (OpenShift), k3s and RKE2.
/// `/run` is the same as `/var/run` on the host, but a container may have been given only the one.
/// Bottlerocket's `/run/host-containerd` is not the pods'.
const USUAL: [&str; 5] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/run/containerd/containerd.sock",
    "/var/run/crio/crio.sock",
];

impl Socket {
    /// All paths to try, in this order.
    pub(crate) fn candidates(&self) -> Vec<PathBuf> {
        match self {
            Self::Find => USUAL.map(PathBuf::from).to_vec(),
            Self::At(path) => vec![path.clone()],
            Self::Off => Vec::new(),
        }
    }
}

/// Those that are sockets, each once: `/var/run` is a link to `/run` on most nodes, and one that hangs
/// is not to be waited for twice.
pub(crate) fn sockets(candidates: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    let is_new = |path: &&PathBuf| {
        let Ok(metadata) = fs::metadata(path) else {
            return false;
        };
        let file = (metadata.dev(), metadata.ino());
        let is_new = metadata.file_type().is_socket() && !seen.contains(&file);
        seen.push(file);
        is_new
    };
    candidates.iter().filter(is_new).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_words_or_a_path() {
        for (text, expected) in [
            ("auto", Socket::Find),
            ("", Socket::Find),
            ("off", Socket::Off),
            ("/run/x.sock", Socket::At(PathBuf::from("/run/x.sock"))),
            (
                "unix:///run/x.sock",
                Socket::At(PathBuf::from("/run/x.sock")),
            ),
        ] {
            assert_eq!(text.parse(), Ok(expected));
        }
        let usual = Socket::Find.candidates();
        assert!(
            !usual
                .iter()
                .any(|path| path.starts_with("/run/host-containerd"))
        );
    }

    #[test]
    fn sockets_are_tried_once() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [socket, link, file, missing] =
            ["socket", "link", "file", "missing"].map(|name| dir.path().join(name));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        std::os::unix::fs::symlink(&socket, &link).expect("a link");
        fs::write(&file, "").expect("a file");
        assert_eq!(sockets(&[missing, file, link.clone(), socket]), [link]);
    }
}
