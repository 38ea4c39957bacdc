//! 32-bit x86 machine code (system calls: `arch/x86/entry/syscalls/syscall_32.tbl`).

use crate::Program;

const SYS_EXIT: u32 = 1;
const SYS_FORK: u32 = 2;
const SYS_WAITPID: u32 = 7;
const SYS_PAUSE: u32 = 29;

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
        _ => code.extend([0x0f, 0x0b]), // ud2
    }
    code
}

fn exit(code: &mut Vec<u8>, status: u8) {
    code.push(0xbb); // mov ebx, status
    code.extend(u32::from(status).to_le_bytes());
    system_call(code, SYS_EXIT);
}

fn spin(code: &mut Vec<u8>, iterations: u32) {
    code.push(0xb9); // mov ecx, iterations
    code.extend(iterations.to_le_bytes());
    code.push(0x49); // dec ecx
    code.extend([0x75, 0xfd]); // jnz to the dec
}

fn pause(code: &mut Vec<u8>) {
    system_call(code, SYS_PAUSE); // 7 bytes
    code.extend([0xeb, 0xf7]); // jmp back over both
}

/// The parent's part, with `child` (which never returns) at its end.
fn forks(code: &mut Vec<u8>, children: u16, child: &[u8]) {
    code.push(0xbe); // mov esi, children
    code.extend(u32::from(children).to_le_bytes());
    let mut wait = Vec::new();
    wait.push(0xbb); // mov ebx, -1: any child
    wait.extend((-1_i32).to_le_bytes());
    wait.extend([0x31, 0xc9]); // xor ecx, ecx
    wait.extend([0x31, 0xd2]); // xor edx, edx
    system_call(&mut wait, SYS_WAITPID);
    wait.extend([0x85, 0xc0]); // test eax, eax
    let back = i8::try_from(wait.len() + 2).map_or(0, i8::wrapping_neg);
    wait.extend([0x79, back.cast_unsigned()]); // jns: one ended, wait for the next
    exit(&mut wait, 0);

    // Each turn: fork (7), test (2), jz child (2), dec (1), jnz (2).
    system_call(code, SYS_FORK);
    code.extend([0x85, 0xc0]); // test eax, eax
    let over = u8::try_from(3 + wait.len()).unwrap_or(0);
    code.extend([0x74, over]); // jz: the child
    code.push(0x4e); // dec esi
    code.extend([0x75, 0xf2]); // jnz: 14 bytes back, the next fork
    code.extend(wait);
    code.extend_from_slice(child);
}

/// 7 bytes.
fn system_call(code: &mut Vec<u8>, number: u32) {
    code.push(0xb8); // mov eax, number
    code.extend(number.to_le_bytes());
    code.extend([0xcd, 0x80]); // int 0x80
}
