//! `binfmt_misc` entries: which files a handler claims, and for which machine.
//!
//! Format: Documentation/admin-guide/binfmt-misc.rst, and `entry_status` in fs/binfmt_misc.c,
//! which prints what an entry's file holds:
//!
//! ```text
//! enabled
//! interpreter /usr/bin/qemu-aarch64-static
//! flags: OCF
//! offset 0
//! magic 7f454c460201010000000000000000000200b700
//! mask ffffffffffffff00fffffffffffffffffeffffff
//! ```

use std::time::SystemTime;

use crate::arch::Arch;
use crate::elf::Ident;
use crate::text::escape;

/// One handler that is registered with the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name of the entry's file, printable.
    pub name: String,
    /// Whether the kernel uses it.
    pub enabled: bool,
    /// The program put in front of the file, byte for byte as registered; this is what the kernel
    /// leaves in `linux_binprm.interp`.
    pub interpreter: Vec<u8>,
    /// The letters the kernel prints: `P`, `O`, `C`, `F`.
    pub flags: String,
    /// How it recognises a file.
    pub matcher: Matcher,
    /// When it was registered, where whoever read it knows.
    pub since: Option<SystemTime>,
}

/// How a handler recognises its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// By the end of the file's name, after the last dot.
    Extension(String),
    /// By bytes in the file; `mask` is as long as `magic`, all ones where none was registered.
    Magic {
        /// Where `magic` is looked for, in bytes from the file's start.
        offset: usize,
        /// The bytes.
        magic: Vec<u8>,
        /// Which bits of them count.
        mask: Vec<u8>,
    },
}

/// An entry that does not read like one of the kernel's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("binfmt_misc entry '{entry}': {what}")]
pub struct ParseRuleError {
    entry: String,
    what: &'static str,
}

/// The kernel accepts registrations of at most this many bytes (`MAX_REGISTER_LENGTH`,
/// fs/binfmt_misc.c); what an entry prints is bounded by a small multiple of it.
pub const MAX_ENTRY_LEN: usize = 3 * 1920;

impl Rule {
    /// Reads the content of the entry's file. `name` is the file's name.
    ///
    /// # Errors
    /// What is missing or malformed, with the entry's name.
    pub fn parse(name: &[u8], content: &[u8]) -> Result<Self, ParseRuleError> {
        let fail = |what| ParseRuleError {
            entry: escape(name),
            what,
        };
        let mut lines = content.split(|byte| *byte == b'\n');
        let enabled = match lines.next() {
            Some(b"enabled") => true,
            Some(b"disabled") => false,
            _ => return Err(fail("the first line is neither 'enabled' nor 'disabled'")),
        };
        let interpreter = lines
            .next()
            .and_then(|line| line.strip_prefix(b"interpreter "))
            .ok_or_else(|| fail("the second line names no interpreter"))?;
        let flags = lines
            .next()
            .and_then(|line| line.strip_prefix(b"flags: "))
            .ok_or_else(|| fail("the third line holds no flags"))?;
        Ok(Self {
            name: escape(name),
            enabled,
            interpreter: interpreter.to_vec(),
            flags: escape(flags),
            matcher: parse_matcher(lines).map_err(fail)?,
            since: None,
        })
    }

    /// The machine whose ELF files this handler claims; `None` for handlers of other files (by
    /// extension, or with a magic that is not ELF's), which say nothing about a CPU.
    #[must_use]
    pub fn ident(&self) -> Option<Ident> {
        let Matcher::Magic {
            offset: 0, magic, ..
        } = &self.matcher
        else {
            return None;
        };
        Ident::of(magic)
    }

    /// [`Rule::ident`] in Kubernetes' words.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        self.ident().map(Arch::of)
    }

    /// Whether the kernel would hand the file that starts with `head` to this handler. Handlers by
    /// extension never match here: a name is not asked for.
    #[must_use]
    pub fn claims(&self, head: &[u8]) -> bool {
        let Matcher::Magic {
            offset,
            magic,
            mask,
        } = &self.matcher
        else {
            return false;
        };
        let Some(bytes) = head.get(*offset..).and_then(|rest| rest.get(..magic.len())) else {
            return false;
        };
        self.enabled
            && bytes
                .iter()
                .zip(magic)
                .zip(mask)
                .all(|((byte, magic), mask)| (byte ^ magic) & mask == 0)
    }
}

