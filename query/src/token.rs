//! Page tokens: a position in a listing, bound to the question that was asked.
//!
//! A position is that of an item, not a number of items: what is written meanwhile moves nothing.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tonic::Status;

use crate::read::{EventCursor, FactCursor, ImageCursor, NodeId, Version};

/// A position that can be written as text.
pub(crate) trait Token: Sized {
    /// As numbers.
    fn to_numbers(&self) -> Vec<u64>;

    /// The position for numbers that [`Token::to_numbers`] returned.
    fn from_numbers(numbers: &[u64]) -> Option<Self>;

    /// The token.
    fn write(&self, question: u64) -> String {
        let mut token = format!("{question:016x}");
        for number in self.to_numbers() {
            // Writing to a String cannot fail.
            let _ = write!(token, "-{number:x}");
        }
        token
    }

    /// The position that a token stands for; none for an empty token, which asks for the first page.
    ///
    /// # Errors
    /// If the token is none, or was given for another question.
    fn read(token: &str, question: u64) -> Result<Option<Self>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let refused = |why| {
            Err(Status::invalid_argument(format!(
                "page_token: {why}; ask again without one, from the first page"
            )))
        };
        let numbers = token.split('-').map(|part| u64::from_str_radix(part, 16));
        let Ok(numbers) = numbers.collect::<Result<Vec<_>, _>>() else {
            return refused("is none of this collector's");
        };
        match numbers.split_first() {
            Some((asked, _)) if *asked != question => {
                refused("is of a question with other conditions")
            }
            Some((_, numbers)) => match Self::from_numbers(numbers) {
                Some(position) => Ok(Some(position)),
                None => refused("is none of this collector's"),
            },
            None => refused("is none of this collector's"),
        }
    }
}

/// What asks for the next page; empty if there is none.
pub(crate) fn next(position: Option<impl Token>, question: u64) -> String {
    position
        .map(|position| position.write(question))
        .unwrap_or_default()
}

/// Texts as numbers: those of a token.
pub(crate) trait Texts: Sized {
    /// What [`Texts::pack`] made of them.
    type Unpacked;

    /// Each with its length in front, eight bytes to a number.
    fn pack(&self) -> Vec<u64>;

    /// The way back.
    fn unpack(numbers: &[u64]) -> Option<Self::Unpacked>;
}

impl<T: AsRef<str>, const N: usize> Texts for [T; N] {
    type Unpacked = [String; N];

    fn pack(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        for text in self {
            let bytes = text.as_ref().as_bytes();
            numbers.push(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            for chunk in bytes.chunks(8) {
                let mut eight = [0; 8];
                eight[..chunk.len()].copy_from_slice(chunk);
                numbers.push(u64::from_le_bytes(eight));
            }
        }
        numbers
    }

    fn unpack(mut numbers: &[u64]) -> Option<[String; N]> {
        let mut texts = Vec::with_capacity(N);
        for _ in 0..N {
            let (length, rest) = numbers.split_first()?;
            let length = usize::try_from(*length).ok()?;
            let (chunks, rest) = rest.split_at_checked(length.div_ceil(8))?;
            let mut bytes: Vec<_> = chunks
                .iter()
                .flat_map(|eight| eight.to_le_bytes())
                .collect();
            bytes.truncate(length);
            texts.push(String::from_utf8(bytes).ok()?);
            numbers = rest;
        }
        numbers.is_empty().then_some(())?;
        texts.try_into().ok()
    }
}

/// Stands for a question: its name and its conditions. Two versions of the collector may differ in
/// it; then the client is told to begin again.
pub(crate) fn question(name: &str, conditions: &impl std::fmt::Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, format!("{conditions:?}")).hash(&mut hasher);
    hasher.finish()
}

/// Positions that are the number of a row.
macro_rules! numbers_of_rows {
    ($($position:ident),+) => {$(
        impl Token for $position {
            fn to_numbers(&self) -> Vec<u64> {
                vec![self.0.cast_unsigned()]
            }

            fn from_numbers(numbers: &[u64]) -> Option<Self> {
                let [id] = numbers else { return None };
                Some(Self(id.cast_signed()))
            }
        }
    )+};
}

numbers_of_rows!(FactCursor, ImageCursor, NodeId);

impl Token for EventCursor {
    fn to_numbers(&self) -> Vec<u64> {
        let Self {
            time,
            node,
            stream_id,
            sequence,
            version: _,
        } = *self;
        vec![
            time.cast_unsigned(),
            node.0.cast_unsigned(),
            stream_id,
            sequence,
        ]
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let [time, node, stream_id, sequence] = *numbers else {
            return None;
        };
        let (time, node) = (time.cast_signed(), NodeId(node.cast_signed()));
        Some(Self {
            time,
            node,
            stream_id,
            sequence,
            version: Version::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_come_back_and_nothing_makes_it_panic(a: String, b in "[a-z]{0,30}", numbers: Vec<u64>) {
            let texts = [a, b];
            prop_assert_eq!(<[String; 2]>::unpack(&texts.pack()), Some(texts));
            let _ = <[String; 2]>::unpack(&numbers);
        }
    }

    #[test]
    fn positions_come_back_and_others_are_refused() {
        let asked = question("events", &"a");
        let cursor = EventCursor {
            time: 7,
            node: NodeId(1),
            stream_id: u64::MAX,
            sequence: 0,
            version: Version::default(),
        };
        let token = cursor.write(asked);
        assert_eq!(
            EventCursor::read(&token, asked).expect("ours"),
            Some(cursor)
        );
        assert_eq!(EventCursor::read("", asked).expect("the first page"), None);
        for (token, question, why) in [
            (token.as_str(), question("events", &"b"), "other conditions"),
            (
                &FactCursor(1).write(asked),
                asked,
                "none of this collector's",
            ),
            ("zebra", asked, "none of this collector's"),
            ("-", asked, "none of this collector's"),
            ("ffffffffffffffffff", asked, "none of this collector's"),
        ] {
            let status = EventCursor::read(token, question).expect_err(token);
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(
                status.message().contains(why),
                "{token}: {}",
                status.message()
            );
        }
    }
}
