//! What runs on the node, and what people have written down: a policy, a list of nodes, prices.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::zip::{Member, zip};
use archtrace_guests::{Isa, Program, build};

use crate::binfmt::REGISTRY;
use crate::cases::failures::{ENOEXEC, attempt};
use crate::pods::{Container, Controller, Image, Kubelet, Pod, Template};
use crate::world::{NODE, World};

/// What kind of machine the node is said to be.
pub(super) const MACHINE: &str = "m7g.large";

/// A node that should report and never does.
pub(super) const SILENT: &str = "ip-10-7-0-9";

/// How often agents shall report. After three of these a node is stale; an emulated CPU needs as much.
const HEARTBEAT: &str = "5s";

/// Where the vendor's library is in week one, in a jar of the service's.
pub(super) const HSM_JAR: &str = "/app/payments.jar!/BOOT-INF/lib/hsm-client-4.2.jar";

/// A container, with its pod.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) pod: Pod,
    pub(super) image: Image,
    pub(super) id: String,
}

/// The node's pods, and files.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) native: Isa,
    pub(super) foreign: Isa,
    /// What policy mandates: `DaemonSet/falcon-sensor`.
    pub(super) edr: Placed,
    /// What policy mandates too, and what does not start: `DaemonSet/observer`.
    pub(super) observer: Placed,
    /// A job with an image for one platform: `Deployment/ledger`.
    pub(super) ledger: Placed,
    /// The service: `Deployment/payments-api`.
    pub(super) canary: Placed,
    /// Next to it.
    pub(super) sidecar: Placed,
    dir: PathBuf,
}

/// Who answers for what is not as it has to be, if somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiver {
    None,
    Expired,
    Holds,
}

/// What policy says of the two agents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// The certified version of the EDR.
    pub(super) certified: &'static str,
    pub(super) edr: Waiver,
    pub(super) observer: Waiver,
}

/// What security has signed off in week one.
pub(super) const MANDATED: Policy = Policy {
    certified: "7.16.*",
    edr: Waiver::None,
    observer: Waiver::None,
};

impl Fleet {
    /// Writes the files, starts the collector with them, and the pods.
    pub(super) fn week_one(world: &mut World) -> Result<Self> {
        let dir = world.dir().join("story");
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let (native, foreign) = (world.native(), world.foreign());
        write_policy(&dir, native, MANDATED)?;
        write_nodes(&dir, &[])?;
        let file = |name: &str| dir.join(name).display().to_string();
        let arguments = [
            ("--policy", file("policy.yaml")),
            ("--nodes-file", file("nodes")),
            ("--heartbeat-interval", HEARTBEAT.to_owned()),
        ];
        let arguments = arguments.map(|(option, value)| [option.to_owned(), value]);
        check_policy(world, &dir)?;
        world.set_collector(&arguments.concat())?;

        // Nobody registered an emulator yet.
        world.handler().disable()?;
        let observer = runs_no_foreign(world).and_then(|()| observer(world.kubelet()?, foreign));
        world.handler().enable()?;
        let kubelet = world.kubelet()?;
        let canary = run(
            kubelet,
            kubelet.pod_of(&CANARY)?,
            "payments-api",
            service(native, &[foreign], "1"),
        )?;
        let sidecar = run(
            kubelet,
            canary.pod.clone(),
            "envoy",
            envoy(native, foreign, "1.30"),
        )?;
        Ok(Self {
            native,
            foreign,
            edr: run(
                kubelet,
                kubelet.pod_of(&SENSOR)?,
                "falcon-sensor",
                sensor(foreign, "7.16.3"),
            )?,
            observer: observer?,
            ledger: run(
                kubelet,
                kubelet.pod_of(&LEDGER)?,
                "ledger",
                Image::of_program("ledger", foreign.as_str(), "/bin/ledger", pause(foreign)),
            )?,
            canary,
            sidecar,
            dir,
        })
    }

