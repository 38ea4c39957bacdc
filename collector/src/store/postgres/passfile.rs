//! libpq's file of passwords: <https://www.postgresql.org/docs/15/libpq-pgpass.html>.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The password of the first line whose host, port, database and user are these. A file that is not there
/// or that others may read has none.
pub(super) fn find(path: &Path, wanted: [&str; 4]) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "not read for a password: others may read it; chmod 600");
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| password(line, wanted))
}

fn password(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line.chars();
    for wanted in wanted {
        let (field, ended) = field(&mut rest, true);
        if !ended || (field != "*" && field != wanted) {
            return None;
        }
    }
    Some(field(&mut rest, false).0)
}

/// The text up to a colon (or to the end), in which a backslash takes a character as it is; and whether
/// there was a colon.
fn field(rest: &mut std::str::Chars<'_>, to_colon: bool) -> (String, bool) {
    let mut field = String::new();
    while let Some(c) = rest.next() {
        match c {
            ':' if to_colon => return (field, true),
            '\\' => field.extend(rest.next()),
            _ => field.push(c),
        }
    }
    (field, false)
}

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn lines_are_read_as_libpq_does() {
        for (line, found) in [
            ("h:5432:d:u:p", Some("p")),
            ("*:*:*:*:p:q\\\\", Some("p:q\\")),
            ("h:5432:d:u:", Some("")),
            ("h:5432:d:u", None),
            ("# h:5432:d:u:p", None),
            ("H:5432:d:u:p", None),
            ("", None),
        ] {
            let password = password(line, ["h", "5432", "d", "u"]);
            assert_eq!(password.as_deref(), found, "{line}");
        }
        let wanted = ["a:b", "1", "d", "u"];
        assert_eq!(password(r"a\:b:1:d:u:p", wanted).as_deref(), Some("p"));
    }
}
