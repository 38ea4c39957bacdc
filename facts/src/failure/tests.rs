use super::*;
use crate::elf::header::ET_EXEC;
use crate::fact::Cause::*;
use proptest::prelude::*;

/// An ELF file of `size` bytes as the kernel takes it: a header and two program headers.
fn elf_file(class: u8, data: u8, machine: u16, size: usize) -> Vec<u8> {
    let half = |value: u16| match data {
        2 => value.to_be_bytes(),
        _ => value.to_le_bytes(),
    };
    let mut bytes = vec![0; 256];
    bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data, 1]);
    bytes[16..18].copy_from_slice(&half(ET_EXEC));
    bytes[18..20].copy_from_slice(&half(machine));
    let (phoff, phentsize, header, entry) = if class == 2 {
        (32 + if data == 2 { 7 } else { 0 }, 54, 64, 56)
    } else {
        (28 + if data == 2 { 3 } else { 0 }, 42, 52, 32)
    };
    bytes[phoff] = header;
    bytes[phentsize..phentsize + 2].copy_from_slice(&half(entry));
    bytes[phentsize + 2..phentsize + 4].copy_from_slice(&half(2));
    bytes[header.into()..usize::from(header) + 2 * usize::from(entry)].fill(1);
    bytes.truncate(size);
    bytes
}

fn with(mut bytes: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    bytes[at] = value;
    bytes
}

/// The same file, its size known and all that is seen of it being its own; and as
/// `linux_binprm.buf` holds it: filled up, its size unknown.
fn check(node: Arch, runs_32bit: Option<bool>, errno: i32, bytes: &[u8], expected: [Cause; 2]) {
    let padded = [bytes, &[0; 256]].concat();
    for (bytes, size, expected) in [
        (bytes, Some(bytes.len() as u64), expected[0]),
        (&padded[..256.max(bytes.len())], None, expected[1]),
    ] {
        let refused = Refused {
            errno,
            head: None,
            file: Some(FileStart { bytes, size }),
            interpreter: None,
            claimed: false,
        };
        let told = cause(node, runs_32bit, &refused);
        assert_eq!(told, expected, "{node} {errno} {size:?} {bytes:02x?}");
    }
}

#[test]
fn a_file_that_nothing_took_tells_why() {
    let amd64 = |bytes: &[u8], expected| check(Arch::Amd64, Some(true), ENOEXEC, bytes, expected);
    let whole = || elf_file(2, 1, 62, 256);
    // Foreign, however short the file is: whole, it would be refused as well.
    amd64(&elf_file(2, 1, 183, 256), [ForeignElf; 2]);
    amd64(&elf_file(2, 1, 183, 20), [ForeignElf; 2]);
    amd64(&elf_file(2, 2, 22, 256), [ForeignElf; 2]);
    amd64(&elf_file(1, 1, 40, 256), [ForeignElf; 2]);
    amd64(&elf_file(2, 1, 0, 256), [Other; 2]);
    // Cut off.
    amd64(b"", [EmptyFile, Other]);
    for len in [1, 4, 5, 6, 19, 20, 33, 54] {
        amd64(&whole()[..len], [TruncatedElf; 2]);
    }
    for len in [56, 63, 64, 100] {
        amd64(&whole()[..len], [TruncatedElf; 2]);
    }
    amd64(&with(whole(), 39, 0x80), [TruncatedElf; 2]);
    // Too little is missing to be told from what is there without knowing the size.
    amd64(&whole()[..175], [TruncatedElf, CorruptElf]);
    // Whole, and not as the kernel wants it: e_type, e_phentsize, e_phnum, what is behind.
    for (at, value) in [(16, 1), (16, 4), (54, 57), (56, 0), (57, 0xff), (8, 1)] {
        amd64(&with(whole(), at, value), [CorruptElf; 2]);
    }
    amd64(&with(whole(), 4, 0), [CorruptElf; 2]);
    amd64(&with(with(whole(), 5, 9), 18, 1), [Other; 2]);
    // This machine's number, and yet not this machine.
    amd64(&elf_file(1, 1, 62, 256), [WrongClass; 2]);
    amd64(&elf_file(2, 1, 3, 256), [WrongClass; 2]);
    amd64(&elf_file(2, 2, 62, 256), [WrongByteOrder; 2]);
    check(
        Arch::Arm64,
        None,
        ENOEXEC,
        &elf_file(1, 1, 183, 256),
        [WrongClass; 2],
    );
    check(
        Arch::Arm64,
        None,
        ENOEXEC,
        &elf_file(2, 2, 183, 256),
        [WrongByteOrder; 2],
    );
    check(
        Arch::Arm64,
        None,
        ENOEXEC,
        &elf_file(1, 2, 40, 256),
        [WrongByteOrder; 2],
    );
    check(
        Arch::S390x,
        None,
        ENOEXEC,
        &elf_file(1, 2, 22, 256),
        [WrongClass; 2],
    );
    // The 32-bit mode.
    let armhf = elf_file(1, 1, 40, 256);
    check(Arch::Arm64, Some(false), ENOEXEC, &armhf, [No32Bit; 2]);
    check(Arch::Arm64, None, ENOEXEC, &armhf, [Other; 2]);
    check(Arch::Arm64, Some(true), ENOEXEC, &armhf, [CorruptElf; 2]);
    amd64(&with(elf_file(1, 1, 3, 256), 42, 7), [CorruptElf; 2]);
    check(
        Arch::Amd64,
        Some(false),
        ENOEXEC,
        &elf_file(1, 1, 3, 256),
        [No32Bit; 2],
    );
    // Not ELF.
    amd64(b"echo hello\n", [NoShebang; 2]);
    amd64("\u{feff}#!/bin/sh\necho\n".as_bytes(), [NoShebang; 2]);
    amd64(&[b'x'; 300], [NoShebang; 2]);
    amd64(b"#!\n", [NoShebang; 2]);
    amd64(b"#! \t", [NoShebang; 2]);
    amd64(&[b"#!/".as_slice(), &[b'x'; 300]].concat(), [NoShebang; 2]);
    amd64(
        &[b"#!/bin/sh ".as_slice(), &[b'x'; 300]].concat(),
        [WrongInterpreter; 2],
    );
    amd64(b"#!/opt/tool\n", [WrongInterpreter; 2]);
    amd64(b"MZ\x90\0\x03", [Other; 2]);
    amd64(b"\xca\xfe\xba\xbe\0\0\0\x41", [Other; 2]);
    amd64(b"text\0and more", [Other; 2]);
}

