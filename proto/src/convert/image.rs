//! `model.proto`: images, and what was found among their files.

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role, Skip};
use archtrace_facts::image::Image;
use prost::Message as _;

use super::{ConvertError, at_most, each, some_word, to_text, to_texts, to_word};
use crate::v1;

/// Names of one image on one node; what an agent sends is cut to these.
const MAX_NAMES: usize = 64;
/// Foreign files that are told one by one: several times as many as an agent sends.
const MAX_FOREIGN: usize = 1024;

/// An [`Image`] as bytes for a store: a newer version reads what an older one wrote.
#[must_use]
pub fn encode_image(image: &Image) -> Vec<u8> {
    v1::Image::from(image).encode_to_vec()
}

/// What [`encode_image`] wrote.
///
/// # Errors
/// If it did not write this.
pub fn decode_image(bytes: &[u8]) -> Result<Image, ConvertError> {
    let message = v1::Image::decode(bytes);
    message
        .map_err(|error| ConvertError::new("image", error.to_string()))?
        .try_into()
}

impl From<&Image> for v1::Image {
    fn from(image: &Image) -> Self {
        let Image {
            id,
            names,
            arch,
            os,
            variant,
            audit,
        } = image;
        Self {
            id: id.clone(),
            names: names.clone(),
            arch: arch.map_or(String::new(), |arch| arch.to_string()),
            os: os.clone(),
            variant: variant.clone(),
            audit: audit.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Image> for Image {
    type Error = ConvertError;

    fn try_from(value: v1::Image) -> Result<Self, ConvertError> {
        if value.id.is_empty() {
            return Err(ConvertError::missing("id"));
        }
        at_most("names", value.names.len(), MAX_NAMES)?;
        let audit = |audit: v1::Audit| {
            Audit::try_from(audit).map_err(|error: ConvertError| error.within("audit"))
        };
        Ok(Self {
            id: to_text("id", value.id)?,
            names: to_texts("names", value.names)?,
            arch: some_word("arch", &value.arch)?,
            os: to_text("os", value.os)?,
            variant: to_text("variant", value.variant)?,
            audit: value.audit.map(audit).transpose()?,
        })
    }
}

impl From<&Audit> for v1::Audit {
    fn from(audit: &Audit) -> Self {
        let Audit {
            expected,
            files,
            bytes,
            elf,
            main,
            foreign,
            more_foreign,
            skipped,
        } = audit;
        let (main_path, main_arch) = main
            .as_ref()
            .map(|(path, arch)| (path.clone(), arch.to_string()))
            .unwrap_or_default();
        let file = |Foreign { path, arch, role }: &Foreign| v1::ForeignFile {
            path: path.clone(),
            arch: arch.to_string(),
            role: role.as_str().to_owned(),
        };
        let skip = |(reason, count): &(Skip, u64)| v1::SkipCount {
            reason: reason.as_str().to_owned(),
            count: *count,
        };
        Self {
            expected_arch: expected.to_string(),
            files: *files,
            bytes: *bytes,
            elf: elf.iter().map(from_count).collect(),
            main_path,
            main_arch,
            foreign: foreign.iter().map(file).collect(),
            more_foreign: *more_foreign,
            skipped: skipped.iter().map(skip).collect(),
        }
    }
}

impl TryFrom<v1::Audit> for Audit {
    type Error = ConvertError;

    fn try_from(value: v1::Audit) -> Result<Self, ConvertError> {
        at_most("elf", value.elf.len(), MAX_FOREIGN)?;
        at_most("foreign", value.foreign.len(), MAX_FOREIGN)?;
        at_most("skipped", value.skipped.len(), MAX_FOREIGN)?;
        let main_arch: Option<Arch> = some_word("main_arch", &value.main_arch)?;
        let main_path = to_text("main_path", value.main_path)?;
        Ok(Self {
            expected: to_word("expected_arch", &value.expected_arch)?,
            files: value.files,
            bytes: value.bytes,
            elf: each("elf", value.elf, to_count)?,
            main: main_arch.map(|arch| (main_path, arch)),
            foreign: each("foreign", value.foreign, to_foreign)?,
            more_foreign: value.more_foreign,
            // A reason of a newer agent: all the same it was not looked at.
            skipped: value
                .skipped
                .into_iter()
                .map(|skip| (skip.reason.parse().unwrap_or(Skip::Unreadable), skip.count))
                .collect(),
        })
    }
}

pub(super) fn from_count((arch, count): &(Arch, u64)) -> v1::ArchCount {
    v1::ArchCount {
        arch: arch.to_string(),
        count: *count,
    }
}

pub(super) fn to_count(value: v1::ArchCount) -> Result<(Arch, u64), ConvertError> {
    let v1::ArchCount { arch, count } = value;
    Ok((to_word("arch", &arch)?, count))
}

fn to_foreign(value: v1::ForeignFile) -> Result<Foreign, ConvertError> {
    Ok(Foreign {
        path: to_text("path", value.path)?,
        arch: to_word("arch", &value.arch)?,
        role: value.role.parse().unwrap_or(Role::Other),
    })
}
