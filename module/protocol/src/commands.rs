//! The arguments of each command, without its name.

use cacheops_condition::Condition;

use crate::args::{Cursor, Dependencies, Limits, at_most, number_in, once, unknown};
use crate::error::printable;
use crate::{ArgError, MAX_NUMBER};

/// When an entry expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So many milliseconds from now.
    In(u64),
    /// At this Unix time in milliseconds.
    At(u64),
}

/// `key value [PX ms | PXAT unix-ms | EX s | EXAT unix-s] [TOKEN t] [VERSION n] ON table condition [...]`
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct StoreArgs<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub expiry: Option<Expiry>,
    pub token: Option<u64>,
    pub version: Option<u64>,
    pub on: Dependencies<'a>,
}

/// The largest time that stays a time when another one is added: 2^62 milliseconds.
const MAX_MS: u64 = 1 << 62;

impl<'a> StoreArgs<'a> {
    /// Reads the arguments behind the command's name.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    pub fn parse(args: &[&'a [u8]], limits: &Limits) -> Result<Self, ArgError> {
        const EXPECTED: &str = "PX, PXAT, EX, EXAT, TOKEN, VERSION or ON";
        if args.len() < 5 {
            return Err(ArgError::Arity);
        }
        let mut cursor = Cursor::new(args);
        let (Some(key), Some(value)) = (cursor.next(), cursor.next()) else {
            return Err(ArgError::Arity);
        };
        at_most("the length of the key", key.len(), limits.key_bytes, "cacheops.max-key-bytes")?;
        at_most(
            "the length of the value",
            value.len(),
            limits.value_bytes,
            "cacheops.max-value-bytes",
        )?;
        let (mut expiry, mut token, mut version) = (None, None, None);
        loop {
            let option = cursor.next().ok_or(ArgError::MissingOn)?;
            if option.eq_ignore_ascii_case(b"ON") {
                break;
            }
            let seconds = 1..=MAX_MS / 1000;
            const MS_RULE: &str = "a whole number of milliseconds from 1 to 4611686018427387904";
            const S_RULE: &str = "a whole number of seconds from 1 to 4611686018427387";
            let (name, given) = if option.eq_ignore_ascii_case(b"PX") {
                ("PX", Expiry::In(number_in(cursor.value("PX")?, "PX", 1..=MAX_MS, MS_RULE)?))
            } else if option.eq_ignore_ascii_case(b"PXAT") {
                ("PXAT", Expiry::At(number_in(cursor.value("PXAT")?, "PXAT", 1..=MAX_MS, MS_RULE)?))
            } else if option.eq_ignore_ascii_case(b"EX") {
                ("EX", Expiry::In(number_in(cursor.value("EX")?, "EX", seconds, S_RULE)? * 1000))
            } else if option.eq_ignore_ascii_case(b"EXAT") {
                (
                    "EXAT",
                    Expiry::At(number_in(cursor.value("EXAT")?, "EXAT", seconds, S_RULE)? * 1000),
                )
            } else if option.eq_ignore_ascii_case(b"TOKEN") {
                once(&mut token, parse_number(cursor.value("TOKEN")?, "TOKEN")?, "TOKEN")?;
                continue;
            } else if option.eq_ignore_ascii_case(b"VERSION") {
                once(&mut version, parse_number(cursor.value("VERSION")?, "VERSION")?, "VERSION")?;
                continue;
            } else {
                return Err(unknown(option, EXPECTED));
            };
            match expiry.replace((name, given)) {
                None => {}
                Some((before, _)) if before == name => return Err(ArgError::Repeated(name)),
                Some(_) => return Err(ArgError::Conflict("PX, PXAT, EX and EXAT")),
            }
        }
        let on = cursor.pairs_within(limits)?;
        Ok(Self { key, value, expiry: expiry.map(|(_, given)| given), token, version, on })
    }
}

/// `key [IFNOT version] [TOKEN] [LOCK ms [WAIT ms]]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct GetArgs<'a> {
    pub key: &'a [u8],
    pub if_not: Option<u64>,
    /// A miss is to be answered with a token. LOCK implies it.
    pub token: bool,
    pub lock: Option<LockArgs>,
}

/// `LOCK ms [WAIT ms]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockArgs {
    /// Milliseconds that the lock is held at most.
    pub hold_ms: u64,
    /// Milliseconds to wait for somebody else's lock.
    pub wait_ms: Option<u64>,
}

