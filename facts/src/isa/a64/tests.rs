//! Three instructions of each extension, or as many as it has.

use super::{Row, TABLES, decode};
use proptest::prelude::*;

/// Encodings as LLVM's assembler makes them.
const SAMPLES: &str = "\
4e284801 AES aese v1.16b, v0.16b
4e285800 AES aesd v0.16b, v0.16b
4e287800 AES aesimc v0.16b, v0.16b
0f40f243 BF16 bfdot v3.2s, v18.4h, v0.2h[0]
1e634002 BF16 bfcvt h2, s0
6e40ec09 BF16 bfmmla v9.4s, v0.8h, v0.8h
7422a80b CMPBR cbbge w11, w2, #-768
7443a829 CMPBR cbbhi w9, w3, #-764
74e02a48 CMPBR cbne w8, w0, #-696
9a002101 CPA addpt x1, x8, x0
9b609120 CPA msubpt x0, x9, x0, x4
da002085 CPA subpt x5, x4, x0
1ac14b01 CRC32 crc32w w1, w24, w1
1ac15044 CRC32 crc32cb w4, w2, w1
9ac05c80 CRC32 crc32cx w0, w4, x0
11c00023 CSSC smax w3, w1, #0
5ac01801 CSSC ctz w1, w0
5ac02000 CSSC abs w0, w0
d503405f DIT msr DIT, #0
d53b42a0 DIT mrs x0, DIT
d53b42a1 DIT mrs x1, DIT
0e809408 DotProd sdot v8.2s, v0.8b, v0.8b
2e8094fd DotProd udot v29.2s, v7.8b, v0.8b
2e8095ce DotProd udot v14.2s, v14.8b, v0.8b
d50b7c20 DPB dc cvap, x0
d50b7c21 DPB dc cvap, x1
d50b7c22 DPB dc cvap, x2
d50b7d20 DPB2 dc cvadp, x0
d50b7d21 DPB2 dc cvadp, x1
d50b7d22 DPB2 dc cvadp, x2
d53be0a0 ECV mrs x0, CNTPCTSS_EL0
d53be0a7 ECV mrs x7, CNTPCTSS_EL0
d53be0c0 ECV mrs x0, CNTVCTSS_EL0
0e80fd6d F16F32DOT fdot v13.2s, v11.4h, v0.4h
0e80fdeb F16F32DOT fdot v11.2s, v15.4h, v0.4h
0e80fe16 F16F32DOT fdot v22.2s, v16.4h, v0.4h
4ec0ec2b F16MM fmmla v11.8h, v1.8h, v0.8h
4ec0ec7f F16MM fmmla v31.8h, v3.8h, v0.8h
4ec0ed5f F16MM fmmla v31.8h, v10.8h, v0.8h
64a0e442 F32MM fmmla z2.s, z2.s, z0.s
64a0e447 F32MM fmmla z7.s, z2.s, z0.s
64a0e508 F32MM fmmla z8.s, z8.s, z0.s
05a000e2 F64MM zip1 z2.q, z7.q, z0.q
05a00baf F64MM uzp1 z15.q, z29.q, z0.q
a42004d3 F64MM ld1rob { z19.b }, p1/z, [x6, x0]
6e00ec3c F8F16MM fmmla v28.8h, v1.16b, v0.16b
6e00ec91 F8F16MM fmmla v17.8h, v4.16b, v0.16b
6e00ecb4 F8F16MM fmmla v20.8h, v5.16b, v0.16b
6e80ecbc F8F32MM fmmla v28.4s, v5.16b, v0.16b
6e80ed18 F8F32MM fmmla v24.4s, v8.16b, v0.16b
6e80ed2c F8F32MM fmmla v12.4s, v9.16b, v0.16b
0ea0dc2a FAMINMAX famax v10.2s, v1.2s, v0.2s
2ea0dd1b FAMINMAX famin v27.2s, v8.2s, v0.2s
2ea0dd60 FAMINMAX famin v0.2s, v11.2s, v0.2s
2e40d638 FCMA fcmla v24.4h, v17.4h, v0.4h, #180
2e40dc3b FCMA fcmla v27.4h, v1.4h, v0.4h, #270
2e40e6f8 FCMA fcadd v24.4h, v23.4h, v0.4h, #90
0e20ed12 FHM fmlal v18.2s, v8.2h, v0.2h
0ea0ec8b FHM fmlsl v11.2s, v4.2h, v0.2h
2ea0cea1 FHM fmlsl2 v1.2s, v21.2h, v0.2h
3a00080d FlagM setf8 w0
ba00040e FlagM rmif x0, #0, #14
d500401f FlagM cfinv
d500403f FlagM2 xaflag
d500405f FlagM2 axflag
1ee1c143 FP16 fsqrt h3, h10
1ee900e8 FP16 fcvtpu w8, h7
1fc0e0be FP16 fmsub h30, h5, h0, h24
0e00f464 FP8 fcvtn v4.8b, v3.4s, v0.4s
2ee17803 FP8 bf2cvtl v3.8h, v0.8b
6e617853 FP8 f2cvtl2 v19.8h, v2.16b
0e40fca2 FP8DOT2 fdot v2.4h, v5.8b, v0.8b
0e40fcfd FP8DOT2 fdot v29.4h, v7.8b, v0.8b
0e40fd19 FP8DOT2 fdot v25.4h, v8.8b, v0.8b
0e00fd6e FP8DOT4 fdot v14.2s, v11.8b, v0.8b
0e00fe5f FP8DOT4 fdot v31.2s, v18.8b, v0.8b
0e00feb3 FP8DOT4 fdot v19.2s, v21.8b, v0.8b
0e00c406 FP8FMA fmlallbb v6.4s, v0.16b, v0.16b
0e40c444 FP8FMA fmlallbt v4.4s, v2.16b, v0.16b
0ec0fd0f FP8FMA fmlalb v15.8h, v8.16b, v0.16b
1e730036 FPRCVT fcvtpu s22, d1
1e76001f FPRCVT fcvtzs s31, d0
1e7d006c FPRCVT ucvtf d12, s3
0e21e805 FRINTTS frint32z v5.2s, v0.2s
0e21f807 FRINTTS frint64z v7.2s, v0.2s
1e28c003 FRINTTS frint32x s3, s0
d50b7740 GCS gcsss1 x0
d52b7720 GCS gcspopm x0
d91f0c00 GCS gcsstr x0, [x0]
5401bff4 HBC bc.mi #14332
54022a13 HBC bc.lo #17728
541537dc HBC bc.gt #173816
0f00f93c I8MM sudot v28.2s, v9.8b, v0.4b[2]
4e80ac51 I8MM usmmla v17.4s, v2.16b, v0.16b
6e80a44a I8MM ummla v10.4s, v2.16b, v0.16b
1e7e0001 JSCVT fjcvtzs w1, d0
1e7e0003 JSCVT fjcvtzs w3, d0
1e7e0006 JSCVT fjcvtzs w6, d0
089f7f20 LOR stllrb w0, [x25]
48df7ea8 LOR ldlarh w8, [x21]
88df7c3e LOR ldlar w30, [x1]
f820a028 LS64 st64bv0 x0, x8, [x1]
f820b0c6 LS64 st64bv x0, x6, [x6]
f83fd004 LS64 ld64b x4, [x0]
b820520b LSE ldsmin w0, w11, [x16]
b8608020 LSE swpl w0, w0, [x1]
b8a00020 LSE ldadda w0, w0, [x1]
19601065 LSE128 ldclrpl x5, x0, [x3]
1960318a LSE128 ldsetpl x10, x0, [x12]
19e0811a LSE128 swppal x26, x0, [x8]
3c7740bf LSFE ldbfmaxl h23, h31, [x5]
7c2153ae LSFE ldfmin h1, h14, [x29]
7cf742c7 LSFE ldfmaxal h23, h7, [x22]
196587ea LSUI swptl w5, w10, [sp]
19e3070e LSUI ldtaddal w3, w14, [x24]
e8063ce6 LSUI sttnp x6, x15, [x7, #96]
4e4021d8 LUT luti4 v24.16b, { v14.16b }, v0[0]
4e402269 LUT luti4 v9.16b, { v19.16b }, v0[0]
4e801386 LUT luti2 v6.16b, { v28.16b }, v0[0]
19c14443 MOPS setm [x3]!, x2!, x1
1d010443 MOPS cpyp [x3]!, [x1]!, x2!
1dc18405 MOPS setge [x5]!, x0!, x1
9adf1401 MTE gmi x1, x0, xzr
bac0006a MTE subps x10, x3, x0
d9600000 MTE ldg x0, [x0]
d71f0806 PAC braa x0, x6
d73f0c00 PAC blrab x0, x0
dac143e3 PAC xpaci x3
5500403f PAuth_LR retaasppc #-2052
dac195de PAuth_LR autibsppcr x14
f3a03f9f PAuth_LR autibsppc #-2032
0ee0e082 PMULL pmull v2.1q, v4.1d, v0.1d
0ee0e16a PMULL pmull v10.1q, v11.1d, v0.1d
4ee0e0b9 PMULL pmull2 v25.1q, v5.2d, v0.2d
38bfc192 RCPC ldaprb w18, [x12]
78bfc0ba RCPC ldaprh w26, [x5]
b8bfc000 RCPC ldapr w0, [x0]
19408302 RCPC2 ldapurb w2, [x24, #8]
990013ec RCPC2 stlur w12, [sp, #1]
994102a6 RCPC2 ldapur w6, [x21, #16]
1d408aa4 RCPC3 ldapur b4, [x21, #8]
99400839 RCPC3 ldiapp w25, w0, [x1], #8
99c0080a RCPC3 ldapr w10, [x0], #4
2e408c7a RDM sqrdmlsh v26.4h, v3.4h, v0.4h
2e41853f RDM sqrdmlah v31.4h, v9.4h, v1.4h
2e418cab RDM sqrdmlsh v11.4h, v5.4h, v1.4h
d53b2400 RNG mrs x0, RNDR
d53b2401 RNG mrs x1, RNDR
d53b2402 RNG mrs x2, RNDR
d50330ff SB sb
5e00301f SHA1 sha1su0 v31.4s, v0.4s, v0.4s
5e280800 SHA1 sha1h s0, s0
5e281800 SHA1 sha1su1 v0.4s, v0.4s
5e0040b1 SHA256 sha256h q17, q5, v0.4s
5e006028 SHA256 sha256su1 v8.4s, v1.4s, v0.4s
5e282800 SHA256 sha256su0 v0.4s, v0.4s
ce0003ff SHA3 eor3 v31.16b, v31.16b, v0.16b, v0.16b
ce2001df SHA3 bcax v31.16b, v14.16b, v0.16b, v0.16b
ce8003ce SHA3 xar v14.2d, v30.2d, v0.2d, #0
ce60842e SHA512 sha512h2 q14, q1, v0.2d
ce608810 SHA512 sha512su1 v16.2d, v0.2d, v0.2d
cec08003 SHA512 sha512su0 v3.2d, v0.2d
ce40802b SM3 sm3tt1a v11.4s, v1.4s, v0.s[0]
ce40890e SM3 sm3tt2a v14.4s, v8.4s, v0.s[0]
ce60c44f SM3 sm3partw2 v15.4s, v2.4s, v0.4s
ce60c85d SM4 sm4ekey v29.4s, v2.4s, v0.4s
cec08403 SM4 sm4e v3.4s, v0.4s
cec0840a SM4 sm4e v10.4s, v0.4s
a081a352 SME smops za2.s, p0/m, p5/m, z26.b, z1.b
a18f4b63 SME usmopa za3.s, p2/m, p2/m, z27.b, z15.b
a1af8fc1 SME umopa za1.s, p3/m, p4/m, z30.b, z15.b
808010ab SME2 bmopa za3.s, p4/m, p0/m, z5.s, z0.s
c16b0e93 SME2 umlal za.s[w8, 6:7], z20.h, z11.h
c1e07e1d SME2 sub za.d[w11, 5, vgx2], { z16.d, z17.d }
c00202ca SME2p1 movaz z10.b, za0h.b[w12, 6]
c002032c SME2p1 movaz z12.b, za0h.b[w12, 9]
c0024290 SME2p1 movaz z16.b, za0h.b[w14, 4]
81a01e28 SME_B16B16 bfmopa za0.h, p7/m, p0/m, z17.h, z0.h
81a04698 SME_B16B16 bfmops za0.h, p1/m, p2/m, z20.h, z0.h
81a08508 SME_B16B16 bfmopa za0.h, p1/m, p4/m, z8.h, z0.h
81800468 SME_F16F16 fmopa za0.h, p1/m, p0/m, z3.h, z0.h
81809858 SME_F16F16 fmops za0.h, p6/m, p4/m, z2.h, z0.h
8180bb58 SME_F16F16 fmops za0.h, p6/m, p5/m, z26.h, z0.h
80c01343 SME_F64F64 fmopa za3.d, p4/m, p0/m, z26.d, z0.d
80c04770 SME_F64F64 fmops za0.d, p1/m, p2/m, z27.d, z0.d
80c8021d SME_F64F64 fmop4s za5.d, { z0.d, z1.d }, z24.d
80a43828 SME_F8F16 fmopa za0.h, p6/m, p1/m, z1.b, z4.b
80a828a8 SME_F8F16 fmopa za0.h, p2/m, p1/m, z5.b, z8.b
80aa7649 SME_F8F16 fmopa za1.h, p5/m, p3/m, z18.b, z10.b
80a059e1 SME_F8F32 fmopa za1.s, p6/m, p2/m, z15.b, z0.b
80a0c542 SME_F8F32 fmopa za2.s, p1/m, p6/m, z10.b, z0.b
80aefde0 SME_F8F32 fmopa za0.s, p7/m, p7/m, z15.b, z14.b
a0c0caf2 SME_I16I64 smops za2.d, p2/m, p6/m, z23.h, z0.h
a0c11ac5 SME_I16I64 smopa za5.d, p6/m, p0/m, z22.h, z1.h
a0e801cb SME_I16I64 sumop4a za3.d, z14.h, z24.h
80408c7a SME_TMOP stmopa za2.s, { z2.h, z3.h }, z0.h, z23[3]
80629031 SME_TMOP sutmopa za1.s, { z0.b, z1.b }, z2.b, z28[3]
81439349 SME_TMOP utmopa za1.s, { z26.h, z27.h }, z3.h, z28[0]
d50b7380 SPECRES cfp rctx, x0
d50b73a0 SPECRES dvp rctx, x0
d50b73e0 SPECRES cpp rctx, x0
d503413f SSBS msr SSBS, #1
d51b42c3 SSBS msr SSBS, x3
d53b42c0 SSBS mrs x0, SSBS
040c0c9a SVE sabd z26.b, p3/m, z26.b, z4.b
0420338b SVE and z11.d, z28.d, z0.d
04940378 SVE sdiv z24.s, p0/m, z24.s, z27.s
4403872c SVE2 urshl z12.b, p1/m, z12.b, z25.b
4500d9fe SVE2 cadd z30.b, z30.b, z15.b, #90
6457825e SVE2 fminp z30.h, p0/m, z30.h, z18.h
041e200e SVE2p1 andqv v14.16b, p0, z0.b
2520823a SVE2p1 cntp x26, pn1.b, vlx2
a0209bfc SVE2p1 st1b { z28.b - z31.b }, pn14, [sp, x0]
4520e400 SVE_AES aesimc z0.b, z0.b
4522e000 SVE_AES aese z0.b, z0.b, z0.b
4522e402 SVE_AES aesd z2.b, z2.b, z0.b
64200957 SVE_B16B16 bfmla z23.h, z10.h, z0.h[0]
650580d8 SVE_B16B16 bfminnm z24.h, p0/m, z24.h, z6.h
65078037 SVE_B16B16 bfmin z23.h, p0/m, z23.h, z1.h
64604013 SVE_BF16 bfdot z19.s, z0.h, z0.h[0]
64e04079 SVE_BF16 bfmlalb z25.s, z3.h, z0.h[0]
658aa000 SVE_BF16 bfcvt z0.h, p0/m, z0.s
4500b054 SVE_BitPerm bext z20.b, z2.b, z0.b
4500b52c SVE_BitPerm bdep z12.b, z9.b, z0.b
4500b923 SVE_BitPerm bgrp z3.b, z9.b, z0.b
44807875 SVE_I8MM usdot z21.s, z3.b, z0.b
45009870 SVE_I8MM smmla z16.s, z3.b, z0.b
45c09827 SVE_I8MM ummla z7.s, z1.b, z0.b
45006861 SVE_PMULL128 pmullb z1.q, z3.d, z0.d
45006d14 SVE_PMULL128 pmullt z20.q, z8.d, z0.d
45006f75 SVE_PMULL128 pmullt z21.q, z27.d, z0.d
4520f407 SVE_SHA3 rax1 z7.d, z0.d, z0.d
4520f408 SVE_SHA3 rax1 z8.d, z0.d, z0.d
4520f412 SVE_SHA3 rax1 z18.d, z0.d, z0.d
4520f001 SVE_SM4 sm4ekey z1.s, z0.s, z0.s
4523e000 SVE_SM4 sm4e z0.s, z0.s, z0.s
4523e003 SVE_SM4 sm4e z3.s, z3.s, z0.s
d5031000 WFxT wfet x0
d5031020 WFxT wfit x0
d5031021 WFxT wfit x1
";

fn samples() -> impl Iterator<Item = (u32, &'static str, &'static str)> {
    SAMPLES.lines().map(|line| {
        let (word, rest) = line.split_once(' ').expect(line);
        let (extension, text) = rest.split_once(' ').expect(line);
        (u32::from_str_radix(word, 16).expect(line), extension, text)
    })
}

#[test]
fn each_instruction_needs_what_brought_it() {
    for (word, extension, text) in samples() {
        let decoded = decode(word).expect(text);
        assert_eq!(decoded.extensions, [extension], "{text}");
        let mnemonic = decoded.mnemonic.unwrap_or_default();
        assert!(text.starts_with(&mnemonic), "{mnemonic} is not {text}");
    }
}

#[test]
fn each_extension_has_a_sample() {
    for row in TABLES.iter().copied().flatten() {
        let shown = |extension| samples().any(|(_, sampled, _)| sampled == extension);
        assert!(row.extension.is_none_or(shown), "{:?}", row.extension);
    }
}

/// What is of the base, and what stands next to another extension's encodings.
#[test]
fn neighbours_are_told_apart() {
    for (word, text, mnemonic, extension) in [
        (0x8b02_0020, "add x0, x1, x2", "", ""),
        (0x9000_0000, "adrp x0, .", "", ""),
        (0xd503_233f, "paciasp", "", ""),
        (0xd503_245f, "bti c", "", ""),
        (0x1f02_0c20, "fmadd s0, s1, s2, s3", "", ""),
        (0x1ee2_4020, "fcvt s0, h1", "fcvt", ""),
        (0x3dc0_0020, "ldr q0, [x1]", "", ""),
        (0x8800_fc41, "stlxr w0, w1, [x2]", "", ""),
        (0x0000_dead, "udf #57005", "udf", ""),
        (0xd538_0000, "mrs x0, midr_el1", "mrs", ""),
        (0x0e22_e020, "pmull v0.8h, v1.8b, v2.8b", "", ""),
        (
            0x6ec2_c420,
            "fcmla v0.2d, v1.2d, v2.2d, #0",
            "fcmla",
            "FCMA",
        ),
        (0x4f12_1020, "fmla v0.8h, v1.8h, v2.h[1]", "fmla", "FP16"),
        (0x4482_0020, "sdot z0.s, z1.b, z2.b", "sdot", "SVE"),
        (0x25a1_1c00, "whilelo p0.s, x0, x1", "", "SVE"),
        (0x25a1_1000, "whilege p0.s, x0, x1", "", "SVE2"),
        (0x0522_2c20, "tbx z0.b, z1.b, z2.b", "tbx", "SVE2"),
        (0xd503_477f, "smstart", "msr", "SME"),
    ] {
        let decoded = decode(word).expect(text);
        assert_eq!(decoded.mnemonic.unwrap_or_default(), mnemonic, "{text}");
        assert_eq!(decoded.extensions.concat(), extension, "{text}");
    }
}

#[test]
fn what_was_never_given_out_is_nothing() {
    for word in [0x0001_0000, 0x0200_0000, 0x0600_0000] {
        assert_eq!(decode(word), None, "{word:08x}");
    }
}

#[test]
fn each_row_can_be_reached() {
    let rows: Vec<&Row> = TABLES.iter().copied().flatten().collect();
    for (at, row) in rows.iter().enumerate() {
        let hides = |earlier: &&&Row| {
            row.value & earlier.mask == earlier.value && earlier.mask & !row.mask == 0
        };
        let hidden = rows[..at].iter().find(hides);
        assert!(hidden.is_none(), "{} ({:08x})", row.mnemonic, row.value);
    }
}

proptest! {
    #[test]
    fn no_word_makes_it_panic(word: u32) {
        let _ = decode(word);
    }

    #[test]
    fn whatever_the_registers_the_extension_is_the_same(rd in 0_u32..31, rn in 0_u32..31) {
        for (word, extension) in [
            (0x4ea2_8420, None),
            (0xb862_0020, Some("LSE")),
            (0x04a2_0020, Some("SVE")),
        ] {
            let decoded = decode(word & !0x3ff | rn << 5 | rd);
            let found = decoded.and_then(|decoded| decoded.extensions.first().copied());
            prop_assert_eq!(found, extension);
        }
    }
}
