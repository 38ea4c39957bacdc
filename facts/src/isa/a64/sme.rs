//! Matrices, and what works on many scalable vectors at once.

use super::{Row, row};

/// C4.1.1 "SME encodings". What needs SME2 and an option of it is said to need SME2.
pub(super) const ROWS: &[Row] = &[
    // Loads and stores of two or four vectors: next to each other they are of SVE too.
    row("10100000 0xx", "", "SVE2p1"),
    row("10100001 0xx", "", "SME2"),
    // Outer products.
    row("10000000 110", "", "SME_F64F64"),
    row("1010000x 11x", "", "SME_I16I64"),
    row("10000000 100 xxxxx xxxxxx xxxxx x10xx", "", "SME2"),
    row("1010000x 100 xxxxx xxxxxx xxxxx x10xx", "", "SME2"),
    row(
        "10000000 101 xxxxx xxxxxx xxxxx 0100x",
        "fmopa",
        "SME_F8F16",
    ),
    row(
        "10000000 101 xxxxx xxxxxx xxxxx 000xx",
        "fmopa",
        "SME_F8F32",
    ),
    row("10000001 100 xxxxx xxxxxx xxxxx x100x", "", "SME_F16F16"),
    row("10000001 101 xxxxx xxxxxx xxxxx x100x", "", "SME_B16B16"),
    row("1000000x 01x", "", "SME_TMOP"),
    // Moves, tables, and whatever has the matrix as one of many vectors.
    row("11000000 110 1000x", "", "SME_I16I64"),
    row("11000000 xx0 0001x xxxxxx 1xxxx", "movaz", "SME2p1"),
    row("11000000 xx0 0011x xxxx1x", "movaz", "SME2p1"),
    row("11000000 xx0 001xx", "mova", "SME2"),
    row("11000000 010 01", "", "SME2"),
    row("11000000 1x0 x1", "", "SME2"),
    row("11000001", "", "SME2"),
    row("11100001 00x 11111", "", "SME2"),
    row("1xx0000x", "", "SME"),
    row("00000100 xx1 xxxxx 01011x", "", "SME"),
];
