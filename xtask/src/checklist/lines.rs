//! What a perfect detector gets right.

/// A part of the checklist and its lines. Their numbers go through all parts, from 1.
pub(super) const PARTS: [(&str, &[&str]); 7] = [
    (
        "Emulated through binfmt_misc",
        &[
            "without flags the emulator is looked for in the container; it may be missing",
            "`F`: the emulator was opened before, its path does not exist in the container",
            "`OCF`",
            "`P`, `POCF`: an extra argument",
            "Rosetta",
            "box64",
            "FEX",
            "a renamed emulator",
            "a script whose interpreter is foreign",
            "handlers of what is no ELF file: not foreign",
            "executed by a descriptor (`execveat`)",
            "a handler registered in another user namespace",
        ],
    ),
    (
        "Emulated without binfmt_misc",
        &[
            "`qemu-<arch> ./x`, `box64 ./x`: known by what they are and what they map",
            "BuildKit's emulator in front of a build step",
            "its children, by `/proc/self/exe`",
        ],
    ),
    (
        "Failed",
        &[
            "a foreign ELF file without a handler",
            "a truncated or empty file",
            "this machine's ELF header, but corrupt",
            "text without `#!`",
            "an ELF interpreter that is missing or not for this machine",
            "a 32-bit file where nothing runs it",
            "the other byte order, x32, the wrong class",
        ],
    ),
    (
        "Native",
        &[
            "386 on amd64 and arm on arm64, where they run: compat",
            "a foreign helper beside a native program",
            "a mislabelled image",
            "foreign libraries in the file system of a native program",
        ],
    ),
    (
        "SIGILL",
        &[
            "fatal, native: the instruction, its extension, whether this CPU has it",
            "handled: a probe and no crash",
            "inside of an emulator: the guest is named",
            "sent by kill: nobody's instruction",
            "gone within a millisecond, in a cgroup that is gone too: still attributed",
        ],
    ),
    (
        "Around",
        &[
            "processes older than the agent",
            "`kubectl exec`",
            "gVisor and Kata: said to be not covered (Fargate has no node that an agent could run on)",
            "the agent restarted: nothing lost without a word, nothing doubled",
            "pages of 64 KiB",
            "a thread that executes another program",
        ],
    ),
    (
        "Hostile",
        &[
            "names with escapes, line breaks, bytes that are no text, as long as a path can be",
            "more distinct binaries than are kept apart",
            "FIFOs, loops of links and devices where a file is looked for",
        ],
    ),
];
