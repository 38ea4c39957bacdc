//! x86-64 machine code (Intel SDM volume 2; system calls: `arch/x86/entry/syscalls/syscall_64.tbl`).

use crate::Program;

mod exec;
mod signal;

const SYS_PAUSE: u32 = 34;
const SYS_FORK: u32 = 57;
const SYS_EXIT: u32 = 60;
const SYS_WAIT4: u32 = 61;

/// The instructions of `program`.
pub(crate) fn code(program: Program) -> Vec<u8> {
    let mut code = Vec::new();
    match program {
        Program::Exit(status) => exit(&mut code, status),
        Program::Spin(iterations) => {
            spin(&mut code, iterations);
            exit(&mut code, 0);
        }
        Program::Burn => code.extend([0xeb, 0xfe]), // jmp .
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
    code
}

fn exit(code: &mut Vec<u8>, status: u8) {
    code.push(0xbf); // mov edi, status
    code.extend(u32::from(status).to_le_bytes());
    system_call(code, SYS_EXIT);
}

fn spin(code: &mut Vec<u8>, iterations: u32) {
    code.push(0xb9); // mov ecx, iterations
    code.extend(iterations.to_le_bytes());
    code.extend([0xff, 0xc9]); // dec ecx
    code.extend([0x75, 0xfc]); // jnz to the dec
}

fn pause(code: &mut Vec<u8>) {
    system_call(code, SYS_PAUSE); // 7 bytes
    code.extend([0xeb, 0xf7]); // jmp back over both: a handled signal ends a pause
}

/// The parent's part, with `child` (which never returns) at its end.
fn forks(code: &mut Vec<u8>, children: u16, child: &[u8]) {
    code.push(0xbb); // mov ebx, children
    code.extend(u32::from(children).to_le_bytes());
    let mut wait = Vec::new();
    wait.push(0xbf); // mov edi, -1: any child
    wait.extend((-1_i32).to_le_bytes());
    wait.extend([0x31, 0xf6]); // xor esi, esi
    wait.extend([0x31, 0xd2]); // xor edx, edx
    wait.extend([0x45, 0x31, 0xd2]); // xor r10d, r10d
    system_call(&mut wait, SYS_WAIT4);
    wait.extend([0x85, 0xc0]); // test eax, eax
    let back = i8::try_from(wait.len() + 2).map_or(0, i8::wrapping_neg);
    wait.extend([0x79, back.cast_unsigned()]); // jns: one ended, wait for the next
    exit(&mut wait, 0);

    // Each turn: fork (7), test (2), jz child (2), dec (2), jnz (2).
    system_call(code, SYS_FORK);
    code.extend([0x85, 0xc0]); // test eax, eax
    let over = u8::try_from(4 + wait.len()).unwrap_or(0);
    code.extend([0x74, over]); // jz: the child
    code.extend([0xff, 0xcb]); // dec ebx
    code.extend([0x75, 0xf1]); // jnz: 15 bytes back, the next fork
    code.extend(wait);
    code.extend_from_slice(child);
}

/// 7 bytes.
fn system_call(code: &mut Vec<u8>, number: u32) {
    code.push(0xb8); // mov eax, number
    code.extend(number.to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
}
