//! What runs where: a cluster that is made up, the same for the same seed.
//!
//! Nothing is kept: what a node's place holds follows from the seed, the node's number, the place's
//! number and how often its pod was replaced.

mod words;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Cause, FactKey, Mode, Via};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::node::{Handler, HookReport, NodeInfo, Preflight};

use crate::random::Random;
pub(crate) use words::{DAEMON_SETS, UNITS};
use words::{HELPERS, PROGRAMS, SERVICES, TEAMS};

/// A cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Two plans with the same seed are the same.
    pub seed: u64,
    /// Its name.
    pub cluster: String,
    /// What names of nodes start with.
    pub prefix: String,
    /// Facts of each node.
    pub facts: usize,
}

/// One systemd unit or container: a cgroup, and whose it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its path.
    pub cgroup: String,
    /// Nothing but what the path says, if it is a unit.
    pub owner: Option<Identity>,
    /// Nothing if it is a unit.
    pub image: Option<Image>,
}

/// Of a thousand facts of pods, these are emulated: one in a hundred of all.
const EMULATED: usize = 13;
/// And these failed.
const FAILED: usize = 3;

/// Binaries of each pod: what the image is there to run, and what its probe starts.
pub(crate) const FACTS_OF_POD: usize = 2;

impl Plan {
    /// Name of a node.
    #[must_use]
    pub fn node_name(&self, node: usize) -> String {
        format!("{}{node:05}", self.prefix)
    }

    /// Instruction set of a node: one in five is for Arm.
    #[must_use]
    pub fn arch(&self, node: usize) -> Arch {
        if node.is_multiple_of(5) {
            Arch::Arm64
        } else {
            Arch::Amd64
        }
    }

    /// What an agent says of its node.
    #[must_use]
    pub fn info(&self, node: usize) -> NodeInfo {
        let mut random = Random::new(self.seed, &[1, node as u64]);
        let arm = self.arch(node) == Arch::Arm64;
        let features: &[&str] = if arm {
            &[
                "fp", "asimd", "aes", "sha2", "crc32", "atomics", "sve", "bf16", "i8mm",
            ]
        } else {
            &[
                "sse4_2", "avx", "avx2", "bmi1", "bmi2", "fma", "avx512f", "avx512vl", "aes",
            ]
        };
        NodeInfo {
            name: self.node_name(node),
            uid: random.uuid(),
            arch: self.arch(node),
            kernel_release: "6.1.0-28-cloud".to_owned(),
            cpu_model: if arm {
                "Neoverse-V1"
            } else {
                "Intel(R) Xeon(R) Platinum 8488C"
            }
            .to_owned(),
            page_size: 4096,
            boot_id: random.uuid(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            cpu_generation: if arm { "Graviton3" } else { "" }.to_owned(),
            cpu_features: features.iter().map(|&word| word.to_owned()).collect(),
            runs_32bit: Some(true),
            lockdown: "none".to_owned(),
        }
    }

    /// What an agent says of its hooks.
    #[must_use]
    pub fn preflight(&self, node: usize) -> Preflight {
        let hook = |name: &str, mechanism: &str| HookReport {
            name: name.to_owned(),
            mechanism: mechanism.to_owned(),
            tier: 1,
            proven: true,
            reasons: Vec::new(),
        };
        let foreign = self.foreign(node);
        Preflight {
            hooks: vec![
                hook("header", "fentry"),
                hook("failure", "fexit"),
                hook("exec", "tp_btf"),
                hook("fork", "tp_btf"),
                hook("free", "tp_btf"),
                hook("signal", "tp_btf"),
            ],
            missing: Vec::new(),
            handlers: vec![Handler {
                name: format!("qemu-{foreign}"),
                enabled: true,
                interpreter: emulator(foreign).to_owned(),
                flags: "POCF".to_owned(),
                arch: Some(foreign),
                since: None,
            }],
            binfmt: "registered".to_owned(),
            uncovered: Vec::new(),
            names: "the container runtime answers".to_owned(),
        }
    }

    /// How many places a node has.
    #[must_use]
    pub fn places(&self) -> usize {
        let single = UNITS.len() + DAEMON_SETS.len();
        self.facts.min(single) + self.facts.saturating_sub(single).div_ceil(FACTS_OF_POD)
    }

    /// How many facts a place has.
    #[must_use]
    pub fn facts_of(&self, place: usize) -> usize {
        let single = UNITS.len() + DAEMON_SETS.len();
        let before = place.saturating_sub(single) * FACTS_OF_POD + place.min(single);
        let most = if place < single { 1 } else { FACTS_OF_POD };
        self.facts.saturating_sub(before).min(most)
    }

    /// Whether a place is a pod that may be replaced by another.
    #[must_use]
    pub fn is_pod(&self, place: usize) -> bool {
        place >= UNITS.len()
    }

    /// Whose a place is, after its pod was replaced `generation` times.
    #[must_use]
    pub fn place(&self, node: usize, place: usize, generation: u32) -> Place {
        let path = [2, node as u64, place as u64, generation.into()];
        let mut random = Random::new(self.seed, &path);
        if let Some((unit, _)) = UNITS.get(place) {
            return Place {
                cgroup: format!("/{unit}"),
                owner: None,
                image: None,
            };
        }
        let (namespace, name, kind) = match DAEMON_SETS.get(place - UNITS.len()) {
            Some(&(namespace, name, _)) => (namespace.to_owned(), name.to_owned(), "DaemonSet"),
            None => {
                let team = random.pick(&TEAMS);
                let name = format!("{team}-{}-{}", random.pick(&SERVICES), random.below(8));
                (team.to_owned(), name, "Deployment")
            }
        };
        let pod = if kind == "Deployment" {
            format!(
                "{name}-{}-{}",
                Random::new(self.seed, &[3, hash(&name)]).name(10),
                random.name(5)
            )
        } else {
            format!("{name}-{}", random.name(5))
        };
        let (pod_uid, container_id) = (random.uuid(), random.hex(64));
        let image = self.image(node, &namespace, &name);
        let slice = pod_uid.replace('-', "_");
        let owner = Identity {
            namespace,
            pod,
            container: name.clone(),
            pod_uid,
            container_id: container_id.clone(),
            image: image.names.first().cloned().unwrap_or_default(),
            image_id: image.id.clone(),
            image_arch: image.arch,
            workload: format!("{kind}/{name}"),
            labels: [
                ("app.kubernetes.io/name", name.clone()),
                ("app.kubernetes.io/managed-by", "Helm".to_owned()),
                ("pod-template-hash", random.name(10)),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
            ..Identity::default()
        };
        Place {
            cgroup: format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{container_id}.scope"
            ),
            owner: Some(owner),
            image: Some(image),
        }
    }

    /// A fact of a place, which is at `cgroup`.
    ///
    /// # Panics
    /// Never: all lists that are picked from have entries.
    #[must_use]
    pub fn key(
        &self,
        node: usize,
        place: usize,
        generation: u32,
        fact: usize,
        cgroup: &str,
    ) -> FactKey {
        let path = [4, node as u64, place as u64, generation.into(), fact as u64];
        let mut random = Random::new(self.seed, &path);
        let daemon = place
            .checked_sub(UNITS.len())
            .and_then(|index| DAEMON_SETS.get(index));
        let binary = match (UNITS.get(place), daemon) {
            (Some((_, binary)), _) => binary,
            (None, Some((.., binary))) => binary,
            (None, None) if fact == 0 => random.pick(&PROGRAMS),
            (None, None) => random.pick(&HELPERS),
        };
        let mode = match random.below(1000) {
            number if !self.is_pod(place) || number >= EMULATED + FAILED => Mode::Native,
            number if number >= EMULATED => Mode::Failed,
            _ => Mode::Emulated,
        };
        let emulated = mode == Mode::Emulated;
        let arch = if mode == Mode::Native {
            self.arch(node)
        } else {
            self.foreign(node)
        };
        FactKey {
            cgroup: cgroup.to_owned(),
            binary: binary.to_owned(),
            path_resolved: true,
            arch,
            mode,
            emulator: emulated.then(|| emulator(arch).to_owned()),
            via: emulated.then_some(Via::BinfmtMisc),
            cause: (mode == Mode::Failed).then_some(Cause::ForeignElf),
        }
    }

    fn image(&self, node: usize, namespace: &str, name: &str) -> Image {
        // One image for each workload and architecture.
        let arch = self.arch(node);
        let mut random = Random::new(self.seed, &[5, hash(name), u64::from(arch == Arch::Arm64)]);
        let version = format!(
            "{}.{}.{}",
            random.below(4),
            random.below(40),
            random.below(9)
        );
        Image {
            id: format!("sha256:{}", random.hex(64)),
            names: vec![format!("registry.example.com/{namespace}/{name}:{version}")],
            arch: Some(arch),
            os: "linux".to_owned(),
            variant: String::new(),
            audit: None,
        }
    }

    pub(crate) fn foreign(&self, node: usize) -> Arch {
        if self.arch(node) == Arch::Arm64 {
            Arch::Amd64
        } else {
            Arch::Arm64
        }
    }
}

fn emulator(arch: Arch) -> &'static str {
    if arch == Arch::Arm64 {
        "/usr/bin/qemu-aarch64-static"
    } else {
        "/usr/bin/qemu-x86_64-static"
    }
}