fn parse_matcher<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Matcher, &'static str> {
    let (mut offset, mut magic, mut mask) = (None, None, None);
    for line in lines {
        if let Some(extension) = line.strip_prefix(b"extension ") {
            return Ok(Matcher::Extension(escape(
                extension.strip_prefix(b".").unwrap_or(extension),
            )));
        } else if let Some(text) = line.strip_prefix(b"offset ") {
            let text = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            offset = Some(text.ok_or("its offset is no number")?);
        } else if let Some(hex) = line.strip_prefix(b"magic ") {
            magic = Some(unhex(hex).ok_or("its magic is not hexadecimal")?);
        } else if let Some(hex) = line.strip_prefix(b"mask ") {
            mask = Some(unhex(hex).ok_or("its mask is not hexadecimal")?);
        }
    }
    let magic = magic.ok_or("it has neither magic nor extension")?;
    let mask = mask.unwrap_or_else(|| vec![0xff; magic.len()]);
    if mask.len() != magic.len() {
        return Err("its mask is not as long as its magic");
    }
    Ok(Matcher::Magic {
        offset: offset.unwrap_or(0),
        magic,
        mask,
    })
}

fn unhex(hex: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = hex.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AARCH64: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\n\
        mask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn parse(content: &str) -> Result<Rule, ParseRuleError> {
        Rule::parse(b"test", content.as_bytes())
    }

    #[test]
    fn entries_are_read_as_the_kernel_prints_them() {
        let with =
            |magic: &str| format!("enabled\ninterpreter /i\nflags: \noffset 0\nmagic {magic}\n");
        for (content, expected) in [
            (AARCH64.to_owned(), Ok(Some(Arch::Arm64))),
            // s390x is big-endian, and so is its magic.
            (with("7f454c4602020100000000000000000000020016"), Ok(Some(Arch::S390x))),
            // Too short to hold e_machine, not ELF, not at the start, by extension.
            (with("7f454c4602"), Ok(None)),
            (with("cafebabe"), Ok(None)),
            ("disabled\ninterpreter /i\nflags: P\nextension .exe\n".to_owned(), Ok(None)),
            ("enabled\ninterpreter /i\nflags: \noffset 4\nmagic 7f454c460201010000000000000000000200b700\n".to_owned(), Ok(None)),
            (String::new(), Err("the first line is neither 'enabled' nor 'disabled'")),
            ("garbage".to_owned(), Err("the first line is neither 'enabled' nor 'disabled'")),
            ("enabled\n".to_owned(), Err("the second line names no interpreter")),
            ("enabled\ninterpreter /i\n".to_owned(), Err("the third line holds no flags")),
            ("enabled\ninterpreter /i\nflags: \n".to_owned(), Err("it has neither magic nor extension")),
            (with("7f4"), Err("its magic is not hexadecimal")),
            (with("zz"), Err("its magic is not hexadecimal")),
            (with("7f45") + "mask ff\n", Err("its mask is not as long as its magic")),
        ] {
            let arch = parse(&content).map(|rule| rule.arch()).map_err(|error| error.what);
            assert_eq!(arch, expected, "{content}");
        }
    }

    #[test]
    fn a_handler_claims_the_files_its_mask_lets_through() {
        let rule = parse(AARCH64).expect("a real entry");
        let mut head = [0; 64];
        head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        head[16] = 3; // ET_DYN: the mask lets it pass beside ET_EXEC.
        head[18] = 183;
        assert!(rule.claims(&head));
        assert!(!rule.claims(&head[..19]));
        head[18] = 62;
        assert!(!rule.claims(&head));
    }

    proptest! {
        #[test]
        fn no_entry_makes_it_panic(name: Vec<u8>, content: Vec<u8>) {
            let _ = Rule::parse(&name, &content);
        }

        #[test]
        fn no_almost_valid_entry_makes_it_panic(offset: u64, magic in "[0-9a-f]{0,40}", head: Vec<u8>) {
            let content = format!("enabled\ninterpreter /i\nflags: \noffset {offset}\nmagic {magic}\n");
            if let Ok(rule) = parse(&content) {
                let _ = (rule.claims(&head), rule.arch());
            }
        }
    }
}
