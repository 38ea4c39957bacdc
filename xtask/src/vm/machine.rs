//! The machines of the matrix.

use anyhow::Result;

use crate::kernel::{self, Kernel};

/// A kernel version that a node of EKS runs, or the oldest that is promised to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Version {
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
}

impl Version {
    fn as_str(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }
}

/// An architecture of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "amd64")]
    Amd64,
    #[value(name = "arm64")]
    Arm64,
}

impl Arch {
    /// This machine's, if it is one of these.
    pub(crate) fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Kubernetes' and Debian's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's name of the platform.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

/// A machine to boot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) version: Version,
    pub(crate) arch: Arch,
    /// The tier in which the agent has to run there, for each of header and failure hook.
    pub(crate) tier: u8,
    /// The CPU, as QEMU names it.
    pub(super) cpu: &'static str,
    /// What the kernel's command line has besides.
    pub(super) options: &'static str,
    /// Whether it is a node with systemd and containerd, on which the cases of pods run.
    pub(crate) pods: bool,
}

impl Machine {
    pub(super) fn new(version: Version, arch: Arch) -> Self {
        // fentry needs BPF trampolines, which arm64 has since 6.4 (6.0 without ftrace's direct
        // calls); kprobes are everywhere.
        let tier = match (arch, version) {
            (Arch::Amd64, _) | (Arch::Arm64, Version::V6_12) => 1,
            (Arch::Arm64, Version::V5_10 | Version::V6_1) => 2,
        };
        let cpu = match (arch, version) {
            // QEMU 7.2 now and then leaves garbage in the flags after CMPXCHG16B, on which a kernel
            // of 6.12 dies of a double fault; without the feature it takes a lock instead.
            (Arch::Amd64, _) => "max,-cx16",
            (Arch::Arm64, Version::V5_10) => "max,pauth-impdef=on",
            // That of Graviton 1, which has no LSE, and that of Graviton 2, which has no SVE: what
            // needs them dies.
            (Arch::Arm64, Version::V6_1) => "cortex-a72",
            (Arch::Arm64, Version::V6_12) => "neoverse-n1",
        };
        let options = match (arch, version) {
            // A kernel that runs no 32-bit programs (since 6.7 that can be chosen at boot).
            (Arch::Amd64, Version::V6_12) => "ia32_emulation=off",
            _ => "",
        };
        Self {
            version,
            arch,
            tier,
            cpu,
            options,
            pods: false,
        }
    }

    /// A node that runs pods. Debian's containerd comes with this kernel.
    pub(super) fn with_pods(arch: Arch) -> Self {
        Self {
            pods: true,
            ..Self::new(Version::V6_1, arch)
        }
    }

    /// Its kernel, fetched if it is not in the cache.
    ///
    /// # Errors
    /// See [`kernel::get`].
    pub(crate) fn kernel(self) -> Result<Kernel> {
        if self.pods {
            kernel::with_disk(self.version, self.arch)
        } else {
            kernel::get(self.version, self.arch)
        }
    }

    /// Such as `arm64 6.12`.
    pub(crate) fn name(self) -> String {
        let pods = if self.pods { " pods" } else { "" };
        format!("{}{pods}", self.column())
    }

    /// The column of the checklist in which it is told what it showed.
    pub(crate) fn column(self) -> String {
        format!("{} {}", self.arch.as_str(), self.version.as_str())
    }
}

/// The machines on which every case has to pass.
pub(crate) fn matrix() -> Vec<Machine> {
    use Version::{V5_10, V6_1, V6_12};
    let plain = [
        (V6_1, Arch::Amd64),
        (V6_1, Arch::Arm64),
        (V5_10, Arch::Amd64),
        (V6_12, Arch::Arm64),
        (V6_12, Arch::Amd64),
    ]
    .map(|(version, arch)| Machine::new(version, arch));
    let pods = [Arch::Amd64, Arch::Arm64].map(Machine::with_pods);
    [&plain[..], &pods].concat()
}
