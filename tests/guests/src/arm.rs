//! A32 machine code (Arm ARM, chapter F5; system calls: `arch/arm/tools/syscall.tbl`).

use crate::Program;

const SYS_EXIT: u32 = 1;
const SYS_FORK: u32 = 2;
const SYS_PAUSE: u32 = 29;
const SYS_WAIT4: u32 = 114;

/// `udf #0`, which stays undefined.
const UNDEFINED: u32 = 0xe7f0_00f0;
/// `subs r4, r4, #1`
const COUNT: u32 = 0xe254_4001;

/// The instructions of `program`.
pub(crate) fn code(program: Program) -> Vec<u8> {
    let mut code = Vec::new();
    match program {
        Program::Exit(status) => exit(&mut code, status),
        Program::Spin(iterations) => {
            spin(&mut code, iterations);
            exit(&mut code, 0);
        }
        Program::Burn => code.push(0xeaff_fffe), // b .
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
        _ => code.push(UNDEFINED),
    }
    code.iter()
        .flat_map(|instruction| instruction.to_le_bytes())
        .collect()
}

fn exit(code: &mut Vec<u32>, status: u8) {
    code.push(0xe3a0_0000 | u32::from(status)); // mov r0, #status
    system_call(code, SYS_EXIT);
}

fn spin(code: &mut Vec<u32>, iterations: u32) {
    let [a, b, c, d] = iterations.to_le_bytes();
    code.push(0xe300_4000 | immediate(u16::from_le_bytes([a, b]))); // movw r4
    code.push(0xe340_4000 | immediate(u16::from_le_bytes([c, d]))); // movt r4
    code.push(COUNT);
    code.push(0x1aff_fffd); // bne: the instruction before
}

fn pause(code: &mut Vec<u32>) {
    system_call(code, SYS_PAUSE); // 2 instructions
    code.push(0xeaff_fffc); // b: back to them
}

/// The parent's part, with `child` (which never returns) at its end.
fn forks(code: &mut Vec<u32>, children: u16, child: &[u32]) {
    code.push(0xe300_4000 | immediate(children)); // movw r4
    system_call(code, SYS_FORK);
    code.push(0xe350_0000); // cmp r0, #0
    code.push(0x0a00_000c); // beq: the child, 14 instructions on
    code.push(COUNT);
    code.push(0x1aff_fff9); // bne: the fork
    code.push(0xe3e0_0000); // mvn r0, #0: any child
    code.extend((1..4).map(|register| 0xe3a0_0000 | register << 12)); // mov rN, #0
    system_call(code, SYS_WAIT4);
    code.push(0xe350_0000); // cmp r0, #0
    code.push(0xaaff_fff7); // bge: one ended, wait for the next
    exit(code, 0);
    code.extend_from_slice(child);
}

/// 2 instructions.
fn system_call(code: &mut Vec<u32>, number: u32) {
    code.push(0xe3a0_7000 | number); // mov r7, #number
    code.push(0xef00_0000); // svc #0
}

/// The field of `movw` and `movt`.
fn immediate(value: u16) -> u32 {
    u32::from(value >> 12) << 16 | u32::from(value & 0xfff)
}
