//! Volumes, as the kubelet makes them before a pod's containers are.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::Cluster;
use super::spec::{ConfigMap, HostPath, HostPathType, Item, Secret, Volume};

/// Where each volume of a pod is on the node, by its name.
pub(in crate::pods) type Places = BTreeMap<String, PathBuf>;

/// Makes `volumes`, and what `claims` name, below `dir`, for a pod whose files are of `group`.
pub(super) fn make(
    volumes: &[Volume],
    claims: &[String],
    group: Option<u32>,
    cluster: &Cluster,
    dir: &Path,
) -> Result<Places> {
    let mut places = Places::new();
    for volume in volumes {
        let own = dir.join(&volume.name);
        let place = place(volume, group, cluster, own);
        let place = place.with_context(|| format!("the volume {}", volume.name))?;
        places.insert(volume.name.clone(), place);
    }
    for claim in claims {
        // What a provisioner would have: an empty file system.
        let own = dir.join(claim);
        directory(&own, 0o755, group)?;
        places.insert(claim.clone(), own);
    }
    Ok(places)
}

fn place(volume: &Volume, group: Option<u32>, cluster: &Cluster, own: PathBuf) -> Result<PathBuf> {
    match volume {
        Volume {
            name: _,
            host_path: Some(HostPath { path, kind }),
            empty_dir: None,
            secret: None,
            config_map: None,
        } => {
            let path = PathBuf::from(path);
            match kind {
                Some(HostPathType::Directory) => {
                    ensure!(path.is_dir(), "{} is no directory", path.display());
                }
                Some(HostPathType::DirectoryOrCreate) if !path.exists() => {
                    directory(&path, 0o755, None)?;
                }
                Some(HostPathType::DirectoryOrCreate) | None => {}
            }
            Ok(path)
        }
        Volume {
            name: _,
            host_path: None,
            empty_dir: Some(_),
            secret: None,
            config_map: None,
        } => {
            directory(&own, 0o777, group)?;
            Ok(own)
        }
        Volume {
            name: _,
            host_path: None,
            empty_dir: None,
            secret: Some(secret),
            config_map: None,
        } => {
            let Secret {
                secret_name,
                default_mode,
                items,
            } = secret;
            let data = cluster.secrets.get(secret_name);
            let data = data.with_context(|| format!("there is no Secret {secret_name}"))?;
            files(&own, data, items.as_deref(), *default_mode, group)?;
            Ok(own)
        }
        Volume {
            name: _,
            host_path: None,
            empty_dir: None,
            secret: None,
            config_map: Some(map),
        } => {
            let ConfigMap {
                name,
                default_mode,
                items,
            } = map;
            let data = cluster.config_maps.get(name);
            let data = data.with_context(|| format!("there is no ConfigMap {name}"))?;
            files(&own, data, items.as_deref(), *default_mode, group)?;
            Ok(own)
        }
        _ => bail!("it is of no kind, or of several"),
    }
}

/// A Secret or a ConfigMap, once: here nobody changes one that is mounted.
fn files(
    dir: &Path,
    data: &BTreeMap<String, Vec<u8>>,
    items: Option<&[Item]>,
    mode: Option<u32>,
    group: Option<u32>,
) -> Result<()> {
    directory(dir, 0o755, group)?;
    let all: Vec<_>;
    let items = match items {
        Some(items) => items,
        None => {
            let item = |key: &String| Item {
                key: key.clone(),
                path: key.clone(),
            };
            all = data.keys().map(item).collect();
            &all
        }
    };
    for Item { key, path } in items {
        let content = data.get(key);
        let content = content.with_context(|| format!("there is no key {key}"))?;
        let file = dir.join(path);
        fs::write(&file, content).with_context(|| format!("write {}", file.display()))?;
        // Kubernetes' default of defaultMode.
        let mode = mode.unwrap_or(0o644);
        // As the kubelet does it for volumes that are read only (pkg/volume/volume_linux.go).
        let readable = if group.is_some() { 0o440 } else { 0 };
        owned(&file, mode | readable, group)?;
    }
    Ok(())
}

fn directory(path: &Path, mode: u32, group: Option<u32>) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
    // The same, of directories: what is made in them is of the group too.
    let shared = if group.is_some() { 0o2770 } else { 0 };
    owned(path, mode | shared, group)
}

fn owned(path: &Path, mode: u32, group: Option<u32>) -> Result<()> {
    // Before the mode, which it changes.
    chown(path, None, group).with_context(|| format!("give {} to a group", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("set the mode of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use serde_json::{Value, json};

    use super::*;

    fn made(volume: Value, dir: &Path) -> Result<Places> {
        let data = BTreeMap::from([
            ("tls.crt".to_owned(), b"certificate".to_vec()),
            ("tls.key".to_owned(), b"key".to_vec()),
        ]);
        let cluster = Cluster {
            secrets: BTreeMap::from([("tls".to_owned(), data)]),
            ..Cluster::default()
        };
        let own_group = nix::unistd::getegid().as_raw();
        let volume: Volume = serde_json::from_value(volume)?;
        make(
            &[volume],
            &["data".to_owned()],
            Some(own_group),
            &cluster,
            dir,
        )
    }

    #[test]
    fn a_secret_has_the_files_that_are_asked_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let volume = json!({ "name": "a", "secret": { "secretName": "tls", "defaultMode": 0o400,
            "items": [{ "key": "tls.key", "path": "other" }] } });
        let places = made(volume, dir.path()).expect("made");
        let names: Vec<_> = fs::read_dir(&places["a"])
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["other"]);
        let file = places["a"].join("other");
        assert_eq!(fs::read(&file).expect("read"), b"key");
        let mode = |path: &Path| path.metadata().expect("there").mode() & 0o7777;
        assert_eq!(mode(&file), 0o440);
        assert_eq!(mode(&places["data"]), 0o2775);
    }

    #[test]
    fn what_is_not_known_or_not_there_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        for volume in [
            json!({ "name": "a", "secret": { "secretName": "none" } }),
            json!({ "name": "a", "secret": { "secretName": "tls", "items": [{ "key": "b", "path": "b" }] } }),
            json!({ "name": "a", "configMap": { "name": "tls" } }),
            json!({ "name": "a", "hostPath": { "path": "/no/such/directory", "type": "Directory" } }),
            json!({ "name": "a", "hostPath": { "path": "/", "type": "Socket" } }),
            json!({ "name": "a", "emptyDir": {}, "secret": { "secretName": "tls" } }),
            json!({ "name": "a", "emptyDir": { "medium": "Memory" } }),
            json!({ "name": "a", "projected": { "sources": [] } }),
            json!({ "name": "a" }),
        ] {
            let text = volume.to_string();
            assert!(made(volume, dir.path()).is_err(), "{text}");
        }
    }
}
