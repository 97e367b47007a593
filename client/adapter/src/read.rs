//! One read: whether the cache is used, and what is stored.

use cacheops::{Cacheops, Codec, Deps, Key, Profile, Snapshot};
use cacheops_sql::Template;

use crate::driver::Driver;
use crate::options::Rules;
use crate::session::{Session, Writes};

/// Why a loaded result must not be stored: an error, or a write of its own transaction may be in it.
#[derive(Debug)]
pub enum Unstored<T, E> {
    /// It is an error.
    Failed(E),
    /// A value that is for the caller only.
    Value(T),
}

impl<T, E> Unstored<T, E> {
    /// What the caller gets, stored or not.
    ///
    /// # Errors
    ///
    /// [`Unstored::Failed`].
    pub fn settle(result: Result<T, Self>) -> Result<T, E> {
        match result {
            Ok(value) | Err(Self::Value(value)) => Ok(value),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}

/// Reads through the cache, and from the database if need be. The statement must be a read by its template: a write
/// goes to [`write`](crate::write()), whatever returns its rows.
///
/// `kind` tells two results of one statement apart.
///
/// # Errors
///
/// Those of the database and of `decode`. The cache causes none.
pub async fn read<D, T, C>(
    session: Session<'_>,
    driver: &mut D,
    (rules, kind): (Rules<'_>, &[u8]),
    template: &Template,
    statement: D::Statement,
    codec: C,
    decode: impl FnOnce(D::Rows) -> Result<T, D::Error> + Send,
) -> Result<T, D::Error>
where
    D: Driver,
    C: Codec<T>,
{
    let Session { cacheops, state, .. } = session;
    let is_recorded = session.recorder.is_some();
    let table = rules.table.as_deref().or(template.tables().first().map(String::as_str));
    let profile = table.and_then(|table| session.profile(table, rules.is_explicit()));
    // Before the transaction's state is looked at: another thread may write in it in between.
    let before = session.writes();
    let usable = usable(&session, &rules, profile).await.zip(profile);
    let deps = match usable.is_some() || is_recorded {
        true => session.deps(template, &driver.values(&statement).unwrap_or_default()),
        false => None,
    };
    if is_recorded {
        session.record(deps.clone().filter(|_| profile.is_some() || table.is_none()));
    }
    let entry = async {
        let ((snapshot, profile), deps) = usable.zip(deps)?;
        let agnostic = is_agnostic(cacheops, profile, [template]);
        let database = session.database(driver, agnostic).await?;
        let key = key_of::<D, (T, C)>(driver, database, &statement, kind)?;
        let read = cacheops.read(key).deps(deps).forced(profile, rules.op);
        // A reader that waits for a block must not wait for what is read in it.
        let alone = state.is_some() || is_recorded;
        Some(rules.apply(read.codec(codec), snapshot).alone(alone))
    };
    let entry = entry.await;
    if let Some(state) = state {
        state.before_read(template);
    }
    let Some(entry) = entry else {
        let rows = match driver.fetch(statement).await {
            Ok(rows) => rows,
            Err(error) => {
                session.failed(driver, &error);
                return Err(error);
            }
        };
        return decode(rows).inspect_err(|_| session.record(None));
    };
    let load = || async {
        let rows = match driver.fetch(statement).await {
            Ok(rows) => rows,
            Err(error) => {
                session.failed(driver, &error);
                return Err(Unstored::Failed(error));
            }
        };
        let value = decode(rows).inspect_err(|_| session.record(None));
        let value = value.map_err(Unstored::Failed)?;
        match session.writes() == before && session.has_only_read(driver).await {
            true => Ok(value),
            false => Err(Unstored::Value(value)),
        }
    };
    Unstored::settle(entry.get_or_load(load).await)
}

/// The key of a result: database, statement, values, and the type that it is read as, and how. None if a value has no
/// bytes.
pub fn key_of<D: Driver, T>(
    driver: &D,
    database: &str,
    statement: &D::Statement,
    kind: &[u8],
) -> Option<Key> {
    let mut values = Vec::with_capacity(64);
    driver.write_parameters(statement, &mut values)?;
    Some(Key::query(database, driver.sql(statement)).part(&values).part(kind).of::<T>().into())
}

/// How the cache is used for a read: by which snapshot. None if it is not used.
async fn usable<'a>(
    session: &Session<'a>,
    rules: &Rules<'_>,
    profile: Option<&Profile>,
) -> Option<Option<&'a Snapshot>> {
    // Before the first statement, whether this one is cached or not.
    let snapshot = session.snapshot().await;
    let allowed = rules.allow(profile) && session.cacheops.is_enabled();
    snapshot.filter(|_| allowed)
}

/// Whether a result is the same in all databases: those of all of its tables must be.
pub fn is_agnostic<'t>(
    cacheops: &Cacheops,
    profile: &Profile,
    templates: impl IntoIterator<Item = &'t Template>,
) -> bool {
    let agnostic = |table: &String| cacheops.profile(table).is_some_and(Profile::get_db_agnostic);
    let mut templates = templates.into_iter();
    profile.get_db_agnostic() && templates.all(|template| template.tables().iter().all(agnostic))
}

