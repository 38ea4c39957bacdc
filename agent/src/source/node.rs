//! What there is to know about the node itself.

use std::fs;
use std::path::Path;

use archtrace_facts::arch::Arch;
use archtrace_facts::node::NodeInfo;
use archtrace_facts::text::escape;

/// Reads it; `proc` is where procfs is mounted. What cannot be read stays empty.
pub(crate) fn read(proc: &Path, name: &str) -> NodeInfo {
    let line = |path: &str| {
        fs::read_to_string(proc.join(path))
            .map(|text| escape(text.trim().as_bytes()))
            .unwrap_or_default()
    };
    let page_size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten();
    NodeInfo {
        name: name.to_owned(),
        uid: String::new(),
        arch: Arch::of_this_build(),
        kernel_release: line("sys/kernel/osrelease"),
        cpu_model: fs::read_to_string(proc.join("cpuinfo"))
            .map(|info| cpu_model(&info))
            .unwrap_or_default(),
        page_size: page_size.and_then(|size| size.try_into().ok()).unwrap_or(0),
        boot_id: line("sys/kernel/random/boot_id"),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// On amd64 the kernel prints a model's name, on arm64 the fields of MIDR_EL1 (arch/*/kernel/cpu*).
fn cpu_model(info: &str) -> String {
    let field = |name: &str| {
        info.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let model = match (
        field("model name"),
        field("CPU implementer"),
        field("CPU part"),
    ) {
        (Some(name), _, _) => name.to_owned(),
        (None, Some(implementer), Some(part)) => format!("implementer {implementer} part {part}"),
        _ => String::new(),
    };
    escape(model.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_name_their_cpu() {
        for (info, model) in [
            (
                "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n",
                "Some CPU @ 3 GHz",
            ),
            (
                "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n",
                "implementer 0x41 part 0xd0c",
            ),
            ("", ""),
        ] {
            assert_eq!(cpu_model(info), model);
        }
    }

    #[test]
    fn this_node_is_read() {
        let node = read(Path::new("/proc"), "here");
        assert!(
            !node.kernel_release.is_empty() && !node.boot_id.is_empty() && node.page_size >= 4096
        );
    }
}
