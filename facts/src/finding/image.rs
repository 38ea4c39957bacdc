//! Which findings an image is, by what it claims and what its files are.

use super::Id;
use crate::arch::Arch;
use crate::audit::{Audit, Role};

/// The findings that an image, or a tree of files that claims nothing, is: each once, in the order of
/// the catalogue. `claimed` is the platform by which it is offered, `node` the machine that it is to
/// run on.
#[must_use]
pub fn of_image(claimed: Option<Arch>, node: Option<Arch>, audit: &Audit) -> Vec<Id> {
    let really = really(audit);
    let is_foreign = |arch: Option<Arch>, to: Option<Arch>| {
        arch.zip(to).is_some_and(|(arch, to)| !runs_on(arch, to))
    };
    let mislabelled = is_foreign(really, claimed).then_some(Id::MislabelledImage);
    let wrong = is_foreign(claimed.or(really), node).then_some(Id::WrongPlatformImage);
    let files = audit.foreign.iter().map(|file| of_foreign(file.role));
    let mut ids: Vec<_> = mislabelled.into_iter().chain(wrong).chain(files).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The findings that an image is before its files were looked at.
#[must_use]
pub fn of_claim(claimed: Option<Arch>, node: Option<Arch>) -> Vec<Id> {
    let both = claimed.zip(node);
    let wrong = both.is_some_and(|(claimed, node)| !runs_on(claimed, node));
    wrong
        .then_some(Id::WrongPlatformImage)
        .into_iter()
        .collect()
}

/// The finding that a file of another architecture is.
#[must_use]
pub fn of_foreign(role: Role) -> Id {
    match role {
        Role::Main | Role::Program => Id::ForeignProgram,
        Role::Library
        | Role::NodeAddon
        | Role::PythonExtension
        | Role::JarEntry
        | Role::WheelEntry => Id::ForeignLibrary,
        Role::Other => Id::ForeignFile,
    }
}

/// The architecture that an image is for in truth: that of what it runs; where nobody knows what that
/// is, that of more than half of its ELF files. `None` if there are none, or too many kinds.
#[must_use]
pub fn really(audit: &Audit) -> Option<Arch> {
    if let Some((_, arch)) = audit.main {
        return Some(arch);
    }
    // Programs for GPUs and microcontrollers say nothing of the image's own machine.
    let known = || {
        let elf = audit.elf.iter();
        elf.filter(|(arch, _)| !matches!(arch, Arch::Other(_) | Arch::Unknown))
    };
    let all: u64 = known().map(|(_, count)| count).sum();
    known()
        .find(|(_, count)| *count > all / 2)
        .map(|(arch, _)| *arch)
}

/// Whether CPUs of kind `node` may run programs for `arch`.
fn runs_on(arch: Arch, node: Arch) -> bool {
    arch == node || node.compat() == Some(arch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch::{Amd64, Arm, Arm64, I386};
    use crate::audit::Foreign;

    fn audit(main: Option<Arch>, elf: &[(Arch, u64)], foreign: &[Role]) -> Audit {
        let foreign = foreign.iter().map(|role| Foreign {
            path: "/x".to_owned(),
            arch: Amd64,
            role: *role,
        });
        Audit {
            expected: Arm64,
            files: 0,
            bytes: 0,
            elf: elf.to_vec(),
            main: main.map(|arch| ("/app".to_owned(), arch)),
            foreign: foreign.collect(),
            more_foreign: 0,
            skipped: Vec::new(),
        }
    }

    fn check(claimed: Option<Arch>, node: Option<Arch>, audit: &Audit, ids: &[&str]) {
        let told: Vec<_> = of_image(claimed, node, audit)
            .into_iter()
            .map(Id::as_str)
            .collect();
        assert_eq!(told, ids, "{claimed:?} {node:?} {audit:?}");
    }

    #[test]
    fn what_runs_decides_and_then_what_most_files_are() {
        let claims = Some(Arm64);
        check(claims, None, &audit(None, &[], &[]), &[]);
        check(claims, None, &audit(Some(Arm64), &[(Amd64, 9)], &[]), &[]);
        let mislabelled = &["mislabelled-image"];
        let main = audit(Some(Amd64), &[(Arm64, 9)], &[]);
        check(claims, None, &main, mislabelled);
        let most = audit(None, &[(Amd64, 9), (Arm64, 1)], &[]);
        check(claims, None, &most, mislabelled);
        check(claims, Some(Arm64), &most, mislabelled);
        // Half of it, or none that anybody could tell.
        check(
            claims,
            None,
            &audit(None, &[(Amd64, 1), (Arm64, 1)], &[]),
            &[],
        );
        check(
            claims,
            None,
            &audit(None, &[(Arch::Other(224), 9)], &[]),
            &[],
        );
        // The 32-bit mode of the same CPUs.
        check(claims, None, &audit(Some(Arm), &[], &[]), &[]);
        check(Some(Amd64), None, &audit(Some(I386), &[], &[]), &[]);
        check(Some(Amd64), None, &audit(Some(Arm), &[], &[]), mislabelled);
    }

    #[test]
    fn a_node_wants_its_own_platform() {
        let wrong = &["wrong-platform-image"];
        let amd64 = audit(Some(Amd64), &[], &[]);
        check(Some(Amd64), Some(Arm64), &amd64, wrong);
        check(Some(Amd64), Some(Amd64), &amd64, &[]);
        check(None, Some(Arm64), &amd64, wrong);
        check(None, None, &amd64, &[]);
        let both = &["mislabelled-image", "wrong-platform-image"];
        check(
            Some(Amd64),
            Some(Arm64),
            &audit(Some(Arm64), &[], &[]),
            both,
        );
    }

    #[test]
    fn files_are_findings_by_their_role() {
        for (role, id) in [
            (Role::Main, "foreign-program"),
            (Role::Program, "foreign-program"),
            (Role::Library, "foreign-library"),
            (Role::NodeAddon, "foreign-library"),
            (Role::PythonExtension, "foreign-library"),
            (Role::JarEntry, "foreign-library"),
            (Role::WheelEntry, "foreign-library"),
            (Role::Other, "foreign-file"),
        ] {
            check(Some(Arm64), None, &audit(None, &[], &[role, role]), &[id]);
        }
    }
}
