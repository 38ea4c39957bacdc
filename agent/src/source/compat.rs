//! Whether programs of the CPU's 32-bit mode run here: found out by running one.
//!
//! No file says so reliably: the CPU may have no such mode (most Arm server cores since 2021), the
//! kernel may be built without it, or have it switched off at boot (`ia32_emulation=off`).

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::binfmt::Rule;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// `ENOEXEC` (`errno(3)`).
const ENOEXEC: i32 = 8;

/// Runs a program that ends at once, from memory. `None` if that cannot tell: there is no such mode,
/// or one of `rules` would have the program emulated.
pub(crate) fn try_out(node: Arch, rules: &[Rule]) -> Option<bool> {
    let program = program(node.compat()?)?;
    if rules.iter().any(|rule| rule.claims(&program)) {
        return None;
    }
    let fd = memfd_create(c"archtrace-32bit", MFdFlags::MFD_CLOEXEC).ok()?;
    let mut file = File::from(fd);
    file.write_all(&program).ok()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match Command::new(path).stdin(Stdio::null()).spawn() {
        Ok(child) => ended(child).map(|status| status.success()),
        Err(error) if error.raw_os_error() == Some(ENOEXEC) => Some(false),
        Err(error) => {
            tracing::debug!(%error, "whether 32-bit programs run could not be tried");
            None
        }
    }
}

/// How the program ended; `None` if it did not in time: whatever kept it must not keep the agent.
fn ended(mut child: Child) -> Option<ExitStatus> {
    for _ in 0..LOOKS {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(LOOK_INTERVAL);
    }
    tracing::warn!("a 32-bit program that should end at once did not");
    // Both fail only if it has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// How often, and for how long in all, the program is looked at: it needs a millisecond.
const LOOKS: u32 = 2000;
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// A static ELF file (elf(5)) that ends with status 0.
fn program(arch: Arch) -> Option<Vec<u8>> {
    /// Where such programs are linked to; lower addresses may be forbidden (`vm.mmap_min_addr`).
    const BASE: u32 = 0x0800_0000;
    const HEADERS: u32 = 52 + 32;
    let (flags, code): (u32, &[u8]) = match arch {
        // mov eax, 1 (exit); xor ebx, ebx; int 0x80
        Arch::I386 => (0, &[0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80]),
        // mov r0, #0; mov r7, #1 (exit); svc 0. EABI version 5.
        Arch::Arm => (
            0x0500_0000,
            &[0, 0, 0xa0, 0xe3, 1, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef],
        ),
        _ => return None,
    };
    let size = HEADERS + u32::try_from(code.len()).ok()?;
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    // e_type ET_EXEC and e_machine
    file.extend(2_u16.to_le_bytes());
    file.extend(arch.machine().to_le_bytes());
    // e_version, e_entry, e_phoff, e_shoff, e_flags
    for word in [1, BASE + HEADERS, 52, 0, flags] {
        file.extend(word.to_le_bytes());
    }
    // e_ehsize, e_phentsize, e_phnum, and no sections
    for half in [52_u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // PT_LOAD of the whole file, readable and executable, aligned to the largest page
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1_0000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_claims_the_program_leaves_it_open() {
        let magic: String = program(Arch::I386).expect("known")[..20]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let entry = format!("enabled\ninterpreter /qemu\nflags: \noffset 0\nmagic {magic}\n");
        let rule = Rule::parse(b"qemu-i386", entry.as_bytes()).expect("well formed");
        assert_eq!(try_out(Arch::Amd64, &[rule]), None);
        assert_eq!(try_out(Arch::S390x, &[]), None, "it has none");
    }

    #[test]
    fn what_this_machine_runs_is_told() {
        let told = try_out(Arch::of_this_build(), &[]);
        assert_eq!(told.is_some(), Arch::of_this_build().compat().is_some());
    }
}