impl<'a> GetArgs<'a> {
    /// Reads the arguments behind the command's name.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    #[inline]
    pub fn parse(args: &[&'a [u8]]) -> Result<Self, ArgError> {
        let mut cursor = Cursor::new(args);
        let key = cursor.next().ok_or(ArgError::Arity)?;
        let (mut if_not, mut token, mut hold_ms, mut wait_ms) = (None, None, None, None);
        while let Some(option) = cursor.next() {
            if option.eq_ignore_ascii_case(b"IFNOT") {
                let rule = "0 or a version that STORE or GET answered";
                let version = number_in(cursor.value("IFNOT")?, "IFNOT", 0..=MAX_NUMBER - 1, rule)?;
                once(&mut if_not, version, "IFNOT")?;
            } else if option.eq_ignore_ascii_case(b"TOKEN") {
                once(&mut token, (), "TOKEN")?;
            } else if option.eq_ignore_ascii_case(b"LOCK") {
                once(&mut hold_ms, parse_patience(cursor.value("LOCK")?, "LOCK")?, "LOCK")?;
            } else if option.eq_ignore_ascii_case(b"WAIT") {
                once(&mut wait_ms, parse_patience(cursor.value("WAIT")?, "WAIT")?, "WAIT")?;
            } else {
                return Err(unknown(option, "IFNOT, TOKEN, LOCK or WAIT"));
            }
        }
        if wait_ms.is_some() && hold_ms.is_none() {
            return Err(ArgError::Needs { option: "WAIT", needed: "LOCK" });
        }
        let lock = hold_ms.map(|hold_ms| LockArgs { hold_ms, wait_ms });
        Ok(Self { key, if_not, token: token.is_some() || lock.is_some(), lock })
    }
}

/// `key token`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct ReleaseArgs<'a> {
    pub key: &'a [u8],
    pub token: u64,
}

impl<'a> ReleaseArgs<'a> {
    /// Reads the arguments behind the command's name.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    pub fn parse(args: &[&'a [u8]]) -> Result<Self, ArgError> {
        let &[key, token] = args else { return Err(ArgError::Arity) };
        Ok(Self { key, token: parse_number(token, "token")? })
    }
}

/// `token [KEY key] ON table condition [...]`
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct CheckArgs<'a> {
    pub token: u64,
    pub key: Option<&'a [u8]>,
    pub on: Dependencies<'a>,
}

impl<'a> CheckArgs<'a> {
    /// Reads the arguments of CHECK behind the command's name.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    pub fn parse(args: &[&'a [u8]], limits: &Limits) -> Result<Self, ArgError> {
        if args.len() < 4 {
            return Err(ArgError::Arity);
        }
        let mut cursor = Cursor::new(args);
        let token = parse_number(cursor.next().ok_or(ArgError::Arity)?, "token")?;
        let mut key = None;
        loop {
            let option = cursor.next().ok_or(ArgError::MissingOn)?;
            if option.eq_ignore_ascii_case(b"ON") {
                break;
            } else if option.eq_ignore_ascii_case(b"KEY") {
                once(&mut key, cursor.value("KEY")?, "KEY")?;
            } else {
                return Err(unknown(option, "KEY or ON"));
            }
        }
        let on = cursor.pairs_within(limits)?;
        Ok(Self { token, key, on })
    }
}

/// `[DRYRUN] [SHARD] ON table condition [...]`
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct InvalidateArgs<'a> {
    pub dry_run: bool,
    pub shard: bool,
    /// Of tables that nothing depends on, the number of rows only.
    pub on: Dependencies<'a>,
    /// Positions in `on` whose rows were not read because they are too many bytes: any row of the table may have changed.
    pub unread: Vec<usize>,
}

impl<'a> InvalidateArgs<'a> {
    /// Reads the arguments behind the command's name. `is_known` tells whether anything may depend on a table; rows of other
    /// tables are only counted. An invalidation is never refused for its length: what is too long is `*`.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    pub fn parse(
        args: &[&'a [u8]],
        limits: &Limits,
        is_known: impl Fn(&[u8]) -> bool,
    ) -> Result<Self, ArgError> {
        /// Below this, reading costs less than asking.
        const SHORT: usize = 256;
        if args.len() < 3 {
            return Err(ArgError::Arity);
        }
        let (mut dry_run, mut shard) = (None, None);
        let mut cursor = Cursor::new(args);
        loop {
            let option = cursor.next().ok_or(ArgError::MissingOn)?;
            if option.eq_ignore_ascii_case(b"ON") {
                break;
            } else if option.eq_ignore_ascii_case(b"DRYRUN") {
                once(&mut dry_run, (), "DRYRUN")?;
            } else if option.eq_ignore_ascii_case(b"SHARD") {
                once(&mut shard, (), "SHARD")?;
            } else {
                return Err(unknown(option, "DRYRUN, SHARD or ON"));
            }
        }
        let (mut left, mut at, mut unread) = (limits.condition_bytes, 0, Vec::new());
        let on = cursor.pairs(|table, text| {
            at += 1;
            let Some(rest) = left.checked_sub(text.len()) else {
                unread.push(at - 1);
                return Ok(Condition::any());
            };
            left = rest;
            let read = match text.len() < SHORT || is_known(table) {
                true => Condition::parse(text),
                false => Condition::count(text),
            };
            read.map_err(|error| ArgError::Condition { table: printable(table), error })
        })?;
        Ok(Self { dry_run: dry_run.is_some(), shard: shard.is_some(), on, unread })
    }
}

