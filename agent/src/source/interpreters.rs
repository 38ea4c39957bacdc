//! What the programs are told of interpreter strings, where they cannot see the guest itself.

use std::collections::HashMap;

use archtrace_ebpf::abi::{Interpreter, hash_interpreter};
use archtrace_facts::arch::Arch;
use archtrace_facts::binfmt::Rule;
use archtrace_facts::elf::{Class, Data, Ident};

/// Interpreters of scripts that are remembered; each saves the programs a question. More than a
/// node's images use, fewer than the map holds.
const MAX_PLAIN: usize = 512;

/// The content of the map, by hash.
#[derive(Default)]
pub(crate) struct Interpreters {
    plain: HashMap<u64, Interpreter>,
}

impl Interpreters {
    /// Remembers that `name` reads scripts. Whether it was new.
    pub(crate) fn learn_plain(&mut self, seed: u64, name: &[u8]) -> bool {
        if self.plain.len() >= MAX_PLAIN {
            return false;
        }
        let reader = Interpreter {
            machine: 0,
            ident: 0,
            emulator: 0,
            _pad: 0,
        };
        self.plain
            .insert(hash_interpreter(seed, name), reader)
            .is_none()
    }

    /// What the map shall hold, given the registered handlers; a handler outweighs what was
    /// learned.
    pub(crate) fn table(&self, seed: u64, rules: &[Rule]) -> HashMap<u64, Interpreter> {
        let mut table = self.plain.clone();
        for rule in rules {
            if let Some(ident) = rule.ident() {
                let hash = hash_interpreter(seed, &rule.interpreter);
                table.insert(hash, emulator(rules, &rule.interpreter, ident));
            }
        }
        table
    }
}

/// Where handlers of several machines share an interpreter, the machine is left open.
fn emulator(rules: &[Rule], interpreter: &[u8], ident: Ident) -> Interpreter {
    let shared = rules
        .iter()
        .filter(|rule| rule.interpreter == interpreter)
        .filter_map(Rule::arch)
        .any(|arch| arch != Arch::of(ident));
    let (machine, ident) = if shared {
        (0, 0)
    } else {
        (ident.machine, ident_bits(ident))
    };
    Interpreter {
        machine,
        ident,
        emulator: 1,
        _pad: 0,
    }
}

/// Class and byte order as [`archtrace_ebpf::abi::ident`] packs them.
pub(crate) fn ident_bits(ident: Ident) -> u8 {
    let class = match ident.class {
        Class::Elf32 => 1,
        Class::Elf64 => 2,
    };
    let data = match ident.data {
        Data::Little => 1,
        Data::Big => 2,
    };
    class | data << archtrace_ebpf::abi::ident::DATA_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(interpreter: &str, machine: u8) -> Rule {
        let content = format!(
            "enabled\ninterpreter {interpreter}\nflags: F\noffset 0\nmagic 7f454c460201010000000000000000000200{machine:02x}00\n"
        );
        Rule::parse(b"rule", content.as_bytes()).expect("well formed")
    }

    #[test]
    fn handlers_outweigh_scripts_and_shared_ones_leave_the_machine_open() {
        let mut interpreters = Interpreters::default();
        interpreters.learn_plain(7, b"/bin/sh");
        interpreters.learn_plain(7, b"/qemu");
        let rules = [rule("/qemu", 183), rule("/box", 62), rule("/box", 243)];
        let table = interpreters.table(7, &rules);
        let of = |name: &[u8]| {
            table
                .get(&hash_interpreter(7, name))
                .map(|known| (known.emulator, known.machine))
        };
        assert_eq!(of(b"/bin/sh"), Some((0, 0)));
        assert_eq!(of(b"/qemu"), Some((1, 183)));
        assert_eq!(of(b"/box"), Some((1, 0)));
        assert_eq!(of(b"/other"), None);
    }
}
