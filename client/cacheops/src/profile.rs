//! Profiles: what is cached of which table, and for how long.

use std::collections::HashMap;
use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::time::Duration;

use crate::{Error, ErrorKind};

/// Kinds of reads that are cached without being asked for.
///
/// ```
/// use cacheops::Ops;
///
/// let ops = Ops::GET | Ops::FETCH;
/// assert!(ops.contains(Ops::GET) && !ops.contains(Ops::COUNT));
/// assert!(Ops::ALL.contains(ops));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ops(u8);

impl Ops {
    /// None: only reads that ask for it are cached.
    pub const NONE: Self = Self(0);
    /// One row by a unique key.
    pub const GET: Self = Self(1);
    /// Many rows.
    pub const FETCH: Self = Self(2);
    /// The number of rows.
    pub const COUNT: Self = Self(4);
    /// Whether there is a row.
    pub const EXISTS: Self = Self(8);
    /// Sums, averages and the like.
    pub const AGGREGATE: Self = Self(16);
    /// All of these.
    pub const ALL: Self = Self(31);

    /// Whether all of `ops` are among these.
    pub const fn contains(self, ops: Self) -> bool {
        self.0 & ops.0 == ops.0
    }

    /// The name, where it is one operation: what hooks and traces say.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GET => "get",
            Self::FETCH => "fetch",
            Self::COUNT => "count",
            Self::EXISTS => "exists",
            Self::AGGREGATE => "aggregate",
            _ => "read",
        }
    }
}

impl BitOr for Ops {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ops {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// Whether saving a row stores it as the result of a get too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheOnSave {
    /// It does not.
    #[default]
    No,
    /// Under its primary key.
    PrimaryKey,
    /// Under this column: as `find().filter(column.eq(value)).cache().one(..)` asks. Its values should be unique.
    Field(String),
}

/// What is cached of a table. What is left open comes from the defaults of the handle.
///
/// The names and rules are those of django-cacheops' setting `CACHEOPS`, with one difference: here
/// `db_agnostic` is off unless said otherwise. Results of two databases that share their keys were a
/// source of stale results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    ops: Option<Ops>,
    ttl: Option<Duration>,
    lock: Option<bool>,
    local_get: Option<bool>,
    cache_on_save: Option<CacheOnSave>,
    db_agnostic: Option<bool>,
}

/// How long a result is kept where nobody says it.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(3600);

impl Profile {
    /// Everything from the defaults of the handle: if these say nothing either, caches only what asks for it, for an
    /// hour, without a lock, a copy in the process or a store on save.
    pub fn new() -> Self {
        Self::default()
    }

    /// These reads are cached without being asked for.
    pub fn ops(mut self, ops: Ops) -> Self {
        self.ops = Some(ops);
        self
    }

    /// How long results live.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// [`ttl`](Self::ttl) under the name that it has in django-cacheops.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.ttl(timeout)
    }

    /// One process loads a missing result while the others wait for it.
    pub fn lock(mut self, lock: bool) -> Self {
        self.lock = Some(lock);
        self
    }

    /// Values of gets are kept in the process too; the server proves each time that they are good.
    pub fn local_get(mut self, local_get: bool) -> Self {
        self.local_get = Some(local_get);
        self
    }

    /// Saving a row stores it.
    pub fn cache_on_save(mut self, cache_on_save: CacheOnSave) -> Self {
        self.cache_on_save = Some(cache_on_save);
        self
    }

    /// Databases share their results: two ways to the same rows. Not for a replica that lags: what is read there would
    /// be stored with a token that is younger than its rows.
    pub fn db_agnostic(mut self, db_agnostic: bool) -> Self {
        self.db_agnostic = Some(db_agnostic);
        self
    }

    /// The reads that are cached without being asked for.
    pub fn get_ops(&self) -> Ops {
        self.ops.unwrap_or_default()
    }

    /// How long results live.
    pub fn get_ttl(&self) -> Duration {
        self.ttl.unwrap_or(DEFAULT_TTL)
    }

    /// Whether one process loads while the others wait.
    pub fn get_lock(&self) -> bool {
        self.lock.unwrap_or_default()
    }

    /// Whether values of gets are kept in the process.
    pub fn get_local_get(&self) -> bool {
        self.local_get.unwrap_or_default()
    }

    /// Whether saving a row stores it.
    pub fn get_cache_on_save(&self) -> &CacheOnSave {
        self.cache_on_save.as_ref().unwrap_or(&CacheOnSave::No)
    }

    /// Whether databases share their results.
    pub fn get_db_agnostic(&self) -> bool {
        self.db_agnostic.unwrap_or_default()
    }

    /// What is left open comes from `defaults`.
    fn or(self, defaults: &Self) -> Self {
        Self {
            ops: self.ops.or(defaults.ops),
            ttl: self.ttl.or(defaults.ttl),
            lock: self.lock.or(defaults.lock),
            local_get: self.local_get.or(defaults.local_get),
            cache_on_save: self.cache_on_save.or_else(|| defaults.cache_on_save.clone()),
            db_agnostic: self.db_agnostic.or(defaults.db_agnostic),
        }
    }
}

