//! What the agent itself uses.

use std::fs;
use std::path::Path;

use archtrace_sink::outbox::Usage;

/// Clock ticks of user space, which are the same on every architecture here.
const TICK_NS: u64 = 10_000_000;

/// Reads `self/stat` of procfs: some microseconds. `None` if it is not there.
pub(crate) fn read(proc: &Path, page_size: u32) -> Option<Usage> {
    let stat = fs::read_to_string(proc.join("self/stat")).ok()?;
    parse(&stat, page_size)
}

fn parse(stat: &str, page_size: u32) -> Option<Usage> {
    // The name before it may hold anything.
    let (_, stat) = stat.rsplit_once(')')?;
    let fields: Vec<_> = stat.split_ascii_whitespace().collect();
    // Numbered in proc(5) from 1, the state after the name being 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Usage {
        resident_bytes: field(24)?.checked_mul(page_size.into())?,
        cpu_ns: field(14)?.checked_add(field(15)?)?.checked_mul(TICK_NS)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194560 100 0 0 0 12 3 0 0 20 0 3 0 99 1000 256 18446744073709551615";
        let usage = Usage {
            resident_bytes: 256 * 4096,
            cpu_ns: 150_000_000,
        };
        assert_eq!(parse(stat, 4096), Some(usage));
        assert_eq!(parse("7 (a", 4096), None);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = read(Path::new("/proc"), 4096).expect("there");
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
    }
}
