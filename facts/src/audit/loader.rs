//! Where the dynamic loader was told to look.

/// What a file of the loader's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Directories to look for libraries in.
    pub dirs: Vec<Vec<u8>>,
    /// Patterns of further files, such as `/etc/ld.so.conf.d/*.conf`.
    pub includes: Vec<Vec<u8>>,
}

/// Directories and patterns of one file that are heeded: real ones have a handful.
const MAX_LINES: usize = 256;

/// Reads `/etc/ld.so.conf` or a file that it includes, as `parse_conf` of glibc's elf/ldconfig.c does.
/// Only absolute paths count.
#[must_use]
pub fn loader_config(text: &[u8]) -> LoaderConfig {
    let mut config = LoaderConfig::default();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let line = line.trim_ascii();
        let (into, paths) = match line.strip_prefix(b"include") {
            Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => {
                (&mut config.includes, rest)
            }
            _ => (&mut config.dirs, line),
        };
        for path in paths.split(|byte| b" \t,:".contains(byte)) {
            if path.starts_with(b"/") && into.len() < MAX_LINES {
                // libc5's way to name a kind of library: /usr/lib=libc6.
                let path = path.split(|byte| *byte == b'=').next().unwrap_or_default();
                let end = path.iter().rposition(|byte| *byte != b'/');
                into.push(path[..end.map_or(0, |end| end + 1)].to_vec());
            }
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directories_and_includes_are_read() {
        for (text, dirs, includes) in [
            (
                "include /etc/ld.so.conf.d/*.conf\n",
                &[][..],
                &["/etc/ld.so.conf.d/*.conf"][..],
            ),
            (
                "# Multiarch\n/usr/lib/x86_64-linux-gnu/\n/lib\n",
                &["/usr/lib/x86_64-linux-gnu", "/lib"],
                &[],
            ),
            ("/a:/b,/c /d=libc6 # /e\n", &["/a", "/b", "/c", "/d"], &[]),
            ("relative\nhwcap 1 nosegneg\n", &[], &[]),
            ("/includes\n", &["/includes"], &[]),
            ("", &[], &[]),
        ] {
            let bytes =
                |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            let expected = LoaderConfig {
                dirs: bytes(dirs),
                includes: bytes(includes),
            };
            assert_eq!(loader_config(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text: Vec<u8>) {
            let config = loader_config(&text);
            prop_assert!(config.dirs.len() <= MAX_LINES);
        }
    }
}
