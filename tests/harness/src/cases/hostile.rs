//! Input that somebody chose in order to confuse.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;
use archtrace_guests::{Program, broken};

use super::kinds::{SOON, refused};
use crate::binfmt::Handler;
use crate::world::{World, run};

/// Names that would reach a terminal, break a line, or are no text.
pub(super) fn names(world: &mut World) -> Result<String> {
    let rows: [(&[u8], &str); 4] = [
        (b"escape-\x1b[31mred", r"escape-\x1b[31mred"),
        (b"new\nline", r"new\x0aline"),
        (b"not-\xff\xfe-text", r"not-\xff\xfe-text"),
        (br"back\slash", r"back\x5cslash"),
    ];
    for (name, shown) in rows {
        let program = world.program(OsStr::from_bytes(name), world.foreign(), Program::Exit(0))?;
        run(&program, 2)?;
        world.counted(
            &format!("{}/{shown}", world.dir().display()),
            "emulated",
            2,
            SOON,
        )?;
    }
    Ok(String::new())
}

/// Files that are cut off, or no programs at all.
pub(super) fn files(world: &mut World) -> Result<String> {
    let native = world.native();
    let rows = [
        ("empty", Vec::new(), "unknown"),
        ("text", b"no interpreter line".to_vec(), "unknown"),
        // All that is read of it is there; the machine's own, since nothing but its length is wrong.
        ("cut-at-20", broken(native.ident(), 20), native.as_str()),
        ("cut-at-10", broken(native.ident(), 10), "unknown"),
    ];
    for (name, content, arch) in rows {
        let file = world.file(name, &content)?;
        refused(world, &file.display().to_string(), 1, arch, "other")?;
    }
    Ok(String::new())
}

/// Handlers that are no emulators, whose names and interpreters are strange.
pub(super) fn registry(world: &mut World) -> Result<String> {
    let rules = [
        ("archtrace-test-ext", ":E::strange::/bin/no\\x20such:"),
        ("archtrace-test-magic", ":M:0:MZ::/nowhere:"),
        (
            "archtrace-test-late",
            ":M:100:\\x00\\xff\\x00::/nowhere:POC",
        ),
        (
            "archtrace-test-\u{1b}[31m",
            ":M::\\x7fELF\\x01\\x02::/bin/\u{1b}[31m:",
        ),
        (
            "archtrace-test-be",
            ":M::\\x7fELF\\x02\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x12\\x34::/big:",
        ),
    ];
    let handlers = rules
        .iter()
        .map(|(name, rule)| Handler::register(name, rule))
        .collect::<Result<Vec<_>>>()?;
    let program = world.program("beside-garbage", world.foreign(), Program::Exit(0))?;
    run(&program, 3)?;
    world.counted(&program.display().to_string(), "emulated", 3, SOON)?;
    Ok(format!("{} handlers", handlers.len()))
}
