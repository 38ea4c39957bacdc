//! A64 machine code (Arm ARM, chapter C6; system calls: `include/uapi/asm-generic/unistd.h`).

use crate::Program;

mod exec;
mod signal;

const SYS_PPOLL: u16 = 73;
const SYS_EXIT: u16 = 93;
const SYS_CLONE: u16 = 220;
const SYS_WAIT4: u16 = 260;

/// The number of a system call goes here.
const X8: u32 = 8;
/// Counters: a temporary one, and one that a call preserves.
const X9: u32 = 9;
const X19: u32 = 19;

/// The instructions of `program`.
pub(crate) fn code(program: Program) -> Vec<u8> {
    let mut code = Vec::new();
    match program {
        Program::Exit(status) => exit(&mut code, status),
        Program::Spin(iterations) => {
            spin(&mut code, iterations);
            exit(&mut code, 0);
        }
        Program::Burn => code.push(branch(0)),
        Program::Pause => pause(&mut code),
        Program::Forks {
            children,
            iterations,
        } => {
            let mut child = Vec::new();
            match iterations {
                Some(iterations) => {
                    spin(&mut child, iterations);
                    exit(&mut child, 0);
                }
                None => pause(&mut child),
            }
            forks(&mut code, children, &child);
        }
        Program::Execute(instruction) => signal::execute(&mut code, instruction),
        Program::Raise => signal::raise(&mut code),
        Program::Probe => signal::probe(&mut code),
        Program::Exec => exec::exec(&mut code),
        Program::ExecByEmulator => exec::exec_by_emulator(&mut code),
        Program::ExecInThread => exec::exec_in_thread(&mut code),
        Program::Shell { times } => exec::shell(&mut code, times),
        Program::Load(emulator) => exec::load(&mut code, emulator),
    }
    code.iter()
        .flat_map(|instruction| instruction.to_le_bytes())
        .collect()
}

fn exit(code: &mut Vec<u32>, status: u8) {
    code.push(movz(0, u16::from(status)));
    system_call(code, SYS_EXIT);
}

fn spin(code: &mut Vec<u32>, iterations: u32) {
    let [a, b, c, d] = iterations.to_le_bytes();
    code.push(movz(X9, u16::from_le_bytes([a, b])));
    code.push(0x72a0_0000 | u32::from(u16::from_le_bytes([c, d])) << 5 | X9); // movk w9, #hi, lsl 16
    code.push(subs_one(X9));
    code.push(branch_not_equal(-1));
}

fn pause(code: &mut Vec<u32>) {
    // ppoll of nothing, without a time limit.
    code.extend((0..5).map(|register| movz(register, 0)));
    system_call(code, SYS_PPOLL); // 2 instructions
    code.push(branch(-7));
}

/// The parent's part, with `child` (which never returns) at its end.
fn forks(code: &mut Vec<u32>, children: u16, child: &[u32]) {
    const SIGCHLD: u16 = 17;
    let mut wait = vec![0x9280_0000]; // movn x0, #0: -1, any child
    wait.extend((1..4).map(|register| movz(register, 0)));
    system_call(&mut wait, SYS_WAIT4);
    let back = offset(wait.len(), 14);
    wait.push(0xb6f8_0000 | back << 5); // tbz x0, #63: one ended, wait for the next
    exit(&mut wait, 0);

    code.push(movz(X19, children));
    // Each turn: clone (7), cbz, subs, b.ne.
    code.push(movz(0, SIGCHLD));
    code.extend((1..5).map(|register| movz(register, 0)));
    system_call(code, SYS_CLONE);
    let over = u32::try_from(3 + wait.len()).unwrap_or(0);
    code.push(0xb400_0000 | over << 5); // cbz x0: the child
    code.push(subs_one(X19));
    code.push(branch_not_equal(-9));
    code.extend(wait);
    code.extend_from_slice(child);
}

/// 2 instructions.
fn system_call(code: &mut Vec<u32>, number: u16) {
    code.push(movz(X8, number));
    code.push(0xd400_0001); // svc #0
}

/// `movz xN, #value`
fn movz(register: u32, value: u16) -> u32 {
    0xd280_0000 | u32::from(value) << 5 | register
}

/// `subs wN, wN, #1`
fn subs_one(register: u32) -> u32 {
    0x7100_0400 | register << 5 | register
}

/// `b`, by so many instructions.
fn branch(instructions: i32) -> u32 {
    0x1400_0000 | (instructions.cast_unsigned() & 0x03ff_ffff)
}

/// `b.ne`, by so many instructions.
fn branch_not_equal(instructions: i32) -> u32 {
    0x5400_0001 | (instructions.cast_unsigned() & 0x7_ffff) << 5
}

/// `instructions` back, as a signed field of `bits` bits.
fn offset(instructions: usize, bits: u32) -> u32 {
    let back = i32::try_from(instructions).map_or(0, |count| -count);
    back.cast_unsigned() & ((1 << bits) - 1)
}
