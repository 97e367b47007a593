//! One read: whether the cache is asked, and what is stored.

use cacheops::{Cacheops, Codec, Deps, Key, Ops, Profile, Read, Snapshot};
use cacheops_sql::{Kind, Template};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use crate::cached::{Mode, Options};
use crate::codec::write_value;
use crate::run::Run;
use crate::source::{Context, Unstored};
use crate::value::values_of;

/// By what it is decided whether the cache is used for a read, and how.
pub(crate) struct Rules<'a> {
    pub(crate) options: &'a Options,
    /// The table of its profile; none if the statement's first table is to decide.
    pub(crate) table: Option<String>,
    pub(crate) op: Ops,
}

/// What is asked, beside the statement.
pub(crate) struct Asked<'a> {
    pub(crate) rules: Rules<'a>,
    /// What tells two results of one statement apart.
    pub(crate) kind: &'a [u8],
    /// How the database is asked.
    pub(crate) run: fn(Statement) -> Run,
}

impl<'o> Rules<'o> {
    /// For a read of rows.
    pub(crate) fn fetch(options: &'o Options, table: Option<String>) -> Self {
        Self { options, table, op: Ops::FETCH }
    }

    /// How the cache is used for this read: by which snapshot. None if it is not used.
    async fn usable<'a, I>(
        &self,
        context: &Context<'a, I>,
        profile: Option<&Profile>,
    ) -> Option<Option<&'a Snapshot>> {
        // Before the first statement, whether this one is cached or not.
        let moment = context.moment().await;
        let wanted = match (self.options.mode, self.options.ops) {
            (Mode::Off, _) => false,
            (_, Some(ops)) => ops.contains(self.op),
            (Mode::Forced, None) => true,
            (Mode::Profile, None) => profile.is_some_and(|of| of.get_ops().contains(self.op)),
        };
        moment.filter(|_| wanted && context.cacheops.is_enabled())
    }

    /// Whether the cache is asked for by name.
    fn is_wanted(&self) -> bool {
        self.options.mode == Mode::Forced
    }

    fn with_options<'r, C>(
        &self,
        mut read: Read<'r, C>,
        snapshot: Option<&'r Snapshot>,
    ) -> Read<'r, C> {
        if let Some(timeout) = self.options.timeout {
            read = read.timeout(timeout);
        }
        if let Some(lock) = self.options.lock {
            read = read.lock(lock);
        }
        if let Some(snapshot) = snapshot {
            read = read.snapshot(snapshot);
        }
        read
    }
}

/// Asks the cache, and if need be the database.
pub(crate) async fn ask<I, T, C>(
    context: Context<'_, I>,
    Asked { rules, kind, run }: Asked<'_>,
    statement: Statement,
    codec: C,
    read: impl FnOnce(Vec<QueryResult>) -> Result<T, DbErr> + Send,
) -> Result<T, DbErr>
where
    I: ConnectionTrait,
    C: Codec<T>,
{
    let Context { cacheops, shared, inner, state, .. } = context;
    let template = shared.analyser.analyse(&statement.sql);
    if !matches!(template.kind(), Kind::Read { .. } | Kind::Session) {
        // Whatever returns rows can be written behind `.cache()`.
        return read(Box::pin(context.write(run(statement))).await?.into_rows());
    }
    let table = rules.table.as_deref().or(template.tables().first().map(String::as_str));
    let profile = table.and_then(|table| context.profile(table, rules.is_wanted()));
    // Before it is asked whether the transaction has written: another thread may do it in between.
    let before = context.writes();
    let usable = rules.usable(&context, profile).await.zip(profile);
    let deps = match usable.is_some() || context.is_noted() {
        true => deps_of(cacheops, &template, &statement),
        false => None,
    };
    context.note(deps.clone().filter(|_| profile.is_some() || table.is_none()));
    let entry = async {
        let ((snapshot, profile), deps) = usable.zip(deps)?;
        let agnostic = is_agnostic(cacheops, profile, [&*template]);
        let key = key_of::<(T, C)>(context.database(agnostic).await?, &statement, kind)?;
        let read = cacheops.read(key).deps(deps).forced(profile, rules.op).codec(codec);
        // Who waits for a block must not wait for what is read in it.
        let alone = state.is_some() || context.is_noted();
        Some(rules.with_options(read, snapshot).alone(alone))
    };
    let entry = entry.await;
    if let Some(state) = state {
        state.reads(&template);
    }
    let Some(entry) = entry else {
        let rows = run(statement).on(inner).await;
        let items = read(rows.inspect_err(|error| context.failed(error))?.into_rows());
        return items.inspect_err(|_| context.note(None));
    };
    let load = || async {
        let rows = run(statement).on(inner).await;
        let rows = rows.inspect_err(|error| context.failed(error)).map_err(Unstored::Failed)?;
        let value = read(rows.into_rows()).inspect_err(|_| context.note(None));
        let value = value.map_err(Unstored::Failed)?;
        match context.writes() == before && context.has_only_read().await {
            true => Ok(value),
            false => Err(Unstored::Value(value)),
        }
    };
    Unstored::settle(entry.get_or_store(load).await)
}