/// FNV-1a: names that are equal have equal numbers.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::identity::of_cgroup;

    fn plan(facts: usize) -> Plan {
        Plan {
            seed: 7,
            cluster: "c".to_owned(),
            prefix: "node-".to_owned(),
            facts,
        }
    }

    #[test]
    fn a_node_has_as_many_facts_as_were_asked_for() {
        for facts in [0, 1, 7, 8, 15, 16, 17, 30, 101] {
            let plan = plan(facts);
            let sum: usize = (0..plan.places()).map(|place| plan.facts_of(place)).sum();
            assert_eq!(sum, facts);
        }
    }

    #[test]
    fn paths_say_what_owners_say() {
        let plan = plan(30);
        for index in 0..plan.places() {
            let place = plan.place(3, index, 1);
            let told = of_cgroup(&place.cgroup);
            match place.owner {
                Some(owner) => {
                    assert_eq!(told.pod_uid, owner.pod_uid);
                    assert_eq!(told.container_id, owner.container_id);
                }
                None => assert!(!told.unit.is_empty(), "{}", place.cgroup),
            }
        }
    }

    #[test]
    fn one_fact_in_a_hundred_is_emulated() {
        let plan = plan(30);
        let mut modes = [0; 2];
        for node in 0..1000 {
            for place in 0..plan.places() {
                for fact in 0..plan.facts_of(place) {
                    let mode = plan.key(node, place, 0, fact, "/").mode;
                    modes[0] += usize::from(mode == Mode::Emulated);
                    modes[1] += usize::from(mode == Mode::Failed);
                }
            }
        }
        // 23 of 30 facts are of pods.
        assert!(
            (150..350).contains(&modes[0]) && (30..120).contains(&modes[1]),
            "{modes:?}"
        );
    }
}
