//! The protocol, as its files say it, and questions in documents that are asked by it.

use archtrace_docs::page::root;
use archtrace_docs::{Page, shell};
use prost_types::field_descriptor_proto::Type;
use prost_types::{
    DescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
};
use serde_json::Value;

/// What every name of a type begins with.
pub(crate) const PACKAGE: &str = ".archtrace.v1.";
/// Its files, the questions first.
pub(crate) const FILES: [&str; 4] = ["query", "coverage", "model", "ingest"];

/// Compiled, with comments.
pub(crate) fn read() -> FileDescriptorSet {
    let compiler = protox::Compiler::new([root().join("proto")]);
    let mut compiler = compiler.expect("the directory is there");
    compiler.include_source_info(true).include_imports(true);
    for name in FILES {
        let path = path(name);
        let opened = compiler.open_file(&path);
        opened.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    compiler.file_descriptor_set()
}

pub(crate) fn path(name: &str) -> String {
    format!("archtrace/v1/{name}.proto")
}

/// The type of this name.
fn message<'a>(set: &'a FileDescriptorSet, name: &str) -> Option<&'a DescriptorProto> {
    let name = name.strip_prefix(PACKAGE)?;
    let mut messages = set.file.iter().flat_map(|file| &file.message_type);
    messages.find(|message| message.name() == name)
}

/// What a question is made of, if it is one: `archtrace.v1.Query/ListFacts`.
fn input<'a>(set: &'a FileDescriptorSet, method: &str) -> Option<&'a DescriptorProto> {
    let (service, method) = method.strip_prefix("archtrace.v1.")?.split_once('/')?;
    let services = set.file.iter().flat_map(|file| &file.service);
    let mut services = services.filter(|found| found.name() == service);
    let mut methods = services.next()?.method.iter();
    message(
        set,
        methods.find(|found| found.name() == method)?.input_type(),
    )
}

/// That `value` is such a message, in JSON.
fn check(set: &FileDescriptorSet, of: &DescriptorProto, value: &Value) -> Result<(), String> {
    let object = value
        .as_object()
        .ok_or_else(|| format!("{value} is no {}", of.name()))?;
    for (key, value) in object {
        let mut fields = of.field.iter();
        let field = fields.find(|field| field.name() == key || field.json_name() == key);
        let field = field.ok_or_else(|| format!("{} has no field {key}", of.name()))?;
        let values = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        values.iter().try_for_each(|value| one(set, field, value))?;
    }
    Ok(())
}

fn one(set: &FileDescriptorSet, field: &FieldDescriptorProto, value: &Value) -> Result<(), String> {
    let fits = match field.r#type() {
        Type::Message => match message(set, field.type_name()) {
            Some(message) => return check(set, message, value),
            // Times and durations are texts.
            None => value.is_string(),
        },
        Type::Enum => {
            let values = set
                .file
                .iter()
                .flat_map(|file| &file.enum_type)
                .flat_map(|values| &values.value);
            let mut names = values.map(EnumValueDescriptorProto::name);
            names.any(|name| value == name)
        }
        Type::String => value.is_string(),
        Type::Bool => value.is_boolean(),
        _ => value.is_number(),
    };
    let told = || format!("{value} is nothing for {}", field.name());
    if fits { Ok(()) } else { Err(told()) }
}

#[test]
fn questions_in_documents_are_the_protocols() {
    let set = read();
    let mut found = 0;
    for page in Page::all() {
        for block in page.blocks().iter().filter(|block| block.language == "sh") {
            for command in shell::commands(&block.text).unwrap_or_default() {
                let words = shell::words(&command);
                let is_one = words
                    .first()
                    .is_some_and(|word| word == "ask" || word == "grpcurl");
                let Some(method) = words.iter().find(|word| is_one && word.contains(".Query/"))
                else {
                    continue;
                };
                let at = format!("{}:{}: {command}", page.path, block.line);
                let message =
                    input(&set, method).unwrap_or_else(|| panic!("{at}: there is no {method}"));
                found += 1;
                let data = words.iter().skip_while(|word| *word != "-d").nth(1);
                // What a shell has put in is known when it is asked.
                let Some(data) = data.filter(|data| !data.contains('$')) else {
                    continue;
                };
                let value =
                    serde_json::from_str(data).unwrap_or_else(|error| panic!("{at}: {error}"));
                check(&set, message, &value).unwrap_or_else(|error| panic!("{at}: {error}"));
            }
        }
    }
    assert!(found >= 6, "{found}");
}
