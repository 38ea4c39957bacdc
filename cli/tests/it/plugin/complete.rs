//! What shells are told.

use std::fs;
use std::process::Command;

use super::{Kubectl, place, run};

/// bash takes the script, and completes by it; kubectl's is run as kubectl runs it.
#[test]
fn shells_complete() {
    let program = env!("CARGO_BIN_EXE_archtrace");
    let bash = "source <(\"$0\" completions bash); COMP_WORDS=(archtrace emu); COMP_CWORD=1; \
                $(complete -p archtrace | sed 's/.*-F \\([^ ]*\\) .*/\\1/') archtrace emu archtrace; \
                echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", bash, program])
        .output()
        .expect("starts");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "emulated",
        "{output:?}"
    );
    for (shell, said) in [
        ("zsh", "#compdef archtrace"),
        ("fish", "complete -c archtrace"),
    ] {
        let output = Command::new(program)
            .args(["completions", shell])
            .output()
            .expect("starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(said) && text.contains("emulated"), "{shell}");
    }
    let dir = place(&Kubectl {
        get: "",
        forward: "",
    });
    let output = run(dir.path(), &["completions", "kubectl"], None);
    let script = dir.path().join("kubectl_complete-archtrace");
    fs::write(&script, &output.stdout).expect("is written");
    let mut command = Command::new("sh");
    command.arg(&script).args(["emulated", "--runn"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()));
    let output = command.output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split('\t').next().unwrap_or_default())
        .collect();
    assert_eq!(lines, ["--running", ":4"], "{output:?}");
}
