//! Extensions in the words of the CPUs' makers, and in those of the kernel.

use crate::arch::Arch;

/// The kernel's words for an extension, of which a CPU that has it shows all.
pub(super) fn of(extension: &str, arch: Arch) -> Option<&'static [&'static str]> {
    let table = match arch {
        Arch::Amd64 | Arch::Amd64p32 | Arch::I386 => AMD64,
        Arch::Arm64 | Arch::Arm64be => ARM64,
        _ => return None,
    };
    table
        .iter()
        .find(|(maker, _)| *maker == extension)
        .map(|(_, kernel)| *kernel)
}

/// arch/x86/include/asm/cpufeatures.h, without those that `/proc/cpuinfo` does not show.
const AMD64: &[(&str, &[&str])] = &[
    ("ADX", &["adx"]),
    ("AES", &["aes"]),
    ("AVX", &["avx"]),
    ("AVX2", &["avx2"]),
    ("AVX_VNNI", &["avx_vnni"]),
    ("AVX512F", &["avx512f"]),
    ("AVX512BW", &["avx512bw"]),
    ("AVX512CD", &["avx512cd"]),
    ("AVX512DQ", &["avx512dq"]),
    ("AVX512ER", &["avx512er"]),
    ("AVX512PF", &["avx512pf"]),
    ("AVX512VL", &["avx512vl"]),
    ("AVX512_4FMAPS", &["avx512_4fmaps"]),
    ("AVX512_4VNNIW", &["avx512_4vnniw"]),
    ("AVX512_BF16", &["avx512_bf16"]),
    ("AVX512_BITALG", &["avx512_bitalg"]),
    ("AVX512_FP16", &["avx512_fp16"]),
    ("AVX512_IFMA", &["avx512ifma"]),
    ("AVX512_VBMI", &["avx512vbmi"]),
    ("AVX512_VBMI2", &["avx512_vbmi2"]),
    ("AVX512_VNNI", &["avx512_vnni"]),
    ("AVX512_VP2INTERSECT", &["avx512_vp2intersect"]),
    ("AVX512_VPOPCNTDQ", &["avx512_vpopcntdq"]),
    ("AMX-BF16", &["amx_bf16"]),
    ("AMX-INT8", &["amx_int8"]),
    ("AMX-TILE", &["amx_tile"]),
    ("BMI1", &["bmi1"]),
    ("BMI2", &["bmi2"]),
    ("CLDEMOTE", &["cldemote"]),
    ("CLFLUSHOPT", &["clflushopt"]),
    ("CLFSH", &["clflush"]),
    ("CLWB", &["clwb"]),
    ("CLZERO", &["clzero"]),
    ("CMOV", &["cmov"]),
    ("CMPXCHG16B", &["cx16"]),
    ("CX8", &["cx8"]),
    ("3DNOW", &["3dnow"]),
    ("3DNOWEXT", &["3dnowext"]),
    ("ENQCMD", &["enqcmd"]),
    ("F16C", &["f16c"]),
    ("FMA", &["fma"]),
    ("FMA4", &["fma4"]),
    ("FPU", &["fpu"]),
    ("FSGSBASE", &["fsgsbase"]),
    ("FXSR", &["fxsr"]),
    ("GFNI", &["gfni"]),
    ("LWP", &["lwp"]),
    ("LZCNT", &["abm"]),
    ("MMX", &["mmx"]),
    ("MONITORX", &["mwaitx"]),
    ("MOVBE", &["movbe"]),
    ("MOVDIR64B", &["movdir64b"]),
    ("MOVDIRI", &["movdiri"]),
    ("PCLMULQDQ", &["pclmulqdq"]),
    ("PKU", &["pku", "ospke"]),
    ("POPCNT", &["popcnt"]),
    ("PREFETCHW", &["3dnowprefetch"]),
    ("RDPID", &["rdpid"]),
    ("RDPRU", &["rdpru"]),
    ("RDRAND", &["rdrand"]),
    ("RDSEED", &["rdseed"]),
    ("RDTSCP", &["rdtscp"]),
    ("RTM", &["rtm"]),
    ("SERIALIZE", &["serialize"]),
    ("SHA", &["sha_ni"]),
    ("SSE", &["sse"]),
    ("SSE2", &["sse2"]),
    ("SSE3", &["pni"]),
    ("SSE4.1", &["sse4_1"]),
    ("SSE4.2", &["sse4_2"]),
    ("SSE4A", &["sse4a"]),
    ("SSSE3", &["ssse3"]),
    ("TBM", &["tbm"]),
    ("TSXLDTRK", &["tsxldtrk"]),
    ("VAES", &["vaes"]),
    ("VPCLMULQDQ", &["vpclmulqdq"]),
    ("WAITPKG", &["waitpkg"]),
    ("XOP", &["xop"]),
    ("XSAVE", &["xsave"]),
    ("XSAVEC", &["xsavec"]),
    ("XSAVEOPT", &["xsaveopt"]),
];

