//! The programs' own statistics.

use archtrace_ebpf::abi::stat;
use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray};

/// All statistics, summed over CPUs.
pub(crate) type Stats = [u64; stat::COUNT as usize];

/// Reads one statistic while the object still holds its map.
pub(crate) fn read_one(ebpf: &Ebpf, index: u32) -> Result<u64, String> {
    let map = ebpf.map("STATS").ok_or("the object has no map STATS")?;
    let map = PerCpuArray::try_from(map).map_err(|error| format!("map STATS: {error}"))?;
    sum(&map, index)
}

/// Reads all of them.
pub(crate) fn read_all(map: &PerCpuArray<MapData, u64>) -> Result<Stats, String> {
    let mut stats = Stats::default();
    for (value, index) in stats.iter_mut().zip(0..) {
        *value = sum(map, index)?;
    }
    Ok(stats)
}

fn sum<T: std::borrow::Borrow<MapData>>(
    map: &PerCpuArray<T, u64>,
    index: u32,
) -> Result<u64, String> {
    let values = map
        .get(&index, 0)
        .map_err(|error| format!("map STATS[{index}]: {error}"))?;
    Ok(values.iter().sum())
}
