//! An archive that somebody put into an image: where its directory is, and what is in it.
#![no_main]

use archtrace_audit::{Options, archive};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Inventory, Surroundings};
use archtrace_facts::zip::{self, End, Next};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let len = bytes.len() as u64;
    match zip::end(bytes, len) {
        Some(End::Directory(directory)) => {
            assert!(directory.start + directory.len <= len, "beyond the file");
        }
        Some(End::Zip64(places)) => {
            for at in places {
                let _ = zip::end64(bytes, at);
            }
        }
        None => {}
    }
    if let Next::Entry(entry, used) = zip::next(bytes) {
        assert!(entry.name.len() < used && used <= bytes.len());
    }
    let _ = zip::data_offset(bytes);
    let mut limits = Options::guest(Arch::Arm64).limits;
    limits.archive.memory = 64 * 1024;
    limits.archive.inflated = 256 * 1024;
    let mut inventory = Inventory::new(Arch::Arm64, limits.room);
    let read = archive(&mut inventory, b"/a.jar", &bytes, &limits.archive);
    // Of each library a few kilobytes, and what is inflated.
    assert!(read <= 2 << 20, "{read} bytes of {len} were read");
    let _ = inventory.finish(&Surroundings::default());
});
