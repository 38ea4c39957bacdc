//! What there is to know about the node itself.

use std::fs;
use std::path::Path;

use archtrace_facts::arch::Arch;
use archtrace_facts::cpu::Cpu;
use archtrace_facts::node::NodeInfo;
use archtrace_facts::text::escape;

/// Reads it; `proc` is where procfs is mounted. What cannot be read stays empty.
pub(crate) fn read(proc: &Path, name: &str, runs_32bit: Option<bool>) -> NodeInfo {
    let line = |path: &str| {
        fs::read_to_string(proc.join(path))
            .map(|text| escape(text.trim().as_bytes()))
            .unwrap_or_default()
    };
    let page_size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten();
    let cpu = Cpu::parse(&fs::read_to_string(proc.join("cpuinfo")).unwrap_or_default());
    NodeInfo {
        name: name.to_owned(),
        uid: String::new(),
        arch: Arch::of_this_build(),
        kernel_release: line("sys/kernel/osrelease"),
        cpu_model: cpu.model,
        page_size: page_size.and_then(|size| size.try_into().ok()).unwrap_or(0),
        boot_id: line("sys/kernel/random/boot_id"),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        cpu_generation: cpu.generation,
        cpu_features: cpu.features,
        runs_32bit,
        lockdown: fs::read_to_string(LOCKDOWN)
            .map(|text| lockdown(&text))
            .unwrap_or_default(),
    }
}

/// `lockdown_read` (security/lockdown/lockdown.c): all levels, the current one in brackets.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

fn lockdown(text: &str) -> String {
    let level = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    escape(level.map_or("", |(level, _)| level).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_in_brackets_is_the_current_one() {
        for (text, level) in [
            ("none [integrity] confidentiality\n", "integrity"),
            ("[none] integrity confidentiality\n", "none"),
            ("", ""),
            ("[", ""),
        ] {
            assert_eq!(lockdown(text), level);
        }
    }

    #[test]
    fn this_node_is_read() {
        let node = read(Path::new("/proc"), "here", None);
        assert!(
            !node.kernel_release.is_empty() && !node.boot_id.is_empty() && node.page_size >= 4096
        );
    }
}
