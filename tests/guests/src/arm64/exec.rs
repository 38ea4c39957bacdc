//! Programs that execute others, or pretend to interpret them. At entry `sp` points to `argc`,
//! followed by the arguments.

use super::{SYS_CLONE, SYS_WAIT4, X9, X19, exit, movz, pause, subs_one, system_call};
use crate::Emulator;

const SYS_OPENAT: u16 = 56;
const SYS_EXECVE: u16 = 221;
const SYS_MMAP: u16 = 222;
const SIGCHLD: u16 = 17;

/// `execve(argv[1], &argv[1], NULL)`, and status 1 where that fails.
pub(super) fn exec(code: &mut Vec<u32>) {
    code.push(0xf940_0be0); // ldr x0, [sp, #16]
    code.push(0x9100_43e1); // add x1, sp, #16
    code.push(movz(2, 0));
    system_call(code, SYS_EXECVE);
    exit(code, 1);
}

/// [`exec`], of what looks like an emulator.
pub(super) fn exec_by_emulator(code: &mut Vec<u32>) {
    exec(code);
    code.extend(words(&Emulator::Qemu.strings()));
}

/// [`exec`] by another thread than the first, which sleeps.
pub(super) fn exec_in_thread(code: &mut Vec<u32>) {
    // CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
    code.push(movz(0, 0x0f00));
    code.push(0x72a0_00a0); // movk w0, #5, lsl #16
    code.push(0x9100_03f3); // mov x19, sp
    code.push(0xd140_0661); // sub x1, x19, #4096
    code.extend((2..5).map(|register| movz(register, 0)));
    system_call(code, SYS_CLONE);
    code.push(0xb400_0120); // cbz x0: over the pause, 8 instructions
    pause(code);
    code.push(0x9100_027f); // mov sp, x19
    exec(code);
}

/// `times` a child that does [`exec`], one after another.
pub(super) fn shell(code: &mut Vec<u32>, times: u32) {
    let [a, b, c, d] = times.to_le_bytes();
    code.push(movz(X19, u16::from_le_bytes([a, b])));
    code.push(0x72a0_0000 | u32::from(u16::from_le_bytes([c, d])) << 5 | X19); // movk w19, #hi, lsl 16
    code.push(movz(0, SIGCHLD));
    code.extend((1..5).map(|register| movz(register, 0)));
    system_call(code, SYS_CLONE);
    code.push(0xb400_0160); // cbz x0: the child, 11 instructions on
    code.extend((1..4).map(|register| movz(register, 0)));
    system_call(code, SYS_WAIT4);
    code.push(subs_one(X19));
    code.push(0x54ff_fe41); // b.ne: the clone, 14 instructions back
    exit(code, 0);
    exec(code);
}

/// Maps the first page of the file named last, and sleeps.
pub(super) fn load(code: &mut Vec<u32>, emulator: Emulator) {
    if emulator == Emulator::BuildKit {
        again(code);
    }
    code.push(0xf940_03e0 | X9); // ldr x9, [sp]
    code.push(0xf869_7be1); // ldr x1, [sp, x9, lsl #3]
    code.push(0x9280_0c60); // movn x0, #99: AT_FDCWD
    code.push(movz(2, 0)); // O_RDONLY
    code.push(movz(3, 0));
    system_call(code, SYS_OPENAT);
    code.push(0xaa00_03e4); // mov x4, x0
    code.push(movz(0, 0));
    code.push(movz(1, 4096));
    code.push(movz(2, 1)); // PROT_READ
    code.push(movz(3, 2)); // MAP_PRIVATE
    code.push(movz(5, 0));
    system_call(code, SYS_MMAP);
    pause(code);
    code.extend(words(&emulator.strings()));
}

/// With a single argument: starts itself again, as BuildKit's emulator does for children of its
/// guest.
fn again(code: &mut Vec<u32>) {
    let path = words(b"/proc/self/exe\0");
    let option = words(b"-0\0");
    let mut restart = vec![
        0xa940_afea, // ldp x10, x11, [sp, #8]
        adr(12, 9 + path.len()),
        0xa9bd_33ea, // stp x10, x12, [sp, #-48]!: argv[0], "-0"
        0xa901_2feb, // stp x11, x11, [sp, #16]: the file's argv[0], and the file
        0xf900_13ff, // str xzr, [sp, #32]
        adr(0, 5),
        0x9100_03e1, // mov x1, sp
    ];
    restart.push(movz(2, 0));
    system_call(&mut restart, SYS_EXECVE);
    restart.extend(path);
    restart.extend(option);
    code.push(0xf940_03e0 | X9); // ldr x9, [sp]
    code.push(0xf100_093f); // cmp x9, #2
    let over = u32::try_from(1 + restart.len()).unwrap_or(0);
    code.push(0x5400_0001 | over << 5); // b.ne: behind all this
    code.extend(restart);
}

/// `adr`, of what is so many instructions on.
fn adr(register: u32, instructions: usize) -> u32 {
    0x1000_0000 | u32::try_from(instructions).unwrap_or(0) << 5 | register
}

/// Text among instructions, filled up with zeroes.
fn words(text: &[u8]) -> Vec<u32> {
    text.chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        })
        .collect()
}
