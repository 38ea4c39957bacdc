//! Blocks of shell, taken apart into commands. The shell itself says where one ends.

use std::process::{Command, Stdio};

/// The commands of a block, each as it is written, comments of their own lines left out.
///
/// # Errors
/// If the block does not end where a command does, or there is no bash.
pub fn commands(text: &str) -> Result<Vec<String>, String> {
    let (mut commands, mut begun) = (Vec::new(), String::new());
    for line in text.lines() {
        if begun.is_empty() && (line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        begun.push_str(line);
        if line.ends_with('\\') || !is_whole(&begun)? {
            begun.push('\n');
            continue;
        }
        commands.push(std::mem::take(&mut begun).trim_start().to_owned());
    }
    if begun.is_empty() {
        Ok(commands)
    } else {
        Err(format!("is no whole command: {begun}"))
    }
}

/// Whether bash takes it, with words for what readers put in themselves: `<node>` would be a redirection. It
/// only warns of a here-document without an end.
fn is_whole(command: &str) -> Result<bool, String> {
    let output = Command::new("bash")
        .args(["-n", "-c", &filled_in(command)])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("bash: {error}"))?;
    Ok(output.status.success() && output.stderr.is_empty())
}

/// `a <node>` with a word: `a node`.
fn filled_in(command: &str) -> String {
    let mut parts = command.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase());
        match part.split_once('>') {
            Some((name, rest)) if is_name(name) => text.extend([name, rest]),
            _ => text.extend(["<", part]),
        }
    }
    text
}

/// Whether it sets something that what comes behind it needs: a variable, a function, or a variable that has its
/// exit code.
#[must_use]
pub fn sets(command: &str) -> bool {
    let is_name = |text: &str| {
        let mut letters = text.chars();
        !text.is_empty() && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    let defines = command
        .split_once("() {")
        .is_some_and(|(name, _)| is_name(name));
    let ending = command
        .strip_suffix("=$?")
        .and_then(|text| text.rsplit_once("; "));
    let keeps_code = ending.is_some_and(|(_, name)| is_name(name));
    command.starts_with("export ") || defines || keeps_code
}

/// The words of a simple command that is written in full: quotes are taken off, and it ends at a pipe, a
/// redirection, a list operator or a comment.
#[must_use]
pub fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(mark), _) if letter == mark => quote = None,
            (None, '\\') if letters.peek() == Some(&'\n') => {
                letters.next();
            }
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            (None, '|' | ';' | '&' | '>' | '<') => break,
            (None, '#') if word.is_none() => break,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_apart() {
        let text =
            "# why\na b   # c\n\nx \\\n  y\nfor i in 1; do\n  z\ndone\ncat <<'EOF'\nq\nEOF\n";
        assert_eq!(
            commands(text).expect("whole"),
            [
                "a b   # c",
                "x \\\n  y",
                "for i in 1; do\n  z\ndone",
                "cat <<'EOF'\nq\nEOF"
            ]
        );
        assert_eq!(
            commands("a <b> | c < d\n").expect("whole"),
            ["a <b> | c < d"]
        );
        assert!(commands("if true; then\n").is_err());
    }

    #[test]
    fn words_are_told_apart() {
        let check =
            |command: &str, expected: &[&str]| assert_eq!(words(command), expected, "{command}");
        check("a --b 'c d' \"e\"f  # g", &["a", "--b", "c d", "ef"]);
        check("a \\\n  b | c", &["a", "b"]);
        check("a 'x' && b", &["a", "x"]);
        check("a x#y ''", &["a", "x#y", ""]);
        for command in ["export A=b", "ask() { x; }", "a b; code=$?"] {
            assert!(sets(command), "{command}");
        }
        assert!(!sets("a b"));
    }
}
