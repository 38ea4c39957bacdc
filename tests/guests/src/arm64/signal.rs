//! Programs that get SIGILL.

use super::{exit, movz, system_call};
use crate::Instruction;

const SYS_KILL: u16 = 129;
const SYS_RT_SIGACTION: u16 = 134;
const SYS_GETPID: u16 = 172;
const SIGILL: u16 = 4;

/// `udf #0`, which stays undefined.
pub(super) const UNDEFINED: u32 = 0;

/// One instruction, then status 0.
pub(super) fn execute(code: &mut Vec<u32>, instruction: Instruction) {
    code.push(match instruction {
        Instruction::Sve => 0x0420_e3e0, // cntb x0
        Instruction::Lse => 0xb820_03e1, // ldadd w0, w1, [sp]
        Instruction::Undefined | Instruction::Avx512 => UNDEFINED,
    });
    exit(code, 0);
}

/// `kill(getpid(), SIGILL)`
pub(super) fn raise(code: &mut Vec<u32>) {
    system_call(code, SYS_GETPID);
    code.push(movz(1, SIGILL));
    system_call(code, SYS_KILL);
    exit(code, 1);
}

/// A handler that ends the program with status 0, and [`UNDEFINED`].
pub(super) fn probe(code: &mut Vec<u32>) {
    // struct sigaction on the stack: the handler, and zeroes.
    code.push(0x1000_0140); // adr x0, handler: 10 instructions on
    code.push(0xa9be_7fe0); // stp x0, xzr, [sp, #-32]!
    code.push(0xa901_7fff); // stp xzr, xzr, [sp, #16]
    code.push(movz(0, SIGILL));
    code.push(0x9100_03e1); // mov x1, sp
    code.push(movz(2, 0));
    code.push(movz(3, 8)); // size of the mask
    system_call(code, SYS_RT_SIGACTION);
    code.push(UNDEFINED);
    exit(code, 0); // the handler
}
