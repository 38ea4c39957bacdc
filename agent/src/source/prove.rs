//! A failing exec of our own, to see whether a hook fires.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::Command;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// What trying out showed.
pub(crate) enum Proof {
    /// The hook saw the exec.
    Fired,
    /// It did not.
    Silent,
    /// The exec could not be made, or did not fail as it should.
    Impossible(String),
}

/// `ENOEXEC`, what the kernel returns for a file of an unknown format.
const ENOEXEC: i32 = 8;

/// Makes a failing exec and compares a statistic before and after. The file is an ELF header of a
/// machine that does not exist, in memory; the programs know the agent's children by their parent
/// and count them nowhere else.
pub(crate) fn try_out(read: impl Fn() -> Result<u64, String>) -> Proof {
    match failing_exec(read) {
        Ok(true) => Proof::Fired,
        Ok(false) => Proof::Silent,
        Err(reason) => Proof::Impossible(reason),
    }
}

fn failing_exec(read: impl Fn() -> Result<u64, String>) -> Result<bool, String> {
    let before = read()?;
    let fd = memfd_create(c"archtrace-proof", MFdFlags::MFD_CLOEXEC)
        .map_err(|error| format!("memfd_create: {error}"))?;
    let mut file = File::from(fd);
    file.write_all(&header())
        .map_err(|error| format!("writing a file in memory: {error}"))?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match Command::new(path).spawn() {
        Err(error) if error.raw_os_error() == Some(ENOEXEC) => Ok(read()? > before),
        Err(error) => Err(format!("an exec of a broken file failed with: {error}")),
        Ok(mut child) => {
            // Somebody emulates a machine that does not exist; reap whatever that started.
            let _ = child.wait();
            Err("an exec of a broken file succeeded".to_owned())
        }
    }
}

/// ELFCLASS64, ELFDATA2LSB, ET_EXEC, `e_machine` 0xffff.
fn header() -> [u8; 64] {
    let mut header = [0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16] = 2;
    header[18..20].copy_from_slice(&[0xff, 0xff]);
    header
}
