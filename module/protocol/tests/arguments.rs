//! The arguments of every command: what is read, and what each refusal says.

use cacheops_protocol::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    key_bytes: 10,
    value_bytes: 10,
    name_bytes: 10,
    terms: 2,
    conjunctions: 3,
    condition_bytes: 40,
};

fn split(line: &str) -> Vec<&[u8]> {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| if word == "''" { &b""[..] } else { word.as_bytes() })
        .collect()
}

fn store(line: &str) -> Result<StoreArgs<'_>, String> {
    StoreArgs::parse(&split(line), &LIMITS).map_err(|error| error.to_string())
}

#[test]
fn store_takes_options_in_any_order_and_case_before_on() {
    let args = store("k v px 100 Token 7 VERSION 8 on post a=1|b user *").expect("well formed");
    assert_eq!((args.key, args.value, args.expiry), (&b"k"[..], &b"v"[..], Some(Expiry::In(100))));
    assert_eq!((args.token, args.version, args.on.len()), (Some(7), Some(8), 2));
    let args = store("k v VERSION 8 EXAT 5 ON post a").expect("well formed");
    assert_eq!((args.expiry, args.token), (Some(Expiry::At(5000)), None));
    let args = store("k '' ON on *").expect("a table may be called on");
    assert_eq!((args.value, args.on[0].0), (&b""[..], &b"on"[..]));
}

#[test]
fn store_says_what_is_wrong() {
    for (line, error) in [
        ("k v ON post", "wrong number of arguments"),
        (
            "k v PX 100 post a=1",
            "unknown option 'post', expected PX, PXAT, EX, EXAT, TOKEN, VERSION or ON",
        ),
        ("k v PX 100 TOKEN 5", "ON is missing, it stands before the pairs of table and condition"),
        (
            "k v PX 100 ON",
            "no table after ON, at least one pair of table and condition must follow",
        ),
        ("k v ON post a=1 user", "table 'user' has no condition, '*' stands for any row"),
        ("k v ON '' a=1", "empty table name"),
        ("k v PX 1 PX 1 ON post a", "option PX is given twice"),
        ("k v TOKEN 1 TOKEN 2 ON post a", "option TOKEN is given twice"),
        ("k v PX 1 EX 1 ON post a", "only one of PX, PXAT, EX and EXAT may be given"),
        ("k v ON post a PX 100", "option PX stands after ON, options stand before it"),
        (
            "k v PX 0 ON post a",
            "invalid PX '0', it must be a whole number of milliseconds from 1 to",
        ),
        ("k v PX -5 ON post a", "invalid PX '-5'"),
        ("k v EX 1.5 ON post a", "invalid EX '1.5'"),
        ("k v EX 9223372036854775807 ON post a", "invalid EX '9223372036854775807'"),
        ("k v EX 99999999999999999999999 ON post a", "invalid EX"),
        (
            "k v TOKEN 9007199254740992 ON post a",
            "invalid TOKEN '9007199254740992', it must be a whole number from 1 to 9007199254740991",
        ),
        ("k v TOKEN x ON post a", "invalid TOKEN 'x'"),
        (
            "12345678901 v ON post a",
            "the length of the key is 11, more than the 10 that cacheops.max-key-bytes allows",
        ),
        ("k 12345678901 ON post a", "the length of the value is 11"),
        ("k v ON a_long_table a", "the name of a table or a field is longer than 10 bytes"),
        ("k v ON post a|a_long_field=1", "the name of a table or a field is longer than 10 bytes"),
        (
            "k v ON post a&b&c",
            "the number of terms in a conjunction is 3, more than the 2 that cacheops.max-terms allows",
        ),
        (
            "k v ON post a=2345678901234567890 user b=12345678901234567890",
            "the length of tables and conditions is 51, more than the 40 that cacheops.max-condition-bytes allows",
        ),
        ("k v ON post a|b|c|d", "the number of conjunctions is 4, more than the 3"),
        ("k v ON post a|b user a|b", "the number of conjunctions is 4, more than the 3"),
        (
            "k v PX 1 ON p\u{7} a=%",
            "invalid condition for table 'p\\x07': '%' must be followed by two hex digits, at byte 2",
        ),
    ] {
        match store(line) {
            Ok(_) => panic!("{line}: accepted"),
            Err(found) => assert!(found.starts_with(error), "{line}: {found}"),
        }
    }
}

#[test]
fn a_table_may_be_called_like_an_option() {
    assert!(store("k v ON token user=1").is_ok());
    assert!(store("k v ON px *").is_ok());
}

