use proptest::prelude::*;

use super::*;
use crate::layer::LayerRoom;

/// A layer as a list: names as in an archive's `.wh.` words, and what is there.
fn layer(entries: &[(&str, Node)]) -> Layer {
    let (mut layer, room) = (Layer::default(), LayerRoom::default());
    for (path, node) in entries {
        assert!(layer.push(path.as_bytes(), node.clone(), &room), "{path}");
    }
    layer
}

/// An ELF file for arm64.
fn elf() -> Node {
    let mut head = [0; 20];
    head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (head[16], head[18]) = (3, 183);
    Node::Elf {
        head,
        executable: true,
    }
}

fn link(target: &str) -> Node {
    Node::Symlink(target.as_bytes().into())
}

fn hard(target: &str) -> Node {
    Node::HardLink(target.as_bytes().into())
}

/// Where ELF files are after all layers.
fn check(layers: &[&[(&str, Node)]], expected: &[&str]) {
    let mut tree = Tree::default();
    for entries in layers {
        tree.apply(layer(entries));
    }
    let files = tree.nodes.iter();
    let files = files.filter(|(_, node)| matches!(node, Node::Elf { .. }));
    let files: Vec<_> = files
        .map(|(path, _)| String::from_utf8_lossy(path).into_owned())
        .collect();
    assert_eq!(files, expected, "{layers:?}");
}

#[test]
fn upper_layers_hide_lower_ones() {
    let base: &[_] = &[
        ("/a/x", elf()),
        ("/a/y", elf()),
        ("/b", elf()),
        ("/a-z", elf()),
    ];
    check(&[base], &["/a-z", "/a/x", "/a/y", "/b"]);
    check(&[base, &[("/a/x", Node::Removed)]], &["/a-z", "/a/y", "/b"]);
    check(&[base, &[("/a", Node::Removed)]], &["/a-z", "/b"]);
    check(&[base, &[("/a", Node::Opaque)]], &["/a-z", "/b"]);
    check(&[base, &[("", Node::Opaque)]], &[]);
    check(&[base, &[("/a/x", Node::Plain)]], &["/a-z", "/a/y", "/b"]);
    check(&[base, &[("/a", Node::Plain)]], &["/a-z", "/b"]);
    check(
        &[base, &[("/a", Node::Directory)]],
        &["/a-z", "/a/x", "/a/y", "/b"],
    );
    check(
        &[base, &[("/b", Node::Directory)]],
        &["/a-z", "/a/x", "/a/y"],
    );
    // Only what lower layers have is taken away, whatever the order.
    let same: &[_] = &[
        ("/a/z", elf()),
        ("/a", Node::Opaque),
        ("/b", Node::Removed),
        ("/b", elf()),
    ];
    check(&[base, same], &["/a-z", "/a/z", "/b"]);
    check(&[&[("/a", elf()), ("/a", Node::Plain)]], &[]);
}

#[test]
fn links_on_the_way_are_followed_inside_of_the_tree() {
    let merged: &[_] = &[("/lib", link("usr/lib")), ("/up", link("../../../usr"))];
    check(&[merged, &[("/lib/x", elf())]], &["/usr/lib/x"]);
    check(&[merged, &[("/up/lib/x", elf())]], &["/usr/lib/x"]);
    check(
        &[
            merged,
            &[("/lib/x", elf())],
            &[("/usr/lib/x", Node::Removed)],
        ],
        &[],
    );
    check(
        &[merged, &[("/usr/lib/x", elf())], &[("/lib/x", Node::Plain)]],
        &[],
    );
    // A link that is replaced leads nowhere any more.
    check(
        &[merged, &[("/lib", Node::Directory), ("/lib/x", elf())]],
        &["/lib/x"],
    );
    check(
        &[
            merged,
            &[
                ("/lib/x", elf()),
                ("/lib", Node::Directory),
                ("/lib/y", elf()),
            ],
        ],
        &["/lib/y", "/usr/lib/x"],
    );
    let circle: &[_] = &[("/a", link("b")), ("/b", link("a"))];
    check(&[circle, &[("/a/x", elf())]], &["/a/x"]);
}

#[test]
fn hard_links_are_what_their_target_is_at_that_time() {
    check(&[&[("/a", elf()), ("/b", hard("/a"))]], &["/a", "/b"]);
    check(
        &[
            &[("/a", elf())],
            &[("/b", hard("/a"))],
            &[("/a", Node::Removed)],
        ],
        &["/b"],
    );
    check(&[&[("/b", elf())], &[("/b", hard("/nothing"))]], &[]);
}

#[test]
fn the_entry_point_is_found_through_links_and_scripts() {
    let script = |text: &str| Node::Script(text.as_bytes().into());
    let files = [
        ("/usr/bin/dash", elf()),
        ("/usr/bin/sh", link("dash")),
        ("/bin", link("usr/bin")),
        ("/entry", script("#!/bin/sh\n")),
        ("/opt/app/server", elf()),
    ];
    for (entrypoint, env, dir, main) in [
        (&["/entry"][..], &[][..], "", Some("/usr/bin/dash")),
        (&["server"], &["PATH=/opt/app"], "", Some("/opt/app/server")),
        (&["./server"], &[], "/opt/app", Some("/opt/app/server")),
        (&["/bin/sh", "-c", "x"], &[], "", Some("/usr/bin/dash")),
        (&["/nothing"], &[], "", None),
        (&[], &[], "", None),
    ] {
        let mut tree = Tree::default();
        tree.apply(layer(&files));
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let run = Run {
            entrypoint: texts(entrypoint),
            env: texts(env),
            working_dir: dir.to_owned(),
            ..Run::default()
        };
        let audit = tree.audit(Arch::Amd64, &run);
        let told = audit.main.map(|(path, _)| path);
        assert_eq!(told.as_deref(), main, "{entrypoint:?}");
    }
}

/// Paths of few names, so that they meet.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]", 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        Just(elf()),
        Just(Node::Plain),
        Just(Node::Directory),
        Just(Node::Removed),
        Just(Node::Opaque),
        "(\\.\\./)?[ab]/?[ab]?".prop_map(|target| link(&target)),
        path().prop_map(|target| hard(&target)),
    ]
}

proptest! {
    /// Whatever layers hold: nothing lies below something that is no directory.
    #[test]
    fn a_tree_stays_a_tree(layers in prop::collection::vec(prop::collection::vec((path(), node()), 0..8), 0..4)) {
        let mut tree = Tree::default();
        for entries in &layers {
            let entries: Vec<_> = entries.iter().map(|(path, node)| (&**path, node.clone())).collect();
            tree.apply(layer(&entries));
        }
        for path in tree.nodes.keys() {
            let above = (1..path.len()).filter(|at| path[*at] == b'/').map(|at| &path[..at]);
            for dir in above {
                let is_circle = matches!(tree.nodes.get(dir), Some(Node::Symlink(_)));
                prop_assert!(is_circle || !tree.nodes.contains_key(dir), "{:?}", layers);
            }
        }
        let _ = tree.audit(Arch::Arm64, &Run::default());
    }
}
