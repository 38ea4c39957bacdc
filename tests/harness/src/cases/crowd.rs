//! As many pods as a node takes, and what the agent needs to know them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Program, build};
use nix::unistd::Pid;

use super::Outcome;
use crate::cgroup::Cgroup;
use crate::launch::Launch;
use crate::wait::eventually;
use crate::world::{Extra, World};

/// What a kubelet of EKS takes on its largest nodes.
const PODS: u32 = 250;
/// Distinct programs in each.
const BINARIES: u32 = 40;
/// Resident memory of the agent, its own pages and those of its program file.
const MAX_RSS_KB: u64 = 24 * 1024;
/// Memory of its maps in the kernel.
const MAX_MAPS_KB: u64 = 4 * 1024;
/// A page takes memory while it is made: more than one, so that what stays is seen too.
const SCRAPES: usize = 3;
/// Native execs are counted every 20 s, and ten thousand facts take a few messages.
const LIMIT: Duration = Duration::from_secs(90);

/// Each of ten thousand binaries has a fact with the name of its pod, which the kubelet's directories of
/// logs tell, and the agent stays small, though Prometheus asks for what it knows of all of them.
pub(super) fn of_pods(world: &mut World) -> Result<Outcome> {
    // A free port; somebody could take it before the agent does, which then says so.
    let page = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    world.set_extra(Extra {
        agent: vec!["--metrics-listen".to_owned(), page.to_string()],
        ..Extra::default()
    });
    world.kill_agent()?;
    world.start_agent()?;
    world.set_extra(Extra::default());
    let program = build(world.native(), Program::Exit(0));
    let _parent = Cgroup::pods()?;
    for number in 1..=PODS {
        // Two layers of one image are the same file system in each container; here each has its own.
        let dir = world.dir().join(format!("crowd/{number}"));
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        for binary in 1..=BINARIES {
            let name = format!("crowd/{number}/{binary}");
            world.file(name, &program)?;
        }
        let cgroup = Cgroup::container(5000 + number)?;
        write_logs(&world.log_dir(), cgroup.name(), number)?;
        let launch = Launch {
            arguments: ["sh", "-c", "for file in \"$0\"/*; do \"$file\"; done"]
                .map(ToOwned::to_owned)
                .into_iter()
                .chain([dir.display().to_string()])
                .collect(),
            cgroup: Some(cgroup.dir().to_owned()),
            ..Launch::new(Path::new("/bin/sh"))
        };
        let status = launch.command()?.status()?;
        ensure!(
            status.success(),
            "the programs of pod {number} ended with {status}"
        );
    }
    let expected = u64::from(PODS * BINARIES);
    let ((), waited) = eventually(LIMIT, || {
        let facts = world
            .client()
            .facts(&["--namespace", "crowd", "--mode", "native"])?;
        let told: u64 = facts
            .iter()
            .filter(|fact| fact.binary.contains("/crowd/"))
            .map(|fact| fact.count)
            .sum();
        let named = |fact: &&crate::client::Fact| !fact.owner.pod.starts_with("pod-");
        let unnamed = facts.iter().filter(named).count();
        ensure!(
            told == expected && unnamed == 0,
            "{told} of {expected} execs are told in pods, {unnamed} facts without a name"
        );
        Ok(())
    })?;
    let pid = world.agent()?.pid();
    let before = resident(pid)?;
    let mut bytes = 0;
    for _ in 0..SCRAPES {
        let told = scrape(page)?;
        ensure!(
            told.contains("archtrace_agent_"),
            "it tells Prometheus: {told}"
        );
        bytes = told.len();
    }
    let (rss, maps) = (resident(pid)?, maps(pid)?);
    ensure!(
        rss <= MAX_RSS_KB && maps <= MAX_MAPS_KB,
        "the agent has {rss} kB of memory (at most {MAX_RSS_KB}; {before} before it told Prometheus; {} of its own) and {maps} kB in maps (at most {MAX_MAPS_KB})",
        own(pid)?
    );
    Ok(Outcome::Pass(format!(
        "{PODS} pods x {BINARIES} binaries: {rss} kB of memory, {maps} kB in maps, all told {:.1} s after the last; {before} kB before Prometheus got {bytes} bytes",
        waited.as_secs_f64()
    )))
}

/// What the agent tells Prometheus.
fn scrape(page: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(page).with_context(|| format!("connect to {page}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut told = Vec::new();
    stream.read_to_end(&mut told)?;
    let told = String::from_utf8(told).context("the page is no text")?;
    ensure!(
        told.starts_with("HTTP/1.1 200 "),
        "it answers {:?}",
        told.lines().next()
    );
    Ok(told)
}

/// What the kubelet leaves of a pod (`BuildPodLogsDirectory`, pkg/kubelet/kuberuntime/helpers.go), and of
/// its container (`logSymlink`, legacy.go).
fn write_logs(logs: &Path, cgroup: &str, number: u32) -> Result<()> {
    let parts: Vec<_> = cgroup.rsplit('/').take(2).collect();
    let [scope, slice] = parts[..] else {
        anyhow::bail!("{cgroup} is no container's")
    };
    let id = scope
        .trim_start_matches("cri-containerd-")
        .trim_end_matches(".scope");
    let (_, uid) = slice.rsplit_once("-pod").context("a pod's slice")?;
    let uid = uid.trim_end_matches(".slice").replace('_', "-");
    let pod = format!("pod-{number}");
    let dir = logs.join(format!("pods/crowd_{pod}_{uid}/main"));
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let containers: PathBuf = logs.join("containers");
    fs::create_dir_all(&containers)?;
    let link = containers.join(format!("{pod}_crowd_main-{id}.log"));
    std::os::unix::fs::symlink(dir.join("0.log"), &link)
        .with_context(|| format!("create {}", link.display()))
}

/// `VmRSS`, in kB.
fn resident(pid: Pid) -> Result<u64> {
    status(pid, "VmRSS:")
}

/// `RssAnon`, in kB: without the pages of files.
pub(super) fn own(pid: Pid) -> Result<u64> {
    status(pid, "RssAnon:")
}

fn status(pid: Pid, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    number_after(&status, field).with_context(|| format!("no {field} in {path}"))
}

/// What the kernel accounts for all of the process's maps (`bpf_map_show_fdinfo`,
/// kernel/bpf/syscall.c), in kB. Several descriptors may be of one map.
fn maps(pid: Pid) -> Result<u64> {
    let dir = format!("/proc/{pid}/fdinfo");
    let mut seen = std::collections::BTreeMap::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("read {dir}"))? {
        // One may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        if let (Some(id), Some(bytes)) = (
            number_after(&text, "map_id:"),
            number_after(&text, "memlock:"),
        ) {
            seen.insert(id, bytes);
        }
    }
    ensure!(!seen.is_empty(), "the agent has no maps");
    Ok(seen.into_values().sum::<u64>().div_ceil(1024))
}

fn number_after(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}