/// Profiles by table.
///
/// A table is looked up by its name, then by the longest pattern that fits (`blog.*`, `blog_*`), then
/// by `*` or `*.*`. Letter case does not matter. The first that is found counts, and alone: profiles
/// are not combined. None found, or found to be forbidden: nothing of the table is cached. Where no
/// profile is given at all, every table has the defaults.
#[derive(Clone, Default)]
pub(crate) struct Profiles {
    exact: HashMap<String, Option<Profile>>,
    /// What stands before the asterisk, longest first.
    patterns: Vec<(String, Option<Profile>)>,
    defaults: Profile,
    any: bool,
    /// One of them is none.
    forbids: bool,
}

impl Profiles {
    /// Reads names and patterns. Where `known` tables are given, a name must be one of them.
    pub(crate) fn build(
        given: Vec<(String, Option<Profile>)>,
        defaults: Profile,
        known: Option<&[String]>,
    ) -> Result<Self, Error> {
        let mut profiles = Self { any: !given.is_empty(), ..Self::default() };
        for (name, profile) in given {
            profiles.forbids |= profile.is_none();
            let name = name.to_lowercase();
            let profile = profile.map(|profile| profile.or(&defaults));
            match pattern(&name)? {
                Some(prefix) => {
                    profiles.patterns.retain(|(other, _)| *other != prefix);
                    profiles.patterns.push((prefix.to_owned(), profile));
                }
                None => {
                    require_known(&name, known)?;
                    profiles.exact.insert(name, profile);
                }
            }
        }
        profiles.patterns.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        profiles.defaults = defaults;
        Ok(profiles)
    }

    /// The profile of a table; none if nothing of it may be cached.
    pub(crate) fn of(&self, table: &str) -> Option<&Profile> {
        if !self.any {
            return Some(&self.defaults);
        }
        self.given(table)?.as_ref()
    }

    /// Whether it was said that nothing of the table may be cached.
    pub(crate) fn forbids(&self, table: &str) -> bool {
        self.forbids && matches!(self.given(table), Some(None))
    }

    fn given(&self, table: &str) -> Option<&Option<Profile>> {
        let lower = table.to_lowercase();
        let fits = |(prefix, _): &&(String, Option<Profile>)| lower.starts_with(prefix.as_str());
        let pattern = || self.patterns.iter().find(fits).map(|(_, profile)| profile);
        self.exact.get(&lower).or_else(pattern)
    }

    pub(crate) fn defaults(&self) -> &Profile {
        &self.defaults
    }
}

/// What stands before the asterisk, if the name is a pattern.
fn pattern(name: &str) -> Result<Option<&str>, Error> {
    let Some((prefix, rest)) = name.split_once('*') else {
        return match name {
            "" => Err(Error::new(ErrorKind::InvalidConfig, "a profile names no table")),
            _ => Ok(None),
        };
    };
    match (prefix, rest) {
        // Both spellings of "any table".
        ("", "" | ".*") => Ok(Some("")),
        (prefix, "") => Ok(Some(prefix)),
        _ => {
            let text = format!("the pattern '{name}' of a profile has its asterisk not at the end");
            Err(Error::new(ErrorKind::InvalidConfig, text))
        }
    }
}

