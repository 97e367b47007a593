//! `CACHEOPS.STORE key value [PX ms | PXAT unix-ms | EX s | EXAT unix-s] [TOKEN t] [VERSION n] ON table condition [...]`:
//! keeps a query's result with what it depends on.
//! Reply: integer, the entry's version; nil if its token is too old or there are too many tables. Replicated with PXAT and
//! VERSION, so that a replica expires it at the same time and knows it by the same version, and with the conditions that are
//! tracked. O(terms).

use cacheops_index::{Refused, Slot, Stamps};
use cacheops_protocol::{Expiry, Limits, StoreArgs};

use crate::config;
use crate::error::CommandError;
use crate::ffi::{self, Args, Context, Entry, Held, Key, Mode, with_state};
use crate::flight;
use crate::lifecycle::{Conditions, DEAD_TOKEN, Loading};

/// Where a STORE comes from, and what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Client,
    /// A primary's stream: nothing is refused, and the token was judged there.
    Stream,
    /// The own append only file, while it may have missed invalidations, or with an entry that was dead when it was rewritten:
    /// born dead, without its value. Replicas may hold the key, so it is made, and the sweep deletes it here and there.
    Discarded,
    /// A migration brings it to a primary, which may have missed what was invalidated elsewhere: born dead.
    Import,
}

pub(crate) fn store(ctx: &Context, args: &Args<'_>) -> Result<(), CommandError> {
    let source = source(ctx);
    let limits = if source == Source::Client { config::argument_limits() } else { Limits::STREAM };
    let StoreArgs { value, expiry, token, version, on, .. } =
        StoreArgs::parse(args.bytes(), &limits)?;
    let source = match source {
        Source::Stream if token == Some(DEAD_TOKEN) => Source::Discarded,
        source => source,
    };
    let expires_at = match expiry {
        None => None,
        Some(Expiry::At(time)) => Some(time),
        Some(Expiry::In(ms)) => {
            Some(ms.checked_add(ffi::now_ms()).filter(|&time| i64::try_from(time).is_ok()))
                .map(|time| time.ok_or(CommandError::ExpiryOverflow))
                .transpose()?
        }
    };
    let (Some(name), Some(key_bytes)) = (args.name(0), args.bytes().first()) else {
        return Err(CommandError::Arity);
    };
    let mut key = Key::open(ctx, name, Mode::Write);
    if matches!(key.held(), Held::Foreign) {
        return Err(CommandError::WrongType);
    }

    let database = ctx.database();
    let stored = with_state(|state| {
        #[cfg(feature = "panic-injection")]
        state.panic_if("index");
        match source {
            Source::Client => {
                state.index(database).store(key_bytes, &on, token, &config::index_limits())
            }
            Source::Stream | Source::Import => {
                state.index(database).store(key_bytes, &on, None, &config::stream_limits())
            }
            Source::Discarded => Err(Refused::Token),
        }
    });
    let value = if source == Source::Discarded { &[] } else { value };
    let (stored, number) = match stored {
        Ok(stored) if source != Source::Import => (Some(stored), stored.version),
        Ok(stored) => {
            with_state(|state| state.remove(stored.slot));
            (None, stored.version)
        }
        Err(_) if source == Source::Client => {
            if let Some(token) = token {
                flight::release(database, key_bytes, token);
            }
            ctx.reply_null();
            return Ok(());
        }
        // What cannot be linked is kept as dead: the key exists on the primary, which will delete it, or on replicas.
        Err(_) => (None, 1),
    };
    let tracked = stored.filter(|stored| !stored.is_exact).map(|stored| stored.slot);
    let (slot, stamps) =
        stored.map_or((Slot::NONE, Stamps::default()), |stored| (stored.slot, stored.stamps));
    let version = if source == Source::Client { number } else { version.unwrap_or(number) };
    if let Some(replaced) = key.put(Entry::new(value, slot, stamps.nodes(), version)) {
        let slot = replaced.as_ref().slot();
        with_state(|state| state.remove(slot));
        replaced.as_ref().clear_slot();
        key.expire_at(expires_at);
    } else if expires_at.is_some() {
        key.expire_at(expires_at);
    }
    drop(key);

    replicate(ctx, args, expires_at, version, tracked);
    ctx.signal_modified(name);
    ctx.notify_module(c"cacheops.store", name);
    if source == Source::Client {
        flight::stored(database, key_bytes, version, value);
    }
    ctx.reply_integer(version);
    Ok(())
}

/// A primary without a cluster hears clients only, so nothing is asked on the common path.
fn source(ctx: &Context) -> Source {
    let (is_primary, is_cluster, loading) =
        with_state(|state| (state.is_primary, state.is_cluster, state.loading));
    if loading == Some(Loading::Restart) {
        return if config::keeps_on_restart() { Source::Stream } else { Source::Discarded };
    }
    match is_primary {
        true if is_cluster && ctx.is_replicated() => Source::Import,
        true => Source::Client,
        false if ctx.is_replicated() => Source::Stream,
        // A replica that clients may write to.
        false => Source::Client,
    }
}

/// `tracked` is the entry if it is tracked by other conditions than it was given.
fn replicate(
    ctx: &Context,
    args: &Args<'_>,
    expires_at: Option<u64>,
    version: u64,
    tracked: Option<Slot>,
) {
    // Where nobody listens the cheap form does: the server drops it at once.
    if !with_state(|state| state.has_listeners) {
        return ctx.replicate_verbatim();
    }
    let [key, value, options @ ..] = args.bytes() else { return };
    let version = version.to_string();
    let time = expires_at.map(|time| time.to_string());
    let mut form: Vec<&[u8]> = vec![key, value];
    if let Some(time) = &time {
        form.extend([&b"PXAT"[..], time.as_bytes()]);
    }
    form.extend([&b"VERSION"[..], version.as_bytes()]);
    // A replica tracks what this server tracks, or it would soon have more schemes than the limits allow here.
    let conditions: Option<Conditions> =
        tracked.and_then(|slot| with_state(|state| state.find(slot)?.conditions(slot)));
    match &conditions {
        Some(conditions) => {
            form.push(b"ON");
            form.extend(conditions.iter().flat_map(|(table, text)| [&table[..], &text[..]]));
        }
        None => {
            form.extend(options.iter().skip_while(|option| !option.eq_ignore_ascii_case(b"ON")));
        }
    }
    ctx.replicate(c"CACHEOPS.STORE", &form);
}
