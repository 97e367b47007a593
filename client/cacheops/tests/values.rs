//! What the formats of serde keep, refuse to keep, and refuse to read: types of all kinds, those of another release, and
//! those that serde would not give back as they were.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

use cacheops::{Cacheops, Codec, Error, ErrorKind, Format, Key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// Formats that name fields.
fn named() -> Vec<Format> {
    vec![
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
    ]
}

fn all() -> Vec<Format> {
    [
        named(),
        vec![
            #[cfg(feature = "bincode")]
            Format::Bincode,
            #[cfg(feature = "postcard")]
            Format::Postcard,
        ],
    ]
    .concat()
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(formats: Vec<Format>, value: T) {
    for format in formats {
        let bytes = format.encode(&value).unwrap_or_else(|error| panic!("{format:?}: {error}"));
        let back: T = format.decode(&bytes).unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert_eq!(back, value, "{format:?}");
    }
}

/// The error of a value that must not be stored.
fn refused<T: Serialize + DeserializeOwned>(format: Format, value: &T) -> Error {
    let error = format.encode(value).expect_err("it would not come back");
    assert_eq!(error.kind(), ErrorKind::Encode, "{format:?}: {error}");
    error
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Expr {
    And(Box<Expr>, Box<Expr>),
    Not { of: Box<Expr> },
    Leaf(String),
}

#[test]
fn a_type_that_contains_itself_comes_back() {
    let leaf = || Box::new(Expr::Leaf("a".into()));
    let not = Box::new(Expr::Not { of: leaf() });

    comes_back(all(), Expr::Leaf("a".into()));
    comes_back(all(), vec![Expr::And(not, Box::new(Expr::And(leaf(), leaf())))]);
}

#[derive(Serialize, Deserialize)]
struct Link {
    next: Option<Box<Link>>,
}

fn chain(links: usize) -> Link {
    (0..links).fold(Link { next: None }, |inner, _| Link { next: Some(Box::new(inner)) })
}

#[test]
fn a_value_that_is_nested_too_deeply_is_an_error_and_ends_no_thread() {
    for format in all() {
        let links = |bytes: &[u8]| {
            let chain: Link = format.decode(bytes).unwrap();
            std::iter::successors(Some(&chain), |link| link.next.as_deref()).count()
        };
        assert_eq!(links(&format.encode(&chain(60)).unwrap()), 61, "{format:?}");

        for depth in [64, 1_000, 100_000] {
            let value = chain(depth);
            let error = refused(format, &value).to_string();
            assert!(error.contains("too deeply"), "{format:?}: {error}");
            // Dropped as it is, it would take stack as well.
            let mut next = value.next;
            while let Some(mut link) = next {
                next = link.next.take();
            }
        }
    }
}

#[tokio::test]
async fn an_argument_that_is_nested_too_deeply_has_no_key_and_ends_no_thread() {
    let off = Cacheops::builder("redis://unused/").enabled(false).build().await.unwrap();
    let keys = |argument: &Link| {
        let key = || Key::from(Key::query("db", "SELECT").value(argument));
        let function = || off.cached("f", std::time::Duration::from_secs(60)).extra(argument);
        (key() == key(), function().whole_key() == function().whole_key())
    };

    assert_eq!(keys(&chain(60)), (true, true));
    let deep = chain(100_000);
    assert!(!keys(&deep).0, "no two are alike");
    let value = off.cached("f", std::time::Duration::from_secs(60)).extra(&deep);
    assert_eq!(value.get_or_load(async || Ok::<_, std::convert::Infallible>(1)).await.unwrap(), 1);
    let mut next = deep.next;
    while let Some(mut link) = next {
        next = link.next.take();
    }
}

#[test]
fn bytes_that_nest_without_end_are_an_error_and_end_no_thread() {
    let levels = |format: Format| match format {
        Format::MessagePack => b"\x81\xa4next".as_slice(),
        #[cfg(feature = "json")]
        Format::Json => b"{\"next\":",
        _ => b"\x01",
    };
    for format in all() {
        let bytes = [[0; 8].as_slice(), &levels(format).repeat(100_000)].concat();

        let decoded: Result<Link, Error> = format.decode(&bytes);

        assert_eq!(decoded.err().map(|error| error.kind()), Some(ErrorKind::Decode), "{format:?}");
    }
}

/// A text of three letters, which does not accept any other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Code(String);

static SAMPLES: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() == 3 {
            return Ok(Self(text));
        }
        SAMPLES.fetch_add(1, Ordering::SeqCst);
        Err(serde::de::Error::custom("three letters"))
    }
}

#[test]
fn nothing_is_decoded_but_what_was_encoded() {
    let code = || Code("abc".into());

    comes_back(all(), (code(), 1_u8));
    comes_back(all(), HashMap::from([(code(), Some(code()))]));

    assert_eq!(SAMPLES.load(Ordering::SeqCst), 0);
}

/// A type of one name and of the fields or variants that are given, as two releases of a program may have it.
macro_rules! release {
    (struct $($body:tt)*) => {{
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        struct Post { $($body)* }
        release!(@ Post)
    }};
    (enum $($body:tt)*) => {{
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        enum Post { $($body)* }
        release!(@ Post)
    }};
    (@ $kind:ident) => {
        Release::<$kind>(std::marker::PhantomData)
    };
}

struct Release<T>(std::marker::PhantomData<T>);

impl<T: Clone + Serialize + DeserializeOwned> Release<T> {
    /// Values in which one of this type stands somewhere.
    fn encode(&self, format: Format, json: &str) -> Vec<Vec<u8>> {
        let post: T = from_json(json);
        vec![
            format.encode(&post).unwrap(),
            format.encode(&vec![post.clone()]).unwrap(),
            format.encode(&Some(post.clone())).unwrap(),
            format.encode(&(Code("abc".into()), post.clone())).unwrap(),
            format.encode(&HashMap::from([(7_i64, post.clone())])).unwrap(),
            format.encode(&Ok::<T, String>(post.clone())).unwrap(),
            format.encode(&BTreeMap::from([("a".to_owned(), (1, vec![Some(post)]))])).unwrap(),
        ]
    }

    /// Which of these values it takes for its own.
    fn accepts(&self, format: Format, entries: &[Vec<u8>]) -> Vec<bool> {
        vec![
            Codec::<T>::decode(&format, &entries[0]).is_ok(),
            Codec::<Vec<T>>::decode(&format, &entries[1]).is_ok(),
            Codec::<Option<T>>::decode(&format, &entries[2]).is_ok(),
            Codec::<(Code, T)>::decode(&format, &entries[3]).is_ok(),
            Codec::<HashMap<i64, T>>::decode(&format, &entries[4]).is_ok(),
            Codec::<Result<T, String>>::decode(&format, &entries[5]).is_ok(),
            Codec::<BTreeMap<String, (i32, Vec<Option<T>>)>>::decode(&format, &entries[6]).is_ok(),
        ]
    }
}

/// A value of a type that has no name here.
fn from_json<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_type_that_has_changed_does_not_read_what_it_was() {
    for format in all() {
        let old = release!(struct id: i64, title: String);
        let entries = old.encode(format, r#"{"id": 1, "title": "One"}"#);
        assert_eq!(old.accepts(format, &entries), [true; 7], "{format:?}");
        let same = release!(struct id: i64, title: String);
        assert_eq!(same.accepts(format, &entries), [true; 7], "{format:?}: another release");

        let none = |accepted: Vec<bool>, what: &str| {
            assert_eq!(accepted, [false; 7], "{format:?}: {what}");
        };
        let more = release!(struct id: i64, title: String, body: Option<String>);
        none(more.accepts(format, &entries), "a field that may be absent");
        let more = release!(struct id: i64, title: String, #[serde(default)] likes: u32);
        none(more.accepts(format, &entries), "a field with a default");
        none(release!(struct id: i64).accepts(format, &entries), "a field less");
        let other = release!(struct id: i64, #[serde(default)] name: String);
        none(other.accepts(format, &entries), "a field of another name");
        let other = release!(struct id: u32, title: String);
        none(other.accepts(format, &entries), "a number of another kind");
        let other = release!(struct id: i64, title: Option<String>);
        none(other.accepts(format, &entries), "a field that may be absent now");

        let old = release!(enum Draft, Public { at: u32 });
        let entries = old.encode(format, r#"{"Public": {"at": 7}}"#);
        assert_eq!(old.accepts(format, &entries), [true; 7]);
        let more = release!(enum Hidden, Draft, Public { at: u32 });
        none(more.accepts(format, &entries), "a variant more");
        let more = release!(enum Draft, Public { at: u32, by: Option<u32> });
        none(more.accepts(format, &entries), "a variant with a field more");
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Odd {
    #[serde(alias = "ID")]
    id: i64,
    #[serde(skip)]
    scratch: (),
    #[serde(rename = "naMe", default)]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    tags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: i64,
    #[serde(flatten)]
    odd: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, Either>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Kind {
    Post { id: u64 },
    Tag,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
    Both { a: bool, b: Option<f64> },
}

#[test]
fn what_serde_can_keep_is_kept() {
    let odd = |id| Odd { id, name: "a".into(), ..Odd::default() };
    let full = Odd { note: Some("n".into()), tags: vec!["t".into()], ..odd(2) };
    comes_back(named(), vec![odd(1), full, Odd::default()]);
    let rest = BTreeMap::from([
        ("x".to_owned(), Either::Both { a: true, b: Some(0.1) }),
        ("y".to_owned(), Either::Text("t".into())),
    ]);
    let odd = Inner { kind: Kind::Post { id: 7 } };
    comes_back(named(), Flat { id: 1, odd, rest });
    comes_back(named(), Inner { kind: Kind::Tag });

    // A second name is no field of its own, whether the field is there or not.
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct TwoNames {
        #[serde(alias = "userName", alias = "a", skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(alias = "z", skip_serializing_if = "Option::is_none")]
        nick: Option<Code>,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        tags: Vec<String>,
        #[serde(alias = "ID")]
        id: i32,
    }
    let name = Some("n".to_owned());
    comes_back(named(), vec![TwoNames { name, ..TwoNames::default() }, TwoNames::default()]);
    comes_back(named(), TwoNames { nick: Some(Code("abc".into())), ..TwoNames::default() });

    // Sets and maps have another order each time.
    comes_back(all(), (0..100).collect::<HashSet<i32>>());
    comes_back(all(), (0..100).map(|n| (n, vec![n.to_string()])).collect::<HashMap<i32, _>>());
    comes_back(all(), (i64::MIN, u64::MAX, 'é', [1_u8, 2], (), "\0é".to_owned()));
    comes_back(all(), (0.1_f64, -0.0_f64, f32::MAX, 1e-320_f64, 123_456_789.123_456_79_f64));
    comes_back(vec![Format::MessagePack], (i128::MIN, f64::INFINITY, f64::MIN_POSITIVE));
    comes_back(all(), Some(Some(7)));
    comes_back(named(), serde_json::json!({"a": [1, -2.5, null, {"b": true}], "c": "d"}));
    comes_back(all(), std::time::Duration::from_millis(1_500));

    let bytes = Format::MessagePack.encode(&f64::NAN).unwrap();
    assert!(Codec::<f64>::decode(&Format::MessagePack, &bytes).unwrap().is_nan());
}

#[test]
fn what_would_not_come_back_is_not_kept() {
    #[derive(Serialize, Deserialize)]
    struct KeyIsRead {
        #[serde(skip_deserializing)]
        id: i32,
    }
    #[derive(Serialize, Deserialize)]
    struct Secret {
        id: i32,
        #[serde(skip_serializing)]
        hash: Option<String>,
    }
    #[derive(Serialize, Deserialize)]
    struct TwoNames {
        #[serde(rename(serialize = "a", deserialize = "b"), default)]
        a: i32,
    }
    #[derive(Serialize, Deserialize)]
    struct Rounded {
        #[serde(serialize_with = "tenths")]
        price: f64,
    }
    #[derive(Serialize, Deserialize)]
    struct LeftOut {
        #[serde(alias = "a", skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(skip_serializing)]
        hash: Option<String>,
    }
    fn tenths<S: serde::Serializer>(price: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(price + 0.1)
    }
    #[derive(Serialize, Deserialize)]
    enum Variant {
        Post {
            id: i32,
            #[serde(skip_serializing, default)]
            body: String,
        },
    }

    // Whether that is a second name of a list which was left out, or a field of its own, is not known.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tagged {
        #[serde(alias = "labels", skip_serializing_if = "Vec::is_empty", default)]
        tags: Vec<String>,
    }
    comes_back(named(), Tagged { tags: vec!["a".into()] });

    for format in named() {
        refused(format, &Tagged { tags: Vec::new() });
        refused(format, &vec![KeyIsRead { id: 1 }]);
        refused(format, &vec![Some(TwoNames { a: 1 })]);
        refused(format, &Rounded { price: 1.0 });
        let error = refused(format, &(1, [Secret { id: 1, hash: None }]));
        assert!(error.to_string().contains("field `hash`"), "{error}");
        let left_out = LeftOut { name: None, hash: Some("x".into()) };
        assert!(left_out.hash.is_some());
        let error = refused(format, &left_out);
        assert!(error.to_string().contains("field `hash`"), "{error}");
        let error = refused(format, &Variant::Post { id: 1, body: String::new() });
        assert!(error.to_string().contains("field `body`"), "{error}");
    }
    // Without the names of fields it does not even decode.
    for format in all() {
        let secret = Secret { id: 1, hash: Some("x".into()) };
        assert!(secret.hash.is_some());
        refused(format, &secret);
    }
    // A nested option, and what is no number, are both null in JSON.
    #[cfg(feature = "json")]
    {
        refused(Format::Json, &Some(None::<i32>));
        refused(Format::Json, &Some(f64::NAN));
    }
}
