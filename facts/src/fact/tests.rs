use super::*;

fn key(cgroup: &str, binary: &str) -> FactKey {
    FactKey {
        cgroup: cgroup.to_owned(),
        binary: binary.to_owned(),
        path_resolved: true,
        arch: Arch::Arm64,
        mode: Mode::Emulated,
        emulator: Some("/usr/bin/qemu-aarch64".to_owned()),
        via: Some(Via::BinfmtMisc),
        cause: None,
    }
}

#[test]
fn ids_are_stable_and_do_not_run_fields_together() {
    assert_eq!(
        format!("{:?}", key("/a", "/bin/x").id()),
        "6ba5e5aefee2b133b129b8747e4f7cdf"
    );
    let other = FactKey {
        via: Some(Via::Direct),
        ..key("/a", "/bin/x")
    };
    assert_ne!(other.id(), key("/a", "/bin/x").id());
    assert_eq!(key("/a", "/bin/x").id(), key("/a", "/bin/x").id());
    assert_ne!(key("/a", "/b/c").id(), key("/a/b", "/c").id());
    assert_ne!(key("", "/a").id(), key("/a", "").id());
}

#[test]
fn words_are_read_back_and_others_refused() {
    for mode in Mode::ALL {
        assert_eq!(mode.as_str().parse(), Ok(*mode));
    }
    for stage in Stage::ALL {
        assert_eq!(stage.as_str().parse(), Ok(*stage));
    }
    let error = "emulatd".parse::<Mode>().expect_err("misspelt");
    assert_eq!(
        error.to_string(),
        "'emulatd' is no execution mode; the known ones are native, compat, emulated, failed"
    );
}
