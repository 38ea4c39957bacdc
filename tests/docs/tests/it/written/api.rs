//! `docs/api-reference.md`, made from the protocol and its comments.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MessageOptions, MethodDescriptorProto,
};

use super::{cell, check};
use crate::protocol::{self, FILES, PACKAGE};

const HEAD: &str = "\
# gRPC reference

Every service, message and field of the protocol, from `proto/archtrace/v1`. This page is written by
`cargo xtask docs --write`. How to ask is said in [gRPC](api.md).
";

/// Numbers of fields in descriptors: what paths to comments are made of (`descriptor.proto`).
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const MEMBERS: i32 = 2;
const INNER_ENUMS: i32 = 4;

#[test]
fn the_protocol_is_told() {
    let (mut text, set) = (HEAD.to_owned(), protocol::read());
    for name in FILES {
        let path = protocol::path(name);
        let file = set.file.iter().find(|file| file.name() == path);
        told(&mut text, file.expect("it is one of them"));
    }
    check("docs/api-reference.md", &text);
}

/// Comments by the path of what they are about.
struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations.map(|location| {
            let said = [location.leading_comments(), location.trailing_comments()].concat();
            (location.path.clone(), cell(&said))
        });
        Self(comments.collect())
    }

    fn about(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}

fn told(text: &mut String, file: &FileDescriptorProto) {
    let comments = Comments::of(file);
    for (at, service) in (0..).zip(&file.service) {
        let path = [SERVICES, at];
        let _ = write!(text, "\n## {}\n\n", service.name());
        paragraph(text, comments.about(&path));
        text.push_str("| RPC | takes | answers | |\n|---|---|---|---|\n");
        for (at, method) in (0..).zip(&service.method) {
            let about = comments.about(&[&path[..], &[MEMBERS, at]].concat());
            let _ = writeln!(text, "| {} | {about} |", signature(method));
        }
    }
    for (at, message) in (0..).zip(&file.message_type) {
        let name = message.name();
        let mut inner = message.nested_type.iter();
        assert!(inner.all(is_map), "{name} has messages of its own");
        let _ = write!(text, "\n### {name}\n\n");
        let path = [MESSAGES, at];
        paragraph(text, comments.about(&path));
        fields(text, message, &path, &comments);
        for (at, values) in (0..).zip(&message.enum_type) {
            let path = [&path[..], &[INNER_ENUMS, at]].concat();
            let name = format!("{name}.{}", values.name());
            enumeration(text, &name, values, &path, &comments);
        }
    }
    for (at, values) in (0..).zip(&file.enum_type) {
        enumeration(text, values.name(), values, &[ENUMS, at], &comments);
    }
}

fn paragraph(text: &mut String, said: &str) {
    if !said.is_empty() {
        let _ = write!(text, "{said}\n\n");
    }
}

fn signature(method: &MethodDescriptorProto) -> String {
    let message = |name: &str, streams: bool| {
        let stream = if streams { "stream of " } else { "" };
        format!("{stream}{}", link(name))
    };
    let takes = message(method.input_type(), method.client_streaming());
    let answers = message(method.output_type(), method.server_streaming());
    format!("`{}` | {takes} | {answers}", method.name())
}

fn fields(text: &mut String, message: &DescriptorProto, path: &[i32], comments: &Comments) {
    if message.field.is_empty() {
        text.push_str("It has no fields.\n");
        return;
    }
    text.push_str("| field | number | type | |\n|---|--:|---|---|\n");
    for (at, field) in (0..).zip(&message.field) {
        let one_of = field.oneof_index.filter(|_| !field.proto3_optional());
        let one_of = one_of.and_then(|at| message.oneof_decl.get(usize::try_from(at).ok()?));
        let one_of = one_of
            .map(|one| format!("One of `{}`. ", one.name()))
            .unwrap_or_default();
        let about = comments.about(&[path, &[MEMBERS, at]].concat());
        let (name, number, kind) = (field.name(), field.number(), kind(message, field));
        let _ = writeln!(
            text,
            "| `{name}` | {number} | {kind} | {} |",
            format!("{one_of}{about}").trim()
        );
    }
}

/// What the compiler makes of `map<K, V>`: a list of such pairs.
fn is_map(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(MessageOptions::map_entry)
}

fn kind(of: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = of.nested_type.iter().find(|inner| {
        let name = field.type_name().rsplit('.').next();
        is_map(inner) && name == Some(inner.name())
    });
    if let Some([key, value]) = entry.map(|entry| &entry.field[..]) {
        return format!("map of {} to {}", kind(of, key), kind(of, value));
    }
    let kind = match field.r#type() {
        Type::Message | Type::Enum => link(field.type_name()),
        kind => {
            let name = kind.as_str_name().trim_start_matches("TYPE_");
            format!("`{}`", name.to_lowercase())
        }
    };
    match field.label() {
        Label::Repeated => format!("list of {kind}"),
        _ if field.proto3_optional() => format!("optional {kind}"),
        _ => kind,
    }
}

/// Types of others are those of protobuf itself.
fn link(name: &str) -> String {
    match name.strip_prefix(PACKAGE) {
        Some(own) => format!("[`{own}`](#{})", own.to_lowercase().replace('.', "")),
        None => format!("`{}`", name.trim_start_matches('.')),
    }
}

fn enumeration(
    text: &mut String,
    name: &str,
    values: &EnumDescriptorProto,
    path: &[i32],
    comments: &Comments,
) {
    let _ = write!(text, "\n### {name}\n\n");
    paragraph(text, comments.about(path));
    text.push_str("| value | number | |\n|---|--:|---|\n");
    for (at, value) in (0..).zip(&values.value) {
        let about = comments.about(&[path, &[MEMBERS, at]].concat());
        let (name, number) = (value.name(), value.number());
        let _ = writeln!(text, "| `{name}` | {number} | {about} |");
    }
}