/// Documentation/arch/arm64/elf_hwcaps.rst; the words are those of arch/arm64/kernel/cpuinfo.c.
const ARM64: &[(&str, &[&str])] = &[
    ("AES", &["aes"]),
    ("BF16", &["bf16"]),
    ("CMPBR", &["cmpbr"]),
    ("CRC32", &["crc32"]),
    ("CSSC", &["cssc"]),
    ("DIT", &["dit"]),
    ("DPB", &["dcpop"]),
    ("DPB2", &["dcpodp"]),
    ("DotProd", &["asimddp"]),
    ("ECV", &["ecv"]),
    ("F32MM", &["svef32mm"]),
    ("F64MM", &["svef64mm"]),
    ("F8F16MM", &["f8mm4"]),
    ("F8F32MM", &["f8mm8"]),
    ("FAMINMAX", &["faminmax"]),
    ("FCMA", &["fcma"]),
    ("FHM", &["asimdfhm"]),
    ("FP16", &["fphp", "asimdhp"]),
    ("FP8", &["f8cvt"]),
    ("FP8DOT2", &["f8dp2"]),
    ("FP8DOT4", &["f8dp4"]),
    ("FP8FMA", &["f8fma"]),
    ("FPRCVT", &["fprcvt"]),
    ("FRINTTS", &["frint"]),
    ("FlagM", &["flagm"]),
    ("FlagM2", &["flagm2"]),
    ("GCS", &["gcs"]),
    ("HBC", &["hbc"]),
    ("I8MM", &["i8mm"]),
    ("JSCVT", &["jscvt"]),
    ("LSE", &["atomics"]),
    ("LSE128", &["lse128"]),
    ("LSFE", &["lsfe"]),
    ("LUT", &["lut"]),
    ("MOPS", &["mops"]),
    ("MTE", &["mte"]),
    ("PAC", &["paca", "pacg"]),
    ("PMULL", &["pmull"]),
    ("RCPC", &["lrcpc"]),
    ("RCPC2", &["ilrcpc"]),
    ("RCPC3", &["lrcpc3"]),
    ("RDM", &["asimdrdm"]),
    ("RNG", &["rng"]),
    ("SB", &["sb"]),
    ("SHA1", &["sha1"]),
    ("SHA256", &["sha2"]),
    ("SHA3", &["sha3"]),
    ("SHA512", &["sha512"]),
    ("SM3", &["sm3"]),
    ("SM4", &["sm4"]),
    ("SME", &["sme"]),
    ("SME2", &["sme2"]),
    ("SME2p1", &["sme2p1"]),
    ("SME_B16B16", &["smeb16b16"]),
    ("SME_F16F16", &["smef16f16"]),
    ("SME_F64F64", &["smef64f64"]),
    ("SME_F8F16", &["smef8f16"]),
    ("SME_F8F32", &["smef8f32"]),
    ("SME_I16I64", &["smei16i64"]),
    ("SME_TMOP", &["smestmop"]),
    ("SSBS", &["ssbs"]),
    ("SVE", &["sve"]),
    ("SVE2", &["sve2"]),
    ("SVE2p1", &["sve2p1"]),
    ("SVE_AES", &["sveaes"]),
    ("SVE_B16B16", &["sveb16b16"]),
    ("SVE_BF16", &["svebf16"]),
    ("SVE_BitPerm", &["svebitperm"]),
    ("SVE_I8MM", &["svei8mm"]),
    ("SVE_PMULL128", &["svepmull"]),
    ("SVE_SHA3", &["svesha3"]),
    ("SVE_SM4", &["svesm4"]),
    ("WFxT", &["wfxt"]),
];

/// Those that the kernel does not show, or not in all versions that an agent may meet.
#[cfg(test)]
const NOT_TELLABLE: &[&str] = &[
    "AMX-COMPLEX",
    "AMX-FP16",
    "AVX_IFMA",
    "AVX_NE_CONVERT",
    "AVX_VNNI_INT16",
    "AVX_VNNI_INT8",
    "CET_SS",
    "CMPCCXADD",
    "CPA",
    "F16F32DOT",
    "F16MM",
    "LOR",
    "LS64",
    "LSUI",
    "PAuth_LR",
    "PTWRITE",
    "RAO-INT",
    "SHA512",
    "SM3",
    "SM4",
    "SPECRES",
    "UINTR",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_extension_has_a_word_or_is_known_not_to() {
        for arch in [Arch::Amd64, Arch::Arm64] {
            for extension in crate::isa::extensions(arch) {
                let tellable = of(extension, arch).is_some();
                // Some have the same name on both, and a word on one of them.
                assert!(
                    tellable || NOT_TELLABLE.contains(&extension),
                    "{extension} of {arch}"
                );
            }
        }
    }

    #[test]
    fn each_word_is_one_of_an_extension_that_can_be_met() {
        for (table, arch) in [(AMD64, Arch::Amd64), (ARM64, Arch::Arm64)] {
            let met = crate::isa::extensions(arch);
            for (extension, _) in table {
                assert!(met.contains(extension), "{extension} of {arch}");
            }
        }
    }
}