/// `[SHARD]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct ShardArgs {
    pub shard: bool,
}

impl ShardArgs {
    /// Reads the arguments behind the command's name.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    pub fn parse(args: &[&[u8]]) -> Result<Self, ArgError> {
        match args {
            [] => Ok(Self { shard: false }),
            [option] if option.eq_ignore_ascii_case(b"SHARD") => Ok(Self { shard: true }),
            [option] => Err(unknown(option, "SHARD or nothing")),
            [first, second, ..]
                if [first, second].iter().all(|option| option.eq_ignore_ascii_case(b"SHARD")) =>
            {
                Err(ArgError::Repeated("SHARD"))
            }
            _ => Err(ArgError::Arity),
        }
    }
}

/// `[chunk [min-size]]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct ReapArgs {
    pub chunk: usize,
    pub min_size: usize,
}

impl ReapArgs {
    /// Reads the arguments behind the command's name; 1000 each unless told.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    pub fn parse(args: &[&[u8]]) -> Result<Self, ArgError> {
        let rule = "a whole number from 1 to 1000000";
        let read = |at: usize, name: &'static str| match args.get(at) {
            None => Ok(1000),
            Some(text) => number_in(text, name, 1..=1_000_000, rule).map(|number| number as usize),
        };
        if args.len() > 2 {
            return Err(ArgError::Arity);
        }
        Ok(Self { chunk: read(0, "chunk")?, min_size: read(1, "min-size")? })
    }
}

/// What a top list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the command")]
pub enum TopBy {
    FanOut,
    Memory,
    Invalidations,
}

/// `[BY fanout|memory|invalidations] [COUNT n]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the command")]
pub struct TopArgs {
    pub by: TopBy,
    pub count: usize,
}

impl TopArgs {
    /// Reads the arguments behind the command's name.
    ///
    /// # Errors
    ///
    /// [`ArgError`] names the argument and the rule that it breaks.
    pub fn parse(args: &[&[u8]]) -> Result<Self, ArgError> {
        let (mut by, mut count) = (None, None);
        let mut cursor = Cursor::new(args);
        while let Some(option) = cursor.next() {
            if option.eq_ignore_ascii_case(b"BY") {
                let value = cursor.value("BY")?;
                let names: [(&[u8], TopBy); 3] = [
                    (b"fanout", TopBy::FanOut),
                    (b"memory", TopBy::Memory),
                    (b"invalidations", TopBy::Invalidations),
                ];
                let found = names.iter().find(|(name, _)| value.eq_ignore_ascii_case(name));
                let &(_, order) = found.ok_or_else(|| ArgError::Number {
                    name: "BY",
                    value: printable(value),
                    rule: "fanout, memory or invalidations",
                })?;
                once(&mut by, order, "BY")?;
            } else if option.eq_ignore_ascii_case(b"COUNT") {
                let value = cursor.value("COUNT")?;
                once(
                    &mut count,
                    number_in(value, "COUNT", 1..=100, "a whole number from 1 to 100")?,
                    "COUNT",
                )?;
            } else {
                return Err(unknown(option, "BY or COUNT"));
            }
        }
        Ok(Self { by: by.unwrap_or(TopBy::FanOut), count: count.unwrap_or(10) as usize })
    }
}

/// How long somebody may hold a lock or wait for it: up to an hour.
fn parse_patience(text: &[u8], name: &'static str) -> Result<u64, ArgError> {
    const RULE: &str = "a whole number of milliseconds from 1 to 3600000";
    number_in(text, name, 1..=3_600_000, RULE)
}

fn parse_number(text: &[u8], name: &'static str) -> Result<u64, ArgError> {
    number_in(
        text,
        name,
        1..=MAX_NUMBER - 1,
        "a whole number from 1 to 9007199254740991 that this server gave",
    )
}
