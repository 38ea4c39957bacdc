//! What a registry wants to see before it answers: a name and a password (RFC 7617), or a token that somebody
//! else gives for these (distribution, `docs/spec/auth/token.md`).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Uri};
use http_auth::parser::ChallengeParser;
use serde::Deserialize;

/// Bytes of one header that are read: challenges are some 200.
const MAX_CHALLENGE: usize = 4 << 10;

/// What it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A name and a password.
    Basic,
    /// A token.
    Bearer {
        /// The URL of whoever gives it.
        realm: String,
        /// What that calls this registry.
        service: String,
    },
}

/// What the headers of a 401 ask for: a token rather than a password, where there is a choice.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut found = None;
    for header in headers.get_all(WWW_AUTHENTICATE) {
        let Some(text) = header
            .to_str()
            .ok()
            .filter(|text| text.len() <= MAX_CHALLENGE)
        else {
            continue;
        };
        for challenge in ChallengeParser::new(text).flatten() {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                found = found.or(Some(Challenge::Basic));
            } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let value = |name: &str| {
                    let mut params = challenge.params.iter();
                    let param = params.find(|(known, _)| known.eq_ignore_ascii_case(name));
                    param.map(|(_, value)| value.to_unescaped())
                };
                if let Some(realm) = value("realm") {
                    let service = value("service").unwrap_or_default();
                    return Some(Challenge::Bearer { realm, service });
                }
            }
        }
    }
    found
}

/// Where to ask for a token that lets us read one repository: no more is asked for, whatever the registry
/// would have us ask.
pub(crate) fn token_uri(realm: &str, service: &str, repository: &str) -> Option<Uri> {
    let uri: Uri = realm.parse().ok()?;
    uri.authority()?;
    let (base, query) = realm.split_once('?').unwrap_or((realm, ""));
    let mut form = form_urlencoded::Serializer::new(query.to_owned());
    if !service.is_empty() {
        form.append_pair("service", service);
    }
    form.append_pair("scope", &format!("repository:{repository}:pull"));
    format!("{base}?{}", form.finish()).parse().ok()
}

/// The value of `Authorization` for a token.
pub(crate) fn bearer(json: &[u8]) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        token: String,
        #[serde(default)]
        access_token: String,
    }
    let Answer {
        token,
        access_token,
    } = serde_json::from_slice(json).ok()?;
    let token = if token.is_empty() {
        access_token
    } else {
        token
    };
    (!token.is_empty()).then_some(())?;
    secret(&format!("Bearer {token}"))
}

/// A header that nobody is shown.
pub(crate) fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_better_than_a_password() {
        let bearer = |realm: &str, service: &str| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.to_owned(),
            })
        };
        for (headers, expected) in [
            (&[r#"Basic realm="x""#][..], Some(Challenge::Basic)),
            (
                &[
                    r#"Bearer realm="https://auth.example/t",service="r\"x",scope="repository:a:push""#,
                ],
                bearer("https://auth.example/t", "r\"x"),
            ),
            (
                &[r#"BASIC realm="x", bearer realm="https://a.example/""#],
                bearer("https://a.example/", ""),
            ),
            (
                &["Basic realm=x", "Bearer service=y"],
                Some(Challenge::Basic),
            ),
            (&["Negotiate"], None),
            (&["", ",,,", "\"", "Bearer realm="], None),
            (&[], None),
        ] {
            let mut map = HeaderMap::new();
            for header in headers {
                map.append(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_str(header).expect(header),
                );
            }
            assert_eq!(challenge(&map), expected, "{headers:?}");
        }
    }

    #[test]
    fn no_more_is_asked_for_than_to_read() {
        for (realm, service, expected) in [
            (
                "https://auth.example/token",
                "reg.example",
                Some(
                    "https://auth.example/token?service=reg.example&scope=repository%3Ateam%2Fapp%3Apull",
                ),
            ),
            (
                "https://auth.example/token?account=a",
                "",
                Some("https://auth.example/token?account=a&scope=repository%3Ateam%2Fapp%3Apull"),
            ),
            ("/token", "x", None),
            ("no url", "x", None),
        ] {
            let uri = token_uri(realm, service, "team/app").map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), expected, "{realm}");
        }
    }

    #[test]
    fn tokens_are_read_and_not_shown() {
        for (json, expected) in [
            (r#"{"token": "t"}"#, Some("Bearer t")),
            (
                r#"{"access_token": "a", "expires_in": 3}"#,
                Some("Bearer a"),
            ),
            (r#"{"token": "t", "access_token": "a"}"#, Some("Bearer t")),
            (r#"{"token": "a\nb"}"#, None),
            ("{}", None),
            ("[]", None),
        ] {
            let header = bearer(json.as_bytes());
            let value = header.as_ref().map(|header| header.to_str().expect("text"));
            assert_eq!(value, expected, "{json}");
            assert!(!format!("{header:?}").contains("Bearer"), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String, bytes: Vec<u8>) {
            let mut map = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                map.append(WWW_AUTHENTICATE, value);
            }
            let _ = (challenge(&map), token_uri(&text, &text, &text), bearer(&bytes));
        }
    }
}