fn require_known(name: &str, known: Option<&[String]>) -> Result<(), Error> {
    let Some(known) = known else { return Ok(()) };
    if known.iter().any(|table| table.to_lowercase() == name) {
        return Ok(());
    }
    let tables = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let text = format!("a profile names the table '{name}'; known are: {tables}");
    Err(Error::new(ErrorKind::UnknownTable, text))
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profiles({} tables, {} patterns)", self.exact.len(), self.patterns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Profile {
        Profile::new().ttl(Duration::from_secs(60 * minutes))
    }

    fn build(given: &[(&str, Option<Profile>)]) -> Profiles {
        let given = given.iter().map(|(name, profile)| ((*name).to_owned(), profile.clone()));
        Profiles::build(given.collect(), Profile::new().lock(true), None).unwrap()
    }

    fn found(profiles: &Profiles, table: &str) -> Option<u64> {
        profiles.of(table).map(|profile| profile.get_ttl().as_secs() / 60)
    }

    #[test]
    fn a_name_counts_before_patterns_and_the_longest_of_these_before_the_rest() {
        let profiles = build(&[
            ("*.*", Some(minutes(1))),
            ("auth.*", Some(minutes(2))),
            ("auth.user", Some(minutes(3))),
            ("auth.group", None),
            ("blog_*", Some(minutes(4))),
            ("blog_draft_*", None),
        ]);

        for (table, expected) in [
            ("auth.user", Some(3)),
            ("Auth.User", Some(3)),
            ("auth.permission", Some(2)),
            ("auth.group", None),
            ("blog_post", Some(4)),
            ("blog_draft_post", None),
            ("blog", Some(1)),
            ("other", Some(1)),
        ] {
            assert_eq!(found(&profiles, table), expected, "{table}");
        }
    }

    #[test]
    fn a_table_that_no_profile_names_is_not_cached() {
        assert_eq!(found(&build(&[("a", Some(minutes(1)))]), "b"), None);
        assert_eq!(found(&build(&[("a.*", Some(minutes(1)))]), "ab"), None);
        assert_eq!(found(&build(&[]), "b"), Some(60), "without any profile the defaults count");
    }

    #[test]
    fn what_a_profile_leaves_open_comes_from_the_defaults() {
        let profiles = build(&[
            ("a", Some(Profile::new())),
            (
                "b",
                Some(minutes(5).lock(false).ops(Ops::ALL).cache_on_save(CacheOnSave::PrimaryKey)),
            ),
        ]);

        let a = profiles.of("a").unwrap();
        assert_eq!((a.get_lock(), a.get_ops(), a.get_ttl()), (true, Ops::NONE, DEFAULT_TTL));
        assert_eq!(a.get_cache_on_save(), &CacheOnSave::No);
        assert!(!a.get_db_agnostic() && !a.get_local_get());
        let b = profiles.of("b").unwrap();
        assert_eq!((b.get_lock(), b.get_ops()), (false, Ops::ALL));
    }

    #[test]
    fn tells_what_is_wrong_with_a_name() {
        let error = |name: &str, known: Option<&[String]>| {
            let given = vec![(name.to_owned(), Some(Profile::new()))];
            Profiles::build(given, Profile::new(), known).unwrap_err()
        };
        let known = ["post".to_owned(), "tag".to_owned()];

        let unknown = error("posts", Some(&known));
        assert_eq!(unknown.kind(), ErrorKind::UnknownTable);
        assert_eq!(unknown.to_string(), "a profile names the table 'posts'; known are: post, tag");
        for name in ["", "a*b", "*b", "a**"] {
            assert_eq!(error(name, None).kind(), ErrorKind::InvalidConfig, "{name}");
        }

        let given = vec![("POST".to_owned(), None), ("x_*".to_owned(), None)];
        assert!(Profiles::build(given, Profile::new(), Some(&known)).is_ok());
    }
}
