//! Programs that get SIGILL.

use super::exit;
use crate::Instruction;

/// `ud2`, which stays undefined.
pub(super) const UNDEFINED: [u8; 2] = [0x0f, 0x0b];

/// One instruction, then status 0.
pub(super) fn execute(code: &mut Vec<u8>, instruction: Instruction) {
    match instruction {
        // vpaddd zmm0, zmm0, zmm0
        Instruction::Avx512 => code.extend([0x62, 0xf1, 0x7d, 0x48, 0xfe, 0xc0]),
        Instruction::Undefined | Instruction::Sve | Instruction::Lse => code.extend(UNDEFINED),
    }
    exit(code, 0);
}

/// `kill(getpid(), SIGILL)`
pub(super) fn raise(code: &mut Vec<u8>) {
    code.extend([
        0xb8, 39, 0, 0, 0, // mov eax, getpid
        0x0f, 0x05, // syscall
        0x89, 0xc7, // mov edi, eax
        0xbe, 4, 0, 0, 0, // mov esi, SIGILL
        0xb8, 62, 0, 0, 0, // mov eax, kill
        0x0f, 0x05, // syscall
    ]);
    exit(code, 1);
}

/// A handler that ends the program with status 0, and [`UNDEFINED`].
pub(super) fn probe(code: &mut Vec<u8>) {
    code.extend([
        // struct sigaction, last field first. The kernel demands a restorer (SA_RESTORER), which
        // is never reached.
        0x6a, 0x00, // push 0: the mask
        0x48, 0x8d, 0x05, 0x20, 0x00, 0x00, 0x00, // lea rax, handler
        0x50, // push rax
        0x68, 0x00, 0x00, 0x00, 0x04, // push SA_RESTORER
        0x50, // push rax
        0xbf, 4, 0, 0, 0, // mov edi, SIGILL
        0x48, 0x89, 0xe6, // mov rsi, rsp
        0x31, 0xd2, // xor edx, edx
        0x41, 0xba, 8, 0, 0, 0, // mov r10d, 8: size of the mask
        0xb8, 13, 0, 0, 0, // mov eax, rt_sigaction
        0x0f, 0x05, // syscall
    ]);
    code.extend(UNDEFINED);
    exit(code, 0); // the handler
}
