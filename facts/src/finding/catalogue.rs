//! What is said of each finding.
//!
//! `<...>` in a command stands for what the evidence names.

use super::{Entry, Id, Severity};

/// Every finding, in the order of [`Id`].
pub const CATALOGUE: &[Entry] = &[
    Entry {
        id: Id::EmulatedProcess,
        severity: Severity::High,
        title: "A program runs under an emulator",
        meaning: "The program was built for another instruction set than the node's, and another \
            program interprets it. It works, so that nobody notices; but it has a third of the \
            node's throughput or less, and more nodes are paid for to make up for it. Usually the \
            image has no variant for this architecture, or one that holds files of another.",
        evidence: &[
            "arch",
            "node_arch",
            "binary",
            "emulator",
            "via",
            "count",
            "cpu_seconds",
        ],
        confirm: &[
            "archtrace emulated --namespace <namespace> --pod <pod> -o wide",
            "docker buildx imagetools inspect <image>   # is linux/<node_arch> among the platforms?",
            "kubectl exec -n <namespace> <pod> -c <container> -- od -An -tx1 -j18 -N2 <binary>   # 3e 00 is amd64, b7 00 arm64",
        ],
        fix: &[
            "Publish the image for both architectures under one tag, built natively or \
                cross-compiled, and roll it out again.",
            "Until then keep the pod on nodes of its own architecture: a required node affinity on \
                `kubernetes.io/arch`.",
            "Then size the workload anew: it was measured under emulation.",
        ],
    },
    Entry {
        id: Id::EmulatedBuild,
        severity: Severity::Low,
        title: "A build for another platform runs under an emulator",
        meaning: "BuildKit runs the steps of a build for another platform under its own emulator. \
            What comes out is right; it takes several times as long, and a slow pipeline is why \
            teams stop building for the second architecture.",
        evidence: &["via", "arch", "node_arch", "cpu_seconds"],
        confirm: &[
            "archtrace emulated --node <node> -o wide",
            "docker buildx ls   # has the builder a native node for this platform?",
        ],
        fix: &[
            "Build each platform on a machine of its own architecture, and join the results into \
                one manifest list (`docker buildx imagetools create`).",
            "Where the compiler can do it, cross-compile: `FROM --platform=$BUILDPLATFORM`, and \
                `$TARGETARCH` for the compiler.",
        ],
    },
    Entry {
        id: Id::ExecFormatError,
        severity: Severity::High,
        title: "The kernel refused a file of another architecture",
        meaning: "The file is an ELF program for an instruction set that this node neither runs nor \
            emulates. Whoever started it saw `exec format error`. The image was built for one \
            architecture only, its manifest names the wrong one, or a file of another was copied \
            into it.",
        evidence: &["arch", "node_arch", "binary", "cause", "errno"],
        confirm: &[
            "archtrace events --kind failed_exec --pod <pod>",
            "kubectl get node <node> -L kubernetes.io/arch",
            "docker buildx imagetools inspect <image>",
        ],
        fix: &[
            "Build the file, or the whole image, for this architecture.",
            "Until then keep the pod on nodes of the file's architecture: a required node affinity \
                on `kubernetes.io/arch`.",
            "Do not install an emulator to make the error go away: the pod then runs, slowly, and \
                nobody sees why.",
        ],
    },
    Entry {
        id: Id::MissingEmulator,
        severity: Severity::High,
        title: "A handler claims the file, but its emulator could not be started",
        meaning: "A handler of `binfmt_misc` claims the file, and the kernel did not find the emulator \
            that it names, or the dynamic loader of that emulator. Without the flag `F` both are \
            looked for inside of the container; with it, only the loader is. The error reads \
            `no such file or directory`, although the program is there.",
        evidence: &["arch", "binary", "cause", "errno", "handlers"],
        confirm: &[
            "archtrace nodes --node <node> -o json   # the handlers, their flags and interpreters",
            "grep -r . /proc/sys/fs/binfmt_misc/",
        ],
        fix: &[
            "Run the program natively: an image that has this architecture.",
            "If emulation is meant, register a statically linked emulator with the flag `F`.",
            "If it is not, take the handler out: `echo -1 > /proc/sys/fs/binfmt_misc/<name>`.",
        ],
    },
    Entry {
        id: Id::MissingInterpreter,
        severity: Severity::High,
        title: "The interpreter that the file names is not there",
        meaning: "A script's first line, or the `PT_INTERP` of a dynamically linked program, names a \
            file that does not exist in the container. The error reads `no such file or directory`, \
            although the program is there. Common: a program linked against glibc in an image with \
            musl, a 32-bit program without 32-bit libraries, a script whose lines end in CR LF.",
        evidence: &["binary", "arch", "cause", "errno"],
        confirm: &[
            "readelf -l <binary> | grep interpreter",
            "head -n1 <binary> | od -c   # \\r before \\n?",
        ],
        fix: &[
            "Put the interpreter into the image, or use a base image that has it.",
            "Link statically.",
            "Save the script with LF line ends.",
        ],
    },
    Entry {
        id: Id::WrongInterpreter,
        severity: Severity::High,
        title: "The interpreter that the file names does not fit",
        meaning: "The dynamic loader that the program names (`PT_INTERP`) is no ELF file or one of \
            another architecture, or what a script names cannot be executed. Layers of two \
            architectures are mixed in this image: often a library directory that was copied from \
            another stage or machine.",
        evidence: &["binary", "arch", "cause", "errno"],
        confirm: &[
            "readelf -l <binary> | grep interpreter",
            "od -An -tx1 -j18 -N2 <interpreter>   # 3e 00 is amd64, b7 00 arm64",
        ],
        fix: &["Build the image from layers of one architecture; check every `COPY --from`."],
    },
    Entry {
        id: Id::TruncatedBinary,
        severity: Severity::High,
        title: "The file is empty, or ends before its headers do",
        meaning: "The file was not written to its end: a copy or download that was cut off, a full \
            disk, an image layer damaged on its way, or a node that crashed before it wrote its \
            data. It has nothing to do with the architecture, although the error, \
            `exec format error`, is the same.",
        evidence: &["binary", "cause", "errno"],
        confirm: &[
            "kubectl debug -n <namespace> <pod> -it --image=busybox --target=<container> -- ls -l /proc/1/root<binary>",
        ],
        fix: &[
            "Pull the image again, by digest, after removing it from the node.",
            "If it is so on every node, build it again: the file is like that in the image.",
        ],
    },
    Entry {
        id: Id::CorruptBinary,
        severity: Severity::High,
        title: "The file is for this machine, but the kernel does not take its header",
        meaning: "The ELF header names this machine, and something in it is not what a program has: an \
            object file or a core dump that was made executable, program headers of a wrong size \
            or number, an interpreter name without an end.",
        evidence: &["binary", "arch", "cause", "errno"],
        confirm: &["readelf -hl <binary>"],
        fix: &[
            "Link the program; do not install what the compiler leaves in between.",
            "Pull or build the image again if `readelf` complains.",
        ],
    },
    Entry {
        id: Id::NoShebang,
        severity: Severity::Medium,
        title: "A script without a first line that names its interpreter",
        meaning: "The file is text, and does not start with `#!` and a name. A shell would run it all \
            the same, which is why it works when tried by hand; a container runtime or systemd \
            does not, and the container does not start. A byte order mark in front of `#!` has the \
            same effect.",
        evidence: &["binary", "comm", "cause", "errno"],
        confirm: &["head -c 16 <binary> | od -c"],
        fix: &[
            "Give the script a first line, such as `#!/bin/sh`, without anything in front of it.",
            "Or name the shell in the entry point: `[\"/bin/sh\", \"/script\"]`.",
        ],
    },
    Entry {
        id: Id::No32BitSupport,
        severity: Severity::High,
        title: "A 32-bit program where the node has no 32-bit mode",
        meaning: "The program is for the 32-bit instruction set of this CPU's family. Newer Arm server \
            CPUs have none, and kernels may be built or started without it.",
        evidence: &["arch", "node_arch", "runs_32bit", "binary"],
        confirm: &["lscpu | grep 'op-mode'"],
        fix: &[
            "Build the program for 64 bits.",
            "Until then keep the pod on nodes where `runs_32bit` is true.",
        ],
    },
    Entry {
        id: Id::WrongElfVariant,
        severity: Severity::High,
        title: "The file has this machine's number, but another byte order or width",
        meaning: "The ELF header names this CPU's family in a variant that its kernel does not run: \
            big-endian Arm, x32, or 32-bit pointers on 64-bit Arm. A toolchain was set to the wrong \
            target.",
        evidence: &["arch", "node_arch", "binary", "cause"],
        confirm: &["readelf -h <binary>   # Class and Data"],
        fix: &["Build for the usual target: `x86_64-linux-gnu`, `aarch64-linux-gnu`."],
    },
    Entry {
        id: Id::UnexplainedExecFailure,
        severity: Severity::Medium,
        title: "The kernel refused a file, and what was seen of it does not say why",
        meaning: "The file could not be read in time, or is of a kind that this agent does not know. A \
            program given by a descriptor that closes on exec is one: its interpreter or emulator \
            could not open it.",
        evidence: &["binary", "errno", "cause"],
        confirm: &["file <binary>", "strace -f -e execve,execveat <command>"],
        fix: &["Find out what the file is; the error number is in the event."],
    },
    Entry {
        id: Id::IllegalInstruction,
        severity: Severity::High,
        title: "A program died of an instruction that its CPU refused",
        meaning: "The program was built for a newer CPU of this architecture, or chose a code path \
            without asking what the CPU can do: AVX-512 on a CPU without it, SVE or LSE atomics on \
            an older Arm core. It runs on one generation of nodes and crashes on another. Where the \
            CPU has the extension, the kernel or a sandbox may not let programs use it. Programs \
            that try an instruction out and handle the signal are not meant.",
        evidence: &[
            "instruction",
            "binary",
            "pod",
            "cpu_generation",
            "cpu_features",
        ],
        confirm: &[
            "archtrace events --kind illegal_instruction --pod <pod> -o wide",
            "grep -m1 -E 'flags|Features' /proc/cpuinfo   # on the node",
            "objdump -d --start-address=<offset> <module> | head",
        ],
        fix: &[
            "Build for the oldest CPU it has to run on (`-march`, `-mcpu`, `GOAMD64`, \
                `target-cpu`), or choose the code path at run time.",
            "Update the library that the module names: many learnt to ask first.",
            "Until then keep the pod on nodes whose CPU has the extension.",
        ],
    },
    Entry {
        id: Id::TrapInstruction,
        severity: Severity::Low,
        title: "A program ended itself by a trap instruction",
        meaning: "The instruction is there to end the program: compilers put it where a check fails or \
            code must not be reached. It is a bug in the program, or a check that did its work, on \
            every CPU alike, and no question of architecture.",
        evidence: &["instruction", "binary", "pod"],
        confirm: &["archtrace events --kind illegal_instruction --pod <pod> -o wide"],
        fix: &["Look at what the program wrote before it died, and at its core dump."],
    },
    Entry {
        id: Id::EmulatedIllegalInstruction,
        severity: Severity::High,
        title: "An emulated program died of an illegal instruction",
        meaning: "The emulator does not know an instruction of its guest, typically a newer vector \
            extension, or the guest is broken. Which instruction it was cannot be told: the emulator \
            sends itself the signal.",
        evidence: &["arch", "binary", "emulator", "pod"],
        confirm: &["archtrace events --kind illegal_instruction --pod <pod> -o wide"],
        fix: &[
            "Run the program natively; see emulated-process.",
            "If it has to be emulated, build it for the base instruction set of its architecture.",
        ],
    },
    Entry {
        id: Id::EmulationAvailable,
        severity: Severity::Info,
        title: "The node is able to emulate another architecture",
        meaning: "A handler of `binfmt_misc` is registered for files of another machine. An image of \
            the wrong architecture will run here, slowly, instead of failing at once. Some \
            installers register it and never take it out.",
        evidence: &["handlers"],
        confirm: &[
            "archtrace nodes --node <node> -o json",
            "ls /proc/sys/fs/binfmt_misc/",
        ],
        fix: &[
            "Where nothing is meant to be emulated, take the handler out \
                (`echo -1 > /proc/sys/fs/binfmt_misc/<name>`) and look for the DaemonSet, package or \
                image that registers it.",
            "Keep handlers on build nodes only.",
        ],
    },
    Entry {
        id: Id::PodNotCovered,
        severity: Severity::Medium,
        title: "A pod's processes run under a kernel of their own, and are not seen",
        meaning: "The pod runs in gVisor, Kata Containers or another sandbox. Its execs never reach \
            the node's kernel. Nothing is known of it: it must not be counted as native.",
        evidence: &["uncovered"],
        confirm: &["kubectl get pod -n <namespace> <pod> -o jsonpath='{.spec.runtimeClassName}'"],
        fix: &[
            "Check the image instead: `docker buildx imagetools inspect <image>`.",
            "Run one replica without the sandbox to see what it executes.",
        ],
    },
    Entry {
        id: Id::AgentDegraded,
        severity: Severity::Low,
        title: "The agent sees less on this node than it could",
        meaning: "The kernel does not offer the hooks that see each pass of an exec. Emulation is then \
            told by the registry of `binfmt_misc`, and some failures without their file; or a hook \
            is missing altogether.",
        evidence: &["hooks", "missing", "kernel"],
        confirm: &["archtrace doctor   # on the node, as root"],
        fix: &[
            "Use a kernel with BTF, and BPF trampolines or kprobes: those of AL2023 and Bottlerocket \
                have them.",
            "Lockdown \"confidentiality\" forbids what the agent needs; \"integrity\" does not.",
        ],
    },
    Entry {
        id: Id::MislabelledImage,
        severity: Severity::High,
        title: "An image's files are not for the platform that it claims",
        meaning: "The image says that it is for one platform, and what it runs, or most of its ELF \
            files, are for another; or its index says another platform than its own configuration. \
            Nodes of the claimed platform pull it, and then it fails with `exec format error` or runs \
            under an emulator. Common: `docker build` on a machine of another architecture with \
            `--platform` set for the result only, a base image pinned by the digest of one \
            platform, a binary copied in from the build machine.",
        evidence: &["image", "platform", "expected", "arch", "main"],
        confirm: &[
            "docker buildx imagetools inspect <image> --raw   # what the index says",
            "crane config --platform <platform> <image>   # what the configuration says",
            "crane export --platform <platform> <image> - | tar -xO <main> | od -An -tx1 -j18 -N2   # 3e 00 is amd64, b7 00 arm64",
        ],
        fix: &[
            "Build each platform with `docker buildx build --platform <platform>`, on a machine of \
                that platform or with a compiler for it (`$TARGETARCH`).",
            "Pin base images by the digest of their index, not by that of one platform.",
            "Check every `COPY` and download of a binary: it must choose by `$TARGETARCH`.",
        ],
    },
    Entry {
        id: Id::WrongPlatformImage,
        severity: Severity::High,
        title: "What should run here is for another platform",
        meaning: "The image (or the root file system that was scanned) is for another architecture than \
            the one it should run on. Its programs fail with `exec format error`, or run under an \
            emulator if the node has one. An image of a single platform is pulled onto any node: the \
            container runtime only looks for the right platform where there is an index.",
        evidence: &["image", "platform", "arch", "expected", "node_arch"],
        confirm: &[
            "docker buildx imagetools inspect <image>   # is linux/<node_arch> among the platforms?",
            "archtrace scan <path> --arch <arch>   # is it clean for the other architecture?",
        ],
        fix: &[
            "Publish the image for both architectures under one tag.",
            "Until then keep its pods on nodes of its own architecture: a required node affinity on \
                `kubernetes.io/arch`.",
            "If it was scanned for the wrong architecture, name the right one: `archtrace scan --arch`.",
        ],
    },
    Entry {
        id: Id::MissingPlatform,
        severity: Severity::High,
        title: "An image has no variant for a platform that it should have",
        meaning: "The image's index names no manifest for the platform, or what was saved holds none of \
            its files. Nodes of that platform cannot run it: the pull fails with `no match for \
            platform in manifest`, or gets the variant of another architecture.",
        evidence: &["image", "platform", "has"],
        confirm: &[
            "docker buildx imagetools inspect <image>",
            "archtrace registry '<image>' -o wide",
            "skopeo inspect --raw oci-archive:<path>",
        ],
        fix: &[
            "Build for both: `docker buildx build --platform linux/amd64,linux/arm64`.",
            "If each platform is saved and scanned by itself, say which one: `archtrace scan --arch \
                arm64`, or `--platforms`.",
            "Save all platforms: `docker buildx build --output type=oci`, `skopeo copy --all`, `ctr \
                images export --all-platforms`.",
        ],
    },
    Entry {
        id: Id::ForeignProgram,
        severity: Severity::High,
        title: "A program in the image is for another architecture",
        meaning: "The image's main program, or one in a directory of `PATH`, is an ELF file of another \
            architecture. Whoever starts it gets `exec format error`, or an emulated process. Until \
            then nothing tells of it: health checks, migrations and shutdown hooks run late or rarely.",
        evidence: &["file", "arch", "expected", "role", "image", "platform"],
        confirm: &[
            "archtrace scan <path> --arch <expected> -o wide",
            "od -An -tx1 -j18 -N2 <file>   # 3e 00 is amd64, b7 00 arm64",
        ],
        fix: &[
            "Install the program for the image's architecture: by the package manager, or choose the \
                download by `$TARGETARCH`.",
            "Take it out, if nobody runs it.",
        ],
    },
    Entry {
        id: Id::ForeignLibrary,
        severity: Severity::High,
        title: "A library that programs would load is for another architecture",
        meaning: "A shared library where the loader looks for some, an add-on of Node.js, an extension \
            of a Python package, or the only native library of a jar or wheel is for another \
            architecture. Loading it fails with `invalid ELF header`, `wrong ELF class`, \
            `UnsatisfiedLinkError` or `ImportError`, as late as the code that needs it runs. Common: \
            `node_modules` or `site-packages` copied from a build machine, a vendor's client that \
            exists for amd64 only.",
        evidence: &["file", "arch", "expected", "role", "image", "platform"],
        confirm: &[
            "archtrace scan <path> --arch <expected> -o wide",
            "od -An -tx1 -j18 -N2 <file>   # 3e 00 is amd64, b7 00 arm64",
            "unzip -l <jar> '*.so'   # what else is in it?",
        ],
        fix: &[
            "Install dependencies inside of the image's own build (`npm ci`, `pip install`), for its \
                platform, instead of copying them in.",
            "Use a version of the package that has files for both architectures.",
            "If the vendor has none for this architecture, keep the pod on nodes of the other one: a \
                required node affinity on `kubernetes.io/arch`.",
        ],
    },
    Entry {
        id: Id::ForeignFile,
        severity: Severity::Low,
        title: "A file in the image is for another architecture",
        meaning: "A program or library of another architecture, in a place where nothing looks for it by \
            itself. It matters if something runs or loads it by its path: a plug-in, a bundled tool, an \
            agent to be copied elsewhere.",
        evidence: &["file", "arch", "expected", "role", "image", "platform"],
        confirm: &[
            "archtrace scan <path> --arch <expected> -o wide",
            "od -An -tx1 -j18 -N2 <file>   # 3e 00 is amd64, b7 00 arm64",
        ],
        fix: &[
            "Replace it by the file for the image's architecture, or put that one beside it.",
            "Take it out, if nobody needs it.",
        ],
    },
];
