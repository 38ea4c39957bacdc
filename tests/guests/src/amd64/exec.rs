//! Programs that execute others, or pretend to interpret them. At entry `rsp` points to `argc`,
//! followed by the arguments (System V ABI for x86-64, 3.4.1).

use super::{exit, pause};
use crate::Emulator;

/// `execve(argv[1], &argv[1], NULL)`, and status 1 where that fails.
pub(super) fn exec(code: &mut Vec<u8>) {
    code.extend([
        0x48, 0x8b, 0x7c, 0x24, 0x10, // mov rdi, [rsp + 16]
        0x48, 0x8d, 0x74, 0x24, 0x10, // lea rsi, [rsp + 16]
        0x31, 0xd2, // xor edx, edx
        0xb8, 59, 0, 0, 0, // mov eax, execve
        0x0f, 0x05, // syscall
    ]);
    exit(code, 1);
}

/// [`exec`], of what looks like an emulator.
pub(super) fn exec_by_emulator(code: &mut Vec<u8>) {
    exec(code);
    code.extend(Emulator::Qemu.strings());
}

/// [`exec`] by another thread than the first, which sleeps.
pub(super) fn exec_in_thread(code: &mut Vec<u8>) {
    code.extend([
        0x48, 0x89, 0xe3, // mov rbx, rsp
        // CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
        0xbf, 0x00, 0x0f, 0x05, 0x00, // mov edi, flags
        0x48, 0x8d, 0xb4, 0x24, 0x00, 0xf0, 0xff, 0xff, // lea rsi, [rsp - 4096]
        0x31, 0xd2, // xor edx, edx
        0x45, 0x31, 0xd2, // xor r10d, r10d
        0x45, 0x31, 0xc0, // xor r8d, r8d
        0xb8, 56, 0, 0, 0, // mov eax, clone
        0x0f, 0x05, // syscall
        0x48, 0x89, 0xdc, // mov rsp, rbx: both find the arguments there
        0x85, 0xc0, // test eax, eax
        0x74, 0x09, // jz over the pause
    ]);
    pause(code);
    exec(code);
}

/// `times` a child that does [`exec`], one after another.
pub(super) fn shell(code: &mut Vec<u8>, times: u32) {
    code.push(0xbb); // mov ebx, times
    code.extend(times.to_le_bytes());
    code.extend([
        0xb8, 57, 0, 0, 0, // mov eax, fork
        0x0f, 0x05, // syscall
        0x85, 0xc0, // test eax, eax
        0x74, 0x20, // jz to the child
        0x89, 0xc7, // mov edi, eax
        0x31, 0xf6, // xor esi, esi
        0x31, 0xd2, // xor edx, edx
        0x45, 0x31, 0xd2, // xor r10d, r10d
        0xb8, 61, 0, 0, 0, // mov eax, wait4
        0x0f, 0x05, // syscall
        0xff, 0xcb, // dec ebx
        0x75, 0xe1, // jnz to the fork
    ]);
    exit(code, 0);
    exec(code);
}

/// Maps the first page of the file named last, and sleeps.
pub(super) fn load(code: &mut Vec<u8>, emulator: Emulator) {
    if emulator == Emulator::BuildKit {
        again(code);
    }
    code.extend([
        0x48, 0x8b, 0x04, 0x24, // mov rax, [rsp]
        0x48, 0x8b, 0x3c, 0xc4, // mov rdi, [rsp + 8 * rax]
        0x31, 0xf6, // xor esi, esi: O_RDONLY
        0xb8, 2, 0, 0, 0, // mov eax, open
        0x0f, 0x05, // syscall
        0x41, 0x89, 0xc0, // mov r8d, eax
        0x31, 0xff, // xor edi, edi
        0xbe, 0x00, 0x10, 0x00, 0x00, // mov esi, 4096
        0xba, 1, 0, 0, 0, // mov edx, PROT_READ
        0x41, 0xba, 2, 0, 0, 0, // mov r10d, MAP_PRIVATE
        0x45, 0x31, 0xc9, // xor r9d, r9d
        0xb8, 9, 0, 0, 0, // mov eax, mmap
        0x0f, 0x05, // syscall
    ]);
    pause(code);
    code.extend(emulator.strings());
}

/// With a single argument: starts itself again, as BuildKit's emulator does for children of its
/// guest.
fn again(code: &mut Vec<u8>) {
    code.extend([
        0x48, 0x83, 0x3c, 0x24, 0x02, // cmp qword [rsp], 2
        0x75, 0x3c, // jne behind the strings
        0x48, 0x8b, 0x5c, 0x24, 0x08, // mov rbx, [rsp + 8]
        0x48, 0x8b, 0x6c, 0x24, 0x10, // mov rbp, [rsp + 16]
        0x6a, 0x00, // push 0
        0x55, // push rbp: the file
        0x55, // push rbp: its argv[0]
        0x48, 0x8d, 0x05, 0x24, 0x00, 0x00, 0x00, // lea rax, "-0"
        0x50, // push rax
        0x53, // push rbx
        0x48, 0x89, 0xe6, // mov rsi, rsp
        0x48, 0x8d, 0x3d, 0x09, 0x00, 0x00, 0x00, // lea rdi, "/proc/self/exe"
        0x31, 0xd2, // xor edx, edx
        0xb8, 59, 0, 0, 0, // mov eax, execve
        0x0f, 0x05, // syscall
    ]);
    code.extend_from_slice(b"/proc/self/exe\0-0\0");
}
