//! Which images there are, and what each holds beside its program.

/// An image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    /// What it is called.
    pub(super) name: &'static str,
    /// The package of its program.
    pub(super) package: &'static str,
    /// The file of its program, which has the image's name everywhere.
    pub(super) title: &'static str,
    /// Whose rights the program has, numerically: there is no /etc/passwd, and a pod's `runAsNonRoot`
    /// takes nothing else for proof.
    pub(super) user: u32,
    /// Directories that are there.
    pub(super) directories: &'static [Directory],
    /// Where it is started.
    pub(super) working_dir: &'static str,
    /// The most that a node has to pull of it, in bytes, for one architecture.
    pub(super) limit: Option<u64>,
    /// Whether eBPF programs are in its program.
    pub(super) has_ebpf: bool,
}

/// A directory that something is written to or mounted on. With a read-only root file system it has to be
/// there, or the container runtime makes it as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub(super) path: &'static str,
    pub(super) mode: u32,
    pub(super) user: u32,
}

/// As the images of others that hold one program have it (`nonroot` of distroless).
const NOBODY: u32 = 65_532;

/// For SQLite, which sorts what is large in files, and for tars that a scan reads from a pipe.
const TEMPORARY: Directory = Directory {
    path: "tmp",
    mode: 0o1777,
    user: 0,
};

const MIB: u64 = 1 << 20;

/// All of them. None has certificates of authorities: whoever is to be trusted is named by options (`--tls-ca`,
/// `sslrootcert`) or by SSL_CERT_FILE, and a list that is fixed in an image would be as old as that.
pub(super) const ALL: [Recipe; 3] = [
    Recipe {
        name: "archtrace-agent",
        package: "archtrace-agent",
        title: "archtrace agent",
        // The kernel gives the capabilities of a pod to nobody but root (capabilities(7), execve).
        user: 0,
        directories: &[
            Directory {
                path: "run/archtrace",
                mode: 0o755,
                user: 0,
            },
            Directory {
                path: "var/lib/archtrace",
                mode: 0o700,
                user: 0,
            },
        ],
        working_dir: "/",
        limit: Some(12 * MIB),
        has_ebpf: true,
    },
    Recipe {
        name: "archtrace-collector",
        package: "archtrace-collector",
        title: "archtrace collector",
        user: NOBODY,
        directories: &[
            TEMPORARY,
            Directory {
                path: "var/lib/archtrace",
                mode: 0o700,
                user: NOBODY,
            },
        ],
        // Where `--store sqlite:archtrace.db`, its default, is.
        working_dir: "/var/lib/archtrace",
        limit: None,
        has_ebpf: false,
    },
    Recipe {
        name: "archtrace",
        package: "archtrace-cli",
        title: "archtrace command line",
        user: NOBODY,
        directories: &[TEMPORARY],
        working_dir: "/",
        limit: None,
        // `archtrace doctor` looks at this machine as the agent does, with its library.
        has_ebpf: true,
    },
];

impl Recipe {
    /// Where its program is. In $PATH as container runtimes set it, so that `kubectl exec` finds it.
    pub(super) fn program(&self) -> String {
        format!("usr/bin/{}", self.name)
    }
}