#[test]
fn the_other_commands_say_what_is_wrong_too() {
    let error = |line: &str| {
        InvalidateArgs::parse(&split(line), &LIMITS, |_| true).err().map(|error| error.to_string())
    };
    assert_eq!(error("dryrun SHARD ON post a=1 user *"), None);
    assert_eq!(error("SHARD SHARD ON post *").as_deref(), Some("option SHARD is given twice"));
    assert_eq!(
        error("ON post a=1 DRYRUN").as_deref(),
        Some("table 'DRYRUN' has no condition, '*' stands for any row")
    );
    assert_eq!(
        error("NOW ON post *").as_deref(),
        Some("unknown option 'NOW', expected DRYRUN, SHARD or ON")
    );

    let error = |line: &str| ReapArgs::parse(&split(line)).err().map(|error| error.to_string());
    assert_eq!(error(""), None);
    assert_eq!(error("1000 1000"), None);
    assert_eq!(
        error("0").as_deref(),
        Some("invalid chunk '0', it must be a whole number from 1 to 1000000")
    );
    assert_eq!(
        error("1 x").as_deref(),
        Some("invalid min-size 'x', it must be a whole number from 1 to 1000000")
    );

    let error = |line: &str| TopArgs::parse(&split(line)).err().map(|error| error.to_string());
    assert_eq!(error("by MEMORY count 5"), None);
    assert_eq!(
        error("BY size").as_deref(),
        Some("invalid BY 'size', it must be fanout, memory or invalidations")
    );
    assert_eq!(
        error("COUNT 101").as_deref(),
        Some("invalid COUNT '101', it must be a whole number from 1 to 100")
    );

    let error = |line: &str| GetArgs::parse(&split(line)).err().map(|error| error.to_string());
    assert_eq!(error("k ifnot 0 token"), None);
    assert_eq!(error("k TOKEN TOKEN").as_deref(), Some("option TOKEN is given twice"));
    assert_eq!(error("k IFNOT").as_deref(), Some("option IFNOT needs a value"));
    assert_eq!(error("k wait 5 ifnot 3 lock 3600000"), None);
    assert_eq!(error("k WAIT 5").as_deref(), Some("option WAIT needs LOCK"));
    assert_eq!(
        error("k LOCK 3600001").as_deref(),
        Some("invalid LOCK '3600001', it must be a whole number of milliseconds from 1 to 3600000")
    );

    let error = |line: &str| ReleaseArgs::parse(&split(line)).err().map(|error| error.to_string());
    assert_eq!(error("k 5"), None);
    assert_eq!(error("k").as_deref(), Some("wrong number of arguments"));
    assert_eq!(error("k 0").map(|text| text.contains("invalid token '0'")), Some(true));

    let error = |line: &str| ShardArgs::parse(&split(line)).err().map(|error| error.to_string());
    assert_eq!((error(""), error("shard")), (None, None));
    assert_eq!(error("all").as_deref(), Some("unknown option 'all', expected SHARD or nothing"));

    let error =
        |line: &str| CheckArgs::parse(&split(line), &LIMITS).err().map(|error| error.to_string());
    assert_eq!(error("5 KEY k ON post a=1"), None);
    assert_eq!(error("0 ON post a=1").map(|text| text.contains("invalid token '0'")), Some(true));
}

#[test]
fn conditions_survive_saving_and_damage_is_seen() {
    let mut bytes = Vec::new();
    write_conditions(&mut bytes, [(&b"post"[..], &b"a=1|b"[..]), (b"user", b"*")]);
    assert_eq!(read_conditions(&bytes).map(|read| read.len()), Ok(2));
    for end in 1..bytes.len() {
        assert!(end == 17 || read_conditions(&bytes[..end]).is_err(), "cut at {end}");
    }
    assert!(read_conditions(b"").is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(args in prop::collection::vec(prop_oneof![
        prop::sample::select(vec![&b"ON"[..], b"PX", b"EX", b"TOKEN", b"5", b"post", b"a=1", b"*", b"%", b"VERSION", b"SHARD"]).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..6),
    ], 0..12)) {
        let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
        let _ = StoreArgs::parse(&args, &LIMITS).map_err(|error| error.to_string());
        let _ = InvalidateArgs::parse(&args, &LIMITS, |_| true).map_err(|error| error.to_string());
        let _ = GetArgs::parse(&args).map_err(|error| error.to_string());
        let _ = ReleaseArgs::parse(&args).map_err(|error| error.to_string());
        let _ = CheckArgs::parse(&args, &LIMITS).map_err(|error| error.to_string());
        let _ = TopArgs::parse(&args).map_err(|error| error.to_string());
        let _ = ReapArgs::parse(&args).map_err(|error| error.to_string());
        let _ = ShardArgs::parse(&args).map_err(|error| error.to_string());
        let _ = read_conditions(&args.concat());
    }
}

#[test]
fn rows_that_are_too_long_are_any_row_and_those_of_an_unknown_table_are_counted() {
    let long = format!("a=1{}", "|a=2".repeat(99));
    let args = [&b"ON"[..], b"post", b"a=1", b"user", long.as_bytes(), b"tag", b"b=2|b=3"];
    let limits = Limits { condition_bytes: 100, ..LIMITS };

    let read = InvalidateArgs::parse(&args, &limits, |_| true).expect("never refused");
    let rows = |args: &InvalidateArgs<'_>| -> Vec<(usize, usize)> {
        args.on.iter().map(|(_, rows)| (rows.conjunctions(), rows.max_terms())).collect()
    };
    assert_eq!((rows(&read), read.unread), (vec![(1, 1), (1, 0), (2, 1)], vec![1]));

    let limits = Limits { condition_bytes: 1000, ..LIMITS };
    let read =
        InvalidateArgs::parse(&args, &limits, |table| table != b"user").expect("well formed");
    assert_eq!((rows(&read), read.unread), (vec![(1, 1), (100, 0), (2, 1)], vec![]));

    let damaged = format!("{long}&").into_bytes();
    let args = [&b"ON"[..], b"user", &damaged];
    assert!(InvalidateArgs::parse(&args, &limits, |_| false).is_err(), "still well formed");
}

#[test]
fn a_refusal_comes_before_the_rest_is_read() {
    // Were it read, the error would be that of the grammar.
    for (line, error) in [
        ("k v ON post %|%|%|%", "the number of conjunctions is 4"),
        ("k v ON post a&b&c&% user %", "the number of terms in a conjunction is 4"),
        ("k v ON post a_long_field|%", "the name of a table or a field is longer"),
    ] {
        let found = store(line).expect_err("refused");
        assert!(found.contains(error), "{line}: {found}");
    }
}