/// A result that is made of more than one statement, about to be looked up: a block of reads, the rows of a relation.
#[derive(Debug)]
pub struct Combined<'a> {
    session: Session<'a>,
    rules: Rules<'a>,
    profile: Option<&'a Profile>,
    writes: Writes,
    /// By which snapshot it is stored, and the database that its key names. None: the cache is not used.
    usable: Option<(Option<&'a Snapshot>, &'a str)>,
}

/// Decides at the end of a [`Combined`]'s loader whether its result may be stored.
#[derive(Debug, Clone, Copy)]
pub struct Storable {
    writes: Writes,
    stores: bool,
}

impl Storable {
    /// What the result depends on, if it may be stored.
    pub async fn check<D: Driver>(
        self,
        session: Session<'_>,
        driver: &mut D,
        deps: Option<Deps>,
    ) -> Option<Deps> {
        let deps = deps?;
        let stale = self.stores
            && (session.writes() != self.writes || !session.has_only_read(driver).await);
        (!stale).then_some(deps)
    }
}

impl<'a> Combined<'a> {
    /// Decides whether the cache is used. The key depends on the database unless that is agnostic.
    pub async fn new<D: Driver>(
        session: Session<'a>,
        driver: &mut D,
        rules: Rules<'a>,
        agnostic: bool,
    ) -> Self {
        let writes = session.writes();
        // Of an entry it is not known what it depends on: inside of a block it is loaded.
        if session.recorder.is_some() {
            return Self { session, rules, profile: None, writes, usable: None };
        }
        let table = rules.table.as_deref();
        let profile = table.and_then(|table| session.profile(table, rules.is_explicit()));
        // Without a table the defaults count.
        let allowed = profile.is_some() || table.is_none();
        let snapshot = usable(&session, &rules, profile).await.filter(|_| allowed);
        let usable = match snapshot {
            Some(snapshot) => {
                session.database(driver, agnostic).await.map(|database| (snapshot, database))
            }
            None => None,
        };
        Self { session, rules, profile, writes, usable }
    }

    /// For the end of the loader.
    pub fn storable(&self) -> Storable {
        Storable { writes: self.writes, stores: self.usable.is_some() }
    }

    /// The result of the entry, or else of `load`, which says what it depends on; none, and it is not stored. `key` makes
    /// the key from the name of the database.
    ///
    /// # Errors
    ///
    /// Those of `load`.
    pub async fn get_or_load<T, E, C: Codec<T>>(
        self,
        key: impl FnOnce(&str) -> Option<Key>,
        codec: C,
        load: impl Future<Output = Result<(T, Option<Deps>), E>>,
    ) -> Result<T, E> {
        let Self { session, rules, profile, usable, .. } = self;
        let entry = usable.and_then(|(snapshot, database)| Some((snapshot, key(database)?)));
        let Some((snapshot, key)) = entry else {
            let loaded = load.await.inspect_err(|_| session.record(None));
            let (value, deps) = loaded?;
            session.record(deps);
            return Ok(value);
        };
        let mut read = session.cacheops.read(key).op(rules.op.name());
        if let Some(profile) = profile {
            read = read.forced(profile, rules.op);
        }
        let read = rules.apply(read.codec(codec), snapshot).alone(session.state.is_some());
        let load = || async {
            match load.await.map_err(Unstored::Failed)? {
                (value, Some(deps)) => Ok((value, deps)),
                (value, None) => Err(Unstored::Value(value)),
            }
        };
        Unstored::settle(read.get_or_load_with_deps(load).await)
    }
}
