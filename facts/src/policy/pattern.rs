//! Whether two patterns mean some text both. `*` stands for any characters, and nothing else is special.

use crate::select::wildcard;

/// Whether there is a text that both are like. Takes time in proportion to the product of the lengths.
pub(super) fn meet(a: &str, b: &str) -> bool {
    // Most are names: two lists of a thousand are compared a million times.
    if !a.contains('*') {
        return wildcard(b, a);
    }
    if !b.contains('*') {
        return wildcard(a, b);
    }
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    // Whether what is left of `a` from its i-th place on, for all i, meets what is left of `b`; from the
    // end of `b` to its start.
    let mut behind: Option<Vec<bool>> = None;
    for at in (0..=b.len()).rev() {
        let mut row = vec![false; a.len() + 1];
        for i in (0..=a.len()).rev() {
            let is_star = |text: &[char], at: usize| text.get(at) == Some(&'*');
            let next_a = |row: &[bool]| row.get(i + 1).copied().unwrap_or(false);
            let next_b = |i: usize| {
                let behind = behind.as_ref().and_then(|behind| behind.get(i));
                behind.copied().unwrap_or(false)
            };
            let meets = match (a.get(i), b.get(at)) {
                (None, None) => true,
                // A star is nothing, or takes one more of the other's.
                _ if is_star(&a, i) => next_a(&row) || next_b(i),
                _ if is_star(&b, at) => next_b(i) || next_a(&row),
                (Some(x), Some(y)) => x == y && next_b(i + 1),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if let Some(place) = row.get_mut(i) {
                *place = meets;
            }
        }
        behind = Some(row);
    }
    let all = behind.as_ref().and_then(|row| row.first());
    all.copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::meet;
    use crate::select::wildcard;
    use proptest::prelude::*;

    #[test]
    fn patterns_meet_where_a_text_is_like_both() {
        for (a, b, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "b", false),
            ("*", "", true),
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("falcon-*", "falcon-system", true),
            ("*-system", "kube-*", true),
            ("a*c", "a*d", false),
            ("x*", "x", true),
            ("x*y", "x", false),
            ("*/falcon:*", "registry/falcon*", true),
        ] {
            assert_eq!(meet(a, b), expected, "{a} {b}");
            assert_eq!(meet(b, a), expected, "{b} {a}");
        }
    }

    proptest! {
        #[test]
        fn what_is_like_both_makes_them_meet(text in "[ab]{0,6}", a in "[ab*]{0,6}", b in "[ab*]{0,6}") {
            if wildcard(&a, &text) && wildcard(&b, &text) {
                prop_assert!(meet(&a, &b));
            }
            // A text is a pattern for itself.
            prop_assert_eq!(meet(&a, &text), wildcard(&a, &text));
        }
    }
}
