//! The task iterator: calls a program of ours once for every task of the node.

use std::io::Read as _;

use aya::programs::{Iter, ProgramError};
use aya::{Btf, Ebpf};

use super::programs::reason;

/// Loads the iterator; it runs only when [`iterate`] is called.
pub(crate) fn load(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), String> {
    let program = program(ebpf)?;
    program.load("task", btf).map_err(|error| reason(&error))?;
    iterate(ebpf)
}

/// Calls the program for every task alive: some 1 us each.
pub(crate) fn iterate(ebpf: &mut Ebpf) -> Result<(), String> {
    let program = program(ebpf)?;
    let mut file = (|| {
        let link = program.attach()?;
        let link = program.take_link(link)?;
        link.into_file()
            .map_err(|error| ProgramError::IOError(std::io::Error::other(error)))
    })()
    .map_err(|error| reason(&error))?;
    // It prints nothing; reading to the end is what makes it run.
    file.read_to_end(&mut Vec::new())
        .map(drop)
        .map_err(|error| format!("reading the task iterator: {error}"))
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Iter, String> {
    let program = ebpf
        .program_mut("iter_tasks")
        .ok_or("the object has no iter_tasks")?;
    program
        .try_into()
        .map_err(|error: ProgramError| error.to_string())
}