#[test]
fn what_was_not_seen_is_not_concluded() {
    let whole = elf_file(2, 1, 62, 256);
    for (len, size, expected) in [
        (20, None, Other),
        (20, Some(4096), Other),
        (20, Some(20), TruncatedElf),
        (32, Some(63), TruncatedElf),
        (64, Some(4096), CorruptElf),
        (64, Some(100), TruncatedElf),
        (64, None, CorruptElf),
        (64, Some(64), TruncatedElf),
    ] {
        let bytes = &whole[..len];
        let refused = Refused {
            errno: ENOEXEC,
            head: None,
            file: Some(FileStart { bytes, size }),
            interpreter: None,
            claimed: false,
        };
        assert_eq!(
            cause(Arch::Amd64, None, &refused),
            expected,
            "{len} {size:?}"
        );
    }
}

#[test]
fn what_was_taken_needs_something_else() {
    let (native, armhf) = (elf_file(2, 1, 183, 256), elf_file(1, 1, 40, 256));
    let foreign = elf_file(2, 1, 62, 256);
    let emulator: Option<&[u8]> = Some(b"/qemu");
    for (errno, bytes, interpreter, claimed, expected) in [
        (ENOENT, &native[..], None, false, MissingInterpreter),
        (ENOENT, &armhf, None, false, MissingInterpreter),
        (ENOENT, &armhf, emulator, true, MissingEmulator),
        (
            ENOENT,
            &native,
            Some(&b"/a/script's"[..]),
            false,
            MissingInterpreter,
        ),
        (
            ENOENT,
            b"#!/bin/sh\r\n",
            Some(b"/bin/sh\r"),
            false,
            MissingInterpreter,
        ),
        (ENOENT, &foreign, emulator, true, MissingEmulator),
        (ENOENT, &foreign, emulator, false, MissingEmulator),
        (
            ENOENT,
            b"\xca\xfe\xba\xbe",
            Some(b"/jexec"),
            true,
            MissingEmulator,
        ),
        (ENOENT, b"\xca\xfe\xba\xbe", Some(b"/jexec"), false, Other),
        // By a descriptor that closes on exec.
        (ENOENT, &foreign, None, true, Other),
        (ENOENT, b"#!/bin/sh\n", None, false, Other),
        (ELIBBAD, &native, None, false, WrongInterpreter),
        // No number, or none that is the file's fault.
        (0, &foreign, None, false, ForeignElf),
        (0, &native, None, false, Other),
        (5, &native, None, false, Other),
    ] {
        let refused = Refused {
            errno,
            head: None,
            file: Some(FileStart { bytes, size: None }),
            interpreter,
            claimed,
        };
        let told = cause(Arch::Arm64, None, &refused);
        assert_eq!(
            told, expected,
            "{errno} {interpreter:?} {claimed} {bytes:02x?}"
        );
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        errno in prop::sample::select(vec![0, ENOENT, ENOEXEC, ELIBBAD, 13]),
        start in prop::sample::select(vec![&b""[..], b"#!", b"\x7fELF", b"\x7fELF\x02\x01", b"\x7fELF\x01\x02"]),
        rest: Vec<u8>,
        size: Option<u64>,
        runs_32bit: Option<bool>,
        interpreter: Option<Vec<u8>>,
        claimed: bool,
    ) {
        let bytes = &[start, &rest].concat();
        let refused = Refused {
            errno,
            head: None,
            file: Some(FileStart { bytes, size }),
            interpreter: interpreter.as_deref(),
            claimed,
        };
        for node in [Arch::Amd64, Arch::Arm64, Arch::S390x, Arch::Unknown] {
            let _ = cause(node, runs_32bit, &refused);
        }
    }

    #[test]
    fn a_foreign_machine_is_always_named(len in 20usize..256, size: Option<u64>, rest: [u8; 256]) {
        let mut bytes = elf_file(2, 1, 243, 20);
        bytes.extend(&rest[..len - 20]);
        let size = size.map(|size| size.max(20));
        let refused = Refused {
            errno: ENOEXEC,
            head: None,
            file: Some(FileStart { bytes: &bytes, size }),
            interpreter: None,
            claimed: false,
        };
        prop_assert_eq!(cause(Arch::Arm64, None, &refused), ForeignElf);
    }
}