    /// All is mended, but for the agent that does not start: its vendor needs longer, and has a waiver.
    pub(super) fn week_two(&mut self, world: &World) -> Result<()> {
        let (native, foreign) = (self.native, self.foreign);
        let kubelet = world.kubelet()?;
        for pod in [&self.edr.pod, &self.canary.pod, &self.ledger.pod] {
            kubelet.remove(pod)?;
        }
        self.policy(Policy {
            observer: Waiver::Holds,
            ..MANDATED
        })?;
        self.canary = run(
            kubelet,
            kubelet.pod_of(&CANARY)?,
            "payments-api",
            service(native, &[foreign, native], "2"),
        )?;
        self.sidecar = run(
            kubelet,
            self.canary.pod.clone(),
            "envoy",
            envoy(native, native, "1.31"),
        )?;
        // What the vendor has for this architecture is two versions ahead of what is certified.
        self.edr = run(
            kubelet,
            kubelet.pod_of(&SENSOR)?,
            "falcon-sensor",
            sensor(native, "7.18.2"),
        )?;
        Ok(())
    }

    /// Removes what still runs.
    pub(super) fn end(self, world: &World) -> Result<()> {
        let kubelet = world.kubelet()?;
        for pod in [&self.edr.pod, &self.canary.pod, &self.observer.pod] {
            kubelet.remove(pod)?;
        }
        Ok(())
    }

    /// Writes the policy anew; the collector finds that it changed.
    pub(super) fn policy(&self, policy: Policy) -> Result<()> {
        write_policy(&self.dir, self.native, policy)
    }

    /// Writes the list of nodes anew, with `others` that should report.
    pub(super) fn nodes(&self, others: &[&str]) -> Result<()> {
        write_nodes(&self.dir, others)
    }

    /// A file of the story's.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> Result<String> {
        let path = self.dir.join(name);
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

const SENSOR: Template<'_> = Template {
    controller: Controller::DaemonSet,
    namespace: "falcon-system",
    name: "falcon-sensor",
    labels: &[("app", "falcon-sensor")],
};

const OBSERVER: Template<'_> = Template {
    controller: Controller::DaemonSet,
    namespace: "monitoring",
    name: "observer",
    labels: &[("app", "observer")],
};

const LEDGER: Template<'_> = Template {
    controller: Controller::Deployment,
    namespace: "paykit",
    name: "ledger",
    labels: &[("app", "ledger")],
};

const CANARY: Template<'_> = Template {
    controller: Controller::Deployment,
    namespace: "paykit",
    name: "payments-api",
    labels: &[("app", "payments-api"), ("track", "canary")],
};

fn pause(isa: Isa) -> Vec<u8> {
    build(isa, Program::Pause)
}

fn sensor(isa: Isa, tag: &str) -> Image {
    let path = "/opt/falcon/sensor";
    Image::of_program("falcon-sensor", isa.as_str(), path, pause(isa)).tagged(tag)
}

/// A proxy of `isa`, in an image that claims to be for `native`. One that is emulated keeps its CPU busy.
fn envoy(native: Isa, isa: Isa, tag: &str) -> Image {
    let program = if isa == native {
        Program::Pause
    } else {
        Program::Burn
    };
    let path = "/usr/local/bin/envoy";
    Image::of_program("envoy", native.as_str(), path, build(isa, program)).tagged(tag)
}

/// A service whose jar has a jar of its HSM's vendor, with a library for each of `isas`.
fn service(native: Isa, isas: &[Isa], tag: &str) -> Image {
    let libraries = isas.iter().map(|isa| {
        let mut library = build(*isa, Program::Exit(0));
        // ET_DYN
        library[16] = 3;
        Member::deflated(&library_path(*isa), &library)
    });
    let client = zip(&libraries.collect::<Vec<_>>());
    let jar = zip(&[
        Member::deflated("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n"),
        Member::stored("BOOT-INF/lib/hsm-client-4.2.jar", &client),
    ]);
    Image::of_program("payments-api", native.as_str(), "/bin/java", pause(native))
        .with("/app/payments.jar", jar)
        .tagged(tag)
}

