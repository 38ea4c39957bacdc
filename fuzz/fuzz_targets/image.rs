//! An image that somebody made: whatever it holds, a scan ends with a report or an error.
#![no_main]

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use archtrace_facts::arch::Arch;
use archtrace_images::{Options, Platform, Progress, scan};
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = memfd_create(c"image", MFdFlags::MFD_CLOEXEC) else {
        return;
    };
    let mut file = std::fs::File::from(file);
    if file.write_all(bytes).is_err() {
        return;
    }
    let options = Options {
        arch: Arch::Arm64,
        platforms: vec![Platform::linux(Arch::Arm64)],
        threads: 1,
    };
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match scan(Path::new(&path), &options, &Progress::default()) {
        Ok(report) => assert!(report.parts.len() + report.missing.len() > 0),
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});