/// Asks the cache for the result of more than one statement, whose key depends on the database unless that is agnostic.
/// `load` says what it depends on; none, and it is not stored.
pub(crate) async fn ask_many<I, T, C>(
    context: Context<'_, I>,
    rules: Rules<'_>,
    agnostic: bool,
    key: impl FnOnce(&str) -> Option<Key>,
    codec: C,
    load: impl Future<Output = Result<(T, Option<Deps>), DbErr>>,
) -> Result<T, DbErr>
where
    I: ConnectionTrait,
    C: Codec<T>,
{
    let Context { cacheops, state, .. } = context;
    if context.is_noted() {
        // Of an entry it is not known what it depends on.
        let loaded = load.await.inspect_err(|_| context.note(None));
        let (value, deps) = loaded?;
        context.note(deps);
        return Ok(value);
    }
    let profile =
        rules.table.as_deref().and_then(|table| context.profile(table, rules.is_wanted()));
    let before = context.writes();
    let usable = rules.usable(&context, profile).await;
    // Without a table the defaults count.
    let allowed = profile.is_some() || rules.table.is_none();
    let database = match usable.is_some() && allowed {
        true => context.database(agnostic).await,
        false => None,
    };
    let (Some(snapshot), Some(key)) = (usable, database.and_then(key)) else {
        return Ok(load.await?.0);
    };
    let mut read = cacheops.read(key).op(rules.op.name());
    if let Some(profile) = profile {
        read = read.forced(profile, rules.op);
    }
    let read = rules.with_options(read.codec(codec), snapshot).alone(state.is_some());
    let load = || async {
        let (value, deps) = load.await.map_err(Unstored::Failed)?;
        match deps {
            Some(deps) if context.writes() == before && context.has_only_read().await => {
                Ok((value, deps))
            }
            _ => Err(Unstored::Value(value)),
        }
    };
    Unstored::settle(read.get_or_load(load).await)
}

/// The rows that the result of a statement depends on; none if it must not be stored.
pub(crate) fn deps_of(
    cacheops: &Cacheops,
    template: &Template,
    statement: &Statement,
) -> Option<Deps> {
    if template.tables().iter().any(|table| cacheops.forbids(table)) {
        return None;
    }
    let values = values_of(statement);
    let conditions = template.dependencies(&values)?;
    let add = |deps: Deps, (table, condition)| deps.and_text(table, condition);
    Some(conditions.iter().fold(Deps::none(), add))
}

/// Whether a result is the same in all databases: those of all of its tables must be.
pub(crate) fn is_agnostic<'t>(
    cacheops: &Cacheops,
    profile: &Profile,
    templates: impl IntoIterator<Item = &'t Template>,
) -> bool {
    let agnostic = |table: &String| cacheops.profile(table).is_some_and(Profile::get_db_agnostic);
    let mut templates = templates.into_iter();
    profile.get_db_agnostic() && templates.all(|template| template.tables().iter().all(agnostic))
}

/// The key of a result: database, statement, values, and the type that it is read as, and how.
pub(crate) fn key_of<T>(database: &str, statement: &Statement, kind: &[u8]) -> Option<Key> {
    let mut values = Vec::with_capacity(64);
    write_values(statement, &mut values)?;
    Some(Key::query(database, &statement.sql).part(&values).part(kind).of::<T>().into())
}

/// The text and the values of a statement, as a key has them.
pub(crate) fn write_statement(statement: &Statement, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(statement.sql.as_bytes());
    out.push(0);
    write_values(statement, out)
}

/// Its values.
fn write_values(statement: &Statement, out: &mut Vec<u8>) -> Option<()> {
    let mut values = statement.values.iter().flat_map(|values| &values.0);
    values.try_for_each(|value| write_value(value, out)).ok()
}
