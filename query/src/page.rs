//! How much goes into one answer.

use prost::Message;
use tonic::Status;

/// Where nothing was asked for: more than a screen shows, and a few milliseconds' work. Whoever wants all
/// asks for larger pages.
const DEFAULT_SIZE: u32 = 200;

/// The most that is asked of the store at once.
const MAX_SIZE: u32 = 10_000;

/// Bytes of messages per page. Clients of gRPC take 4 MiB unless told otherwise, and one item is
/// never larger than what an agent may send (1 MiB).
pub(crate) const MAX_BYTES: usize = 2 << 20;

/// A part of a listing.
#[derive(Debug)]
pub(crate) struct Page<M, C> {
    pub(crate) items: Vec<M>,
    /// Position of the last item, if there are more.
    pub(crate) next: Option<C>,
}

/// The number of items that `page_size` stands for.
pub(crate) fn limit(page_size: i32) -> Result<u32, Status> {
    match u32::try_from(page_size) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
        Err(_) => Err(Status::invalid_argument(format!(
            "page_size: {page_size} is negative"
        ))),
    }
}

/// The first `limit` of `rows`, or fewer if they are large. There should be one row more than
/// `limit` if there is more to tell.
pub(crate) fn cut<C: Clone, D, M>(rows: &[(C, D)], limit: u32) -> Page<M, C>
where
    M: Message + for<'a> From<&'a D>,
{
    cut_by(rows, limit, |row| M::from(row))
}

/// The same for rows that become messages in another way.
pub(crate) fn cut_by<C: Clone, D, M: Message>(
    rows: &[(C, D)],
    limit: u32,
    message: impl Fn(&D) -> M,
) -> Page<M, C> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut items = Vec::with_capacity(rows.len().min(limit));
    let (mut bytes, mut last) = (0, None::<&C>);
    for (cursor, row) in rows {
        let item = message(row);
        bytes += item.encoded_len();
        let full = items.len() >= limit || (bytes > MAX_BYTES && !items.is_empty());
        if full {
            return Page {
                items,
                next: last.cloned(),
            };
        }
        items.push(item);
        last = Some(cursor);
    }
    Page { items, next: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_by_number_and_by_size() {
        let small: Vec<_> = (0..5).map(|i| (i, "x".to_owned())).collect();
        let large: Vec<_> = (0..5).map(|i| (i, "x".repeat(MAX_BYTES / 2))).collect();
        let huge: Vec<_> = (0..5).map(|i| (i, "x".repeat(MAX_BYTES * 2))).collect();
        for (rows, limit, count, next) in [
            (&small, 5, 5, None),
            (&small, 9, 5, None),
            (&small, 4, 4, Some(3)),
            (&large, 5, 1, Some(0)),
            (&huge, 5, 1, Some(0)),
            (&Vec::new(), 5, 0, None),
        ] {
            let page: Page<Text, _> = cut(rows, limit);
            assert_eq!((page.items.len(), page.next), (count, next));
        }
    }

    /// Any message will do; this one is a string.
    #[derive(Clone, PartialEq, Message)]
    struct Text {
        #[prost(string, tag = "1")]
        text: String,
    }

    impl From<&String> for Text {
        fn from(text: &String) -> Self {
            Self { text: text.clone() }
        }
    }

    #[test]
    fn sizes_are_bounded() {
        for (asked, given) in [
            (0, Some(DEFAULT_SIZE)),
            (7, Some(7)),
            (i32::MAX, Some(MAX_SIZE)),
            (-1, None),
        ] {
            assert_eq!(limit(asked).ok(), given);
        }
    }
}
