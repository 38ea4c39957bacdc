//! How large an image may be.

use anyhow::{Result, bail};

use super::layout::Part;
use super::recipe::Recipe;

/// So many sections are named when an image is too large.
const NAMED: usize = 5;

/// Whether a node has to pull no more than is allowed.
///
/// # Errors
/// If it has to; says what is large.
pub(super) fn check(recipe: &Recipe, part: &Part, sections: &[(String, u64)]) -> Result<()> {
    let Some(limit) = recipe.limit.filter(|limit| part.pulled > *limit) else {
        return Ok(());
    };
    let largest: Vec<_> = sections
        .iter()
        .take(NAMED)
        .map(|(name, size)| format!("{name} {}", mib(*size)))
        .collect();
    bail!(
        "{} for {} has {} to pull, and {} is the most. The largest sections of its program, not compressed: {}. \
         `cargo tree -e normal -p {}` shows what it is made of",
        recipe.name,
        part.arch.as_str(),
        mib(part.pulled),
        mib(limit),
        largest.join(", "),
        recipe.package
    )
}

/// As people read it.
pub(super) fn mib(bytes: u64) -> String {
    let hundredths = bytes * 100 / (1 << 20);
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::super::recipe;
    use super::*;
    use crate::vm::Arch;

    #[test]
    fn what_is_too_large_is_told_with_what_is_large() {
        let agent = &recipe::ALL[0];
        let part = |pulled| Part {
            arch: Arch::Arm64,
            manifest: String::new(),
            pulled,
            unpacked: 0,
        };
        let sections = [
            (".text".to_owned(), 9 << 20),
            (".rodata".to_owned(), 3 << 19),
        ];
        check(agent, &part(12 << 20), &sections).expect("just fits");
        let error = check(agent, &part((12 << 20) + 1), &sections).expect_err("too large");
        let error = error.to_string();
        assert!(error.contains("12.00 MiB is the most"), "{error}");
        assert!(
            error.contains(".text 9.00 MiB, .rodata 1.50 MiB"),
            "{error}"
        );
    }
}
