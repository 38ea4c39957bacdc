//! amd64 and 386, decoded by `iced-x86`.

use iced_x86::{CpuidFeature, Decoder, DecoderOptions};

use super::Decoded;

/// Decodes one instruction of 64-bit or 32-bit code.
pub(super) fn decode(bits: u32, bytes: &[u8]) -> Option<Decoded> {
    let instruction = Decoder::new(bits, bytes, DecoderOptions::NONE).decode();
    if instruction.is_invalid() {
        return None;
    }
    Some(Decoded {
        mnemonic: Some(format!("{:?}", instruction.mnemonic()).to_ascii_lowercase()),
        extensions: instruction
            .cpuid_features()
            .iter()
            .filter_map(|feature| word(*feature))
            .collect(),
    })
}

/// Defines [`word`]: iced's names are Intel's and AMD's, with underscores for points.
macro_rules! extensions {
    ($($feature:ident $($word:literal)?),+ $(,)?) => {
        /// The maker's word; `None` for what is no extension (the first CPUs' instructions) or only
        /// of use to a kernel.
        fn word(feature: CpuidFeature) -> Option<&'static str> {
            match feature {
                $(CpuidFeature::$feature => Some(extensions!(@ $feature $($word)?)),)+
                _ => None,
            }
        }
    };
    (@ $feature:ident $word:literal) => { $word };
    (@ $feature:ident) => { stringify!($feature) };
}

extensions! {
    ADX, AES, AVX, AVX2, AVX_IFMA, AVX_NE_CONVERT, AVX_VNNI, AVX_VNNI_INT16, AVX_VNNI_INT8,
    AVX512F, AVX512BW, AVX512CD, AVX512DQ, AVX512ER, AVX512PF, AVX512VL, AVX512_4FMAPS, AVX512_4VNNIW,
    AVX512_BF16, AVX512_BITALG, AVX512_FP16, AVX512_IFMA, AVX512_VBMI, AVX512_VBMI2, AVX512_VNNI,
    AVX512_VP2INTERSECT, AVX512_VPOPCNTDQ,
    AMX_BF16 "AMX-BF16", AMX_COMPLEX "AMX-COMPLEX", AMX_FP16 "AMX-FP16", AMX_INT8 "AMX-INT8",
    AMX_TILE "AMX-TILE",
    BMI1, BMI2, CET_SS, CLDEMOTE, CLFLUSHOPT, CLFSH, CLWB, CLZERO, CMOV, CMPCCXADD, CMPXCHG16B, CX8,
    D3NOW "3DNOW", D3NOWEXT "3DNOWEXT", ENQCMD, F16C, FMA, FMA4, FPU, FSGSBASE, FXSR, GFNI, LWP, LZCNT,
    MMX, MONITORX, MOVBE, MOVDIR64B, MOVDIRI, PCLMULQDQ, PKU, POPCNT, PREFETCHW, PTWRITE, RAO_INT "RAO-INT",
    HLE_or_RTM "RTM", RDPID, RDPRU, RDRAND, RDSEED, RDTSCP, RTM, SERIALIZE, SHA, SHA512, SM3, SM4,
    SSE, SSE2, SSE3,
    SSE4_1 "SSE4.1", SSE4_2 "SSE4.2", SSE4A, SSSE3, TBM, TSXLDTRK, UINTR, VAES, VPCLMULQDQ, WAITPKG, XOP,
    XSAVE, XSAVEC, XSAVEOPT,
}

#[cfg(test)]
pub(super) fn extensions() -> Vec<&'static str> {
    CpuidFeature::values().filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: u32, bytes: &[u8], mnemonic: &str, extensions: &[&str]) {
        let decoded = decode(bits, bytes).expect(mnemonic);
        assert_eq!(decoded.mnemonic.as_deref(), Some(mnemonic));
        assert_eq!(decoded.extensions, extensions, "{mnemonic}");
    }

    /// Encodings as binutils' assembler makes them.
    #[test]
    fn extensions_are_named_in_their_makers_words() {
        for (bytes, mnemonic, extensions) in [
            (
                &[0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2][..],
                "vpaddd",
                &["AVX512F"][..],
            ),
            (
                &[0x62, 0xf1, 0x75, 0x28, 0xfe, 0xc2],
                "vpaddd",
                &["AVX512VL", "AVX512F"],
            ),
            (&[0xc5, 0xf5, 0xfe, 0xc2], "vpaddd", &["AVX2"]),
            (&[0xc5, 0xf1, 0xfe, 0xc2], "vpaddd", &["AVX"]),
            (&[0x66, 0x0f, 0xfe, 0xc1], "paddd", &["SSE2"]),
            (
                &[0x62, 0xf2, 0x75, 0x48, 0x75, 0xc2],
                "vpermi2b",
                &["AVX512_VBMI"],
            ),
            (&[0x0f, 0x38, 0xc9, 0xc1], "sha1msg1", &["SHA"]),
            (&[0x66, 0x0f, 0x38, 0xf6, 0xc1], "adcx", &["ADX"]),
            (&[0x66, 0x0f, 0x38, 0xdc, 0xc1], "aesenc", &["AES"]),
            (&[0x0f, 0x01, 0xd6], "xtest", &["RTM"]),
            (&[0xc4, 0xe2, 0x6b, 0x5e, 0xc1], "tdpbssd", &["AMX-INT8"]),
            (&[0xc4, 0xe2, 0xf1, 0xb8, 0xc2], "vfmadd231pd", &["FMA"]),
            (&[0xc4, 0xe2, 0xfb, 0xf6, 0xc1], "mulx", &["BMI2"]),
            (&[0xf2, 0x0f, 0x38, 0xf1, 0xc1], "crc32", &["SSE4.2"]),
            (&[0xf3, 0x0f, 0xb8, 0xc1], "popcnt", &["POPCNT"]),
            (&[0x0f, 0xc7, 0xf0], "rdrand", &["RDRAND"]),
            (&[0x48, 0x89, 0xc8], "mov", &[]),
            (&[0x0f, 0x0b], "ud2", &[]),
            (&[0x0f, 0xb9, 0xc0], "ud1", &[]),
        ] {
            check(64, bytes, mnemonic, extensions);
        }
    }

    #[test]
    fn what_is_invalid_or_cut_off_is_nothing() {
        for (bits, bytes) in [
            (64, &[0x06][..]),
            (64, &[0xc5, 0xf5]),
            (64, &[0x66; 16]),
            (32, &[0x0f, 0x04]),
            (32, &[]),
        ] {
            assert_eq!(decode(bits, bytes), None, "{bytes:02x?}");
        }
        check(32, &[0x06], "push", &[]);
    }
}
