//! One program: loading, attaching, detaching.

use aya::programs::{
    BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint, TracePoint,
};
use aya::{Btf, Ebpf};

/// Loads and attaches one program to what its section names.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf, name: &str) -> Result<(), String> {
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| format!("the object has no {name}"))?;
    let attached = match program {
        Program::FEntry(program) => fentry(program, btf),
        Program::FExit(program) => fexit(program, btf),
        Program::KProbe(program) => kprobe(program, name),
        Program::TracePoint(program) => tracepoint(program, name),
        Program::BtfTracePoint(program) => btf_tracepoint(program, btf, name),
        Program::RawTracePoint(program) => raw_tracepoint(program, name),
        _ => return Err(format!("{name} is of an unexpected kind")),
    };
    attached.map_err(|error| reason(&error))
}

const PASS: &str = "security_bprm_check";
const RETURN: &str = "bprm_execve";

fn fentry(program: &mut FEntry, btf: &Btf) -> Result<(), ProgramError> {
    program.load(PASS, btf)?;
    program.attach().map(drop)
}

fn fexit(program: &mut FExit, btf: &Btf) -> Result<(), ProgramError> {
    program.load(RETURN, btf)?;
    program.attach().map(drop)
}

fn kprobe(program: &mut KProbe, name: &str) -> Result<(), ProgramError> {
    program.load()?;
    program
        .attach(
            if name.starts_with("header") {
                PASS
            } else {
                RETURN
            },
            0,
        )
        .map(drop)
}

fn tracepoint(program: &mut TracePoint, name: &str) -> Result<(), ProgramError> {
    program.load()?;
    let event = if name.ends_with("at") {
        "sys_exit_execveat"
    } else {
        "sys_exit_execve"
    };
    program.attach("syscalls", event).map(drop)
}

fn btf_tracepoint(program: &mut BtfTracePoint, btf: &Btf, name: &str) -> Result<(), ProgramError> {
    program.load(event(name), btf)?;
    program.attach().map(drop)
}

fn raw_tracepoint(program: &mut RawTracePoint, name: &str) -> Result<(), ProgramError> {
    program.load()?;
    program.attach(event(name)).map(drop)
}

fn event(program: &str) -> &'static str {
    match program.split('_').next() {
        Some("fork") => "sched_process_fork",
        Some("free") => "sched_process_free",
        Some("signal") => "signal_deliver",
        Some("cgroup") => "cgroup_mkdir",
        _ => "sched_process_exec",
    }
}

/// Detaches and unloads programs.
pub(super) fn detach(ebpf: &mut Ebpf, programs: &[&str]) {
    for name in programs {
        // Not loaded is fine: an earlier step failed. Unloading drops its links too.
        let _ = match ebpf.program_mut(name) {
            Some(Program::FEntry(program)) => program.unload(),
            Some(Program::FExit(program)) => program.unload(),
            Some(Program::KProbe(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            Some(Program::BtfTracePoint(program)) => program.unload(),
            Some(Program::RawTracePoint(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

/// A program's error in one line; the verifier's log goes to the debug log.
pub(super) fn reason(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            tracing::debug!(log = %verifier_log, "verifier");
            let log = verifier_log.to_string();
            let last = log.lines().rev().find(|line| {
                // What follows the reason is statistics.
                !["processed", "stack depth", "verification time"]
                    .iter()
                    .any(|word| line.starts_with(word))
                    && !line.is_empty()
            });
            match last {
                Some(line) => format!("not loaded: {io_error} ({line})"),
                None => format!("not loaded: {io_error}"),
            }
        }
        other => other
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}