/// Where the vendor has the library for `isa` in its jar.
pub(super) fn library_path(isa: Isa) -> String {
    let machine = match isa {
        Isa::Amd64 => "x86_64",
        Isa::Arm64 => "aarch64",
        Isa::I386 => "i386",
        Isa::Arm => "arm",
    };
    format!("META-INF/native/linux-{machine}/libhsm.so")
}

fn run(kubelet: &Kubelet, pod: Pod, container: &str, image: Image) -> Result<Placed> {
    kubelet.import(&image)?;
    let id = kubelet.run(&pod, &Container::new(container, &image.name))?;
    Ok(Placed { pod, image, id })
}

/// Whether this machine refuses programs of the other architecture now: a handler of somebody else's would
/// run what the story expects to fail.
fn runs_no_foreign(world: &World) -> Result<()> {
    let program = world.program("refused", world.foreign(), Program::Exit(0))?;
    let errno = attempt(&program.display().to_string(), false)
        .with_context(|| format!("somebody else's handler is in the way; look into {REGISTRY}"))?;
    ensure!(errno == Some(ENOEXEC), "execve returned {errno:?}");
    Ok(())
}

/// An agent whose image is for the other architecture, on a node that cannot emulate it.
fn observer(kubelet: &Kubelet, foreign: Isa) -> Result<Placed> {
    let image = Image::of_program(
        "observer",
        foreign.as_str(),
        "/bin/observer",
        pause(foreign),
    );
    kubelet.import(&image)?;
    let pod = kubelet.pod_of(&OBSERVER)?;
    let id = kubelet.create(&pod, &Container::new("observer", &image.name))?;
    kubelet.refused(&pod, &id).context("the observer")?;
    Ok(Placed { pod, image, id })
}

/// The program itself says whether a policy is one.
fn check_policy(world: &World, dir: &Path) -> Result<()> {
    let bad = dir.join("bad.yaml");
    fs::write(&bad, "agents:\n- name: edr\n  match: {}\n")?;
    for (file, code) in [(dir.join("policy.yaml"), 0), (bad, 7)] {
        let mut command = Command::new(world.program_file("archtrace-collector"));
        let output = command.arg("check-policy").arg(&file).output()?;
        ensure!(
            output.status.code() == Some(code),
            "check-policy {} ended with {}, not {code}: {}",
            file.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn write_policy(dir: &Path, native: Isa, policy: Policy) -> Result<()> {
    let Policy {
        certified,
        edr,
        observer,
    } = policy;
    let waiver = |waiver, status| {
        let expires = match waiver {
            Waiver::None => return String::new(),
            Waiver::Expired => "2001-01-31",
            Waiver::Holds => "2200-01-31",
        };
        format!(
            "  waivers:\n  - owner: jane@paykit.example\n    reason: the vendor was asked\n    \
             expires: {expires}\n    statuses: [{status}]\n"
        )
    };
    let policy = format!(
        "agents:\n\
         - name: edr\n  match: {{namespace: falcon-system, labels: {{app: falcon-sensor}}}}\n  \
         nodes: {{archs: [{native}]}}\n  certified: {{{native}: ['{certified}']}}\n{}\
         - name: observer\n  match: {{workload: DaemonSet/observer}}\n{}",
        waiver(edr, "EMULATED"),
        // Without the header hook it is missing first: its pod may still be starting.
        waiver(observer, "FAILING, MISSING"),
        native = native.as_str(),
    );
    write(&dir.join("policy.yaml"), &policy)
}

fn write_nodes(dir: &Path, others: &[&str]) -> Result<()> {
    let others: String = others.iter().map(|node| format!("{node}\n")).collect();
    write(
        &dir.join("nodes"),
        &format!("{NODE} type={MACHINE}\n{others}"),
    )
}

/// Replaces the file, so that nobody reads a part of it; with another time, by which it is known to be another.
fn write(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text).with_context(|| format!("write {}", new.display()))?;
    sleep(Duration::from_millis(20));
    fs::rename(&new, path).with_context(|| format!("write {}", path.display()))
}
