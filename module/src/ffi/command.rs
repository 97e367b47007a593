//! Commands: their arguments, and how they are described to the server.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int};
use std::ptr::{null, null_mut};

use smallvec::SmallVec;

use super::data_type::{bytes, lent};
use super::key::Name;
use super::{Context, guarded, raw};
use crate::error::CommandError;

/// The arguments of a command, its name left out.
pub(crate) struct Args<'a> {
    strings: &'a [*mut raw::RedisModuleString],
    bytes: SmallVec<[&'a [u8]; 16]>,
}

impl<'a> Args<'a> {
    #[inline]
    pub(crate) fn bytes(&self) -> &[&'a [u8]] {
        &self.bytes
    }

    /// The argument at a position as the name of a key.
    #[inline]
    pub(crate) fn name(&self, at: usize) -> Option<Name<'a>> {
        self.strings.get(at).map(|&string| lent(string))
    }
}

/// What a command does: it replies itself, or fails before it has changed anything.
pub(crate) type Handler = fn(&Context, &Args<'_>) -> Result<(), CommandError>;

/// What a client is answered after a panic.
pub(super) const INTERNAL_ERROR: &str =
    "ERR internal error in cacheops, all its entries are discarded; the server's log says more";

/// Runs a handler for the server.
///
/// # Safety
///
/// Called by the server as the function of a command.
#[inline]
pub(super) unsafe fn run(
    handler: Handler,
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    // SAFETY: the server lends context and arguments for this call.
    let ctx = unsafe { Context::new(ctx) };
    let answered = guarded(false, || {
        // SAFETY: as above; there are `argc` strings, the first is the command's name.
        let (strings, bytes) = unsafe {
            let strings = std::slice::from_raw_parts(argv, usize::try_from(argc).unwrap_or(0))
                .get(1..)
                .unwrap_or(&[]);
            (strings, strings.iter().map(|&string| bytes(string).unwrap_or(&[])).collect())
        };
        match handler(&ctx, &Args { strings, bytes }) {
            Ok(()) => {}
            Err(CommandError::Arity) => ctx.reply_wrong_arity(),
            Err(error) => ctx.reply_error(&error.to_string()),
        }
        true
    });
    if !answered {
        ctx.reply_error(INTERNAL_ERROR);
    }
    raw::REDISMODULE_OK as c_int
}

/// Answers the server's question for the key of a command that names one behind `KEY`, without running it; false if it asks
/// no such thing.
///
/// # Safety
///
/// Called by the server as the function of a command with the flag `getkeys-api`.
pub(super) unsafe fn tell_key(
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> bool {
    /// Behind the command's name and its first argument.
    const FIRST: c_int = 2;
    // SAFETY: the server lends context and arguments for this call.
    unsafe {
        let is_asked: c_int = api!(RedisModule_IsKeysPositionRequest(ctx));
        if is_asked == 0 {
            return false;
        }
        guarded((), || {
            let word = |at: c_int| bytes(*argv.offset(at as isize)).unwrap_or(&[]);
            let mut options = (FIRST..argc).take_while(|&at| !word(at).eq_ignore_ascii_case(b"ON"));
            if let Some(at) = options.find(|&at| word(at).eq_ignore_ascii_case(b"KEY"))
                && at + 1 < argc
            {
                let flags = raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_NOT_KEY;
                api!(RedisModule_KeyAtPosWithFlags(ctx, at + 1, flags as c_int));
            }
        });
    }
    true
}

/// Makes the C function of a command from its handler, with `key` of one that names its key behind `KEY`.
macro_rules! command {
    ($handler:path, key) => {{
        unsafe extern "C" fn entry_point(
            ctx: *mut $crate::ffi::raw::RedisModuleCtx,
            argv: *mut *mut $crate::ffi::raw::RedisModuleString,
            argc: std::os::raw::c_int,
        ) -> std::os::raw::c_int {
            // SAFETY: only the server calls this, as a command.
            unsafe {
                if $crate::ffi::command::tell_key(ctx, argv, argc) {
                    return $crate::ffi::raw::REDISMODULE_OK as std::os::raw::c_int;
                }
                $crate::ffi::command::run($handler, ctx, argv, argc)
            }
        }
        entry_point
    }};
    ($handler:path) => {{
        unsafe extern "C" fn entry_point(
            ctx: *mut $crate::ffi::raw::RedisModuleCtx,
            argv: *mut *mut $crate::ffi::raw::RedisModuleString,
            argc: std::os::raw::c_int,
        ) -> std::os::raw::c_int {
            // SAFETY: only the server calls this, as a command.
            unsafe { $crate::ffi::command::run($handler, ctx, argv, argc) }
        }
        entry_point
    }};
}
pub(super) use command;

/// Where the keys of a command are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySpec {
    None,
    /// The first argument, read.
    ReadFirst,
    /// The first argument, read if it is given; it only chooses the shard.
    RouteFirst,
    /// The first argument, overwritten.
    WriteFirst,
    /// All arguments, read.
    ReadAll,
    /// The argument behind `KEY`; it only chooses the shard.
    RouteKeyword,
}

/// A command as `COMMAND DOCS` and `COMMAND INFO` show it.
pub(crate) struct CommandSpec {
    pub(crate) name: &'static CStr,
    pub(crate) flags: &'static CStr,
    pub(crate) keys: KeySpec,
    /// As in `COMMAND INFO`: negative for at least so many.
    pub(crate) arity: c_int,
    pub(crate) summary: &'static CStr,
    pub(crate) complexity: &'static CStr,
    pub(crate) tips: Option<&'static CStr>,
    /// Categories for servers that have an interface for them.
    pub(crate) categories: &'static CStr,
    pub(crate) args: &'static [Arg],
}

/// An argument in `COMMAND DOCS`.
pub(crate) struct Arg {
    pub(crate) name: &'static CStr,
    pub(crate) kind: ArgKind,
    pub(crate) token: Option<&'static CStr>,
    pub(crate) optional: bool,
    pub(crate) multiple: bool,
}

pub(crate) enum ArgKind {
    Key,
    String,
    Integer,
    UnixTime,
    /// Its token is all there is.
    Flag,
    OneOf(&'static [Arg]),
    Block(&'static [Arg]),
}

type EntryPoint = unsafe extern "C" fn(
    *mut raw::RedisModuleCtx,
    *mut *mut raw::RedisModuleString,
    c_int,
) -> c_int;

/// Registers a command; false if the server refuses it.
pub(super) fn register(ctx: &Context, spec: &CommandSpec, entry_point: EntryPoint) -> bool {
    let (first, last, step) = match spec.keys {
        KeySpec::None | KeySpec::RouteKeyword => (0, 0, 0),
        KeySpec::ReadFirst | KeySpec::RouteFirst | KeySpec::WriteFirst => (1, 1, 1),
        KeySpec::ReadAll => (1, -1, 1),
    };
    // SAFETY: all strings end in NUL and are static, or leaked for the life of the module; the server copies what it keeps.
    unsafe {
        let created: c_int = api!(RedisModule_CreateCommand(
            ctx.raw(),
            spec.name.as_ptr(),
            Some(entry_point),
            spec.flags.as_ptr(),
            first,
            last,
            step
        ));
        let failed = |status: c_int| status != raw::REDISMODULE_OK as c_int;
        if failed(created) {
            return false;
        }
        let command = api_ptr!(RedisModule_GetCommand(ctx.raw(), spec.name.as_ptr()));
        if command.is_null() {
            return false;
        }
        if let Some(set_categories) = raw::RedisModule_SetCommandACLCategories
            && failed(set_categories(command, spec.categories.as_ptr()))
        {
            return false;
        }
        !failed(describe(command, spec))
    }
}

/// # Safety
///
/// `command` was answered by the server for this module.
unsafe fn describe(command: *mut raw::RedisModuleCommand, spec: &CommandSpec) -> c_int {
    let version = leak(raw::RedisModuleCommandInfoVersion {
        version: 1,
        sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
        sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
        sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
    });
    let info = raw::RedisModuleCommandInfo {
        version,
        summary: spec.summary.as_ptr(),
        complexity: spec.complexity.as_ptr(),
        since: c"0.1.0".as_ptr(),
        history: null_mut(),
        tips: spec.tips.map_or(null(), CStr::as_ptr),
        arity: spec.arity,
        key_specs: key_specs(spec.keys),
        args: arguments(spec.args),
    };
    // SAFETY: the server copies the description; what it points to is static or leaked.
    unsafe { api!(RedisModule_SetCommandInfo(command, &info)) }
}

fn key_specs(keys: KeySpec) -> *mut raw::RedisModuleCommandKeySpec {
    let read = raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS;
    let flags = match keys {
        KeySpec::None => return null_mut(),
        KeySpec::ReadFirst | KeySpec::ReadAll => read,
        KeySpec::WriteFirst => raw::REDISMODULE_CMD_KEY_OW | raw::REDISMODULE_CMD_KEY_UPDATE,
        KeySpec::RouteFirst | KeySpec::RouteKeyword => {
            raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_NOT_KEY
        }
    };
    let lastkey = if keys == KeySpec::ReadAll { -1 } else { 0 };
    // SAFETY: of these structures of integers, pointers and unions, all zeros are a valid value: "nothing".
    let (mut spec, end): (raw::RedisModuleCommandKeySpec, raw::RedisModuleCommandKeySpec) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    spec.flags = flags.into();
    spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
    spec.fk.range = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 {
        lastkey,
        keystep: 1,
        limit: 0,
    };
    if keys == KeySpec::RouteKeyword {
        spec.begin_search_type =
            raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_KEYWORD;
        spec.bs.keyword = raw::RedisModuleCommandKeySpec__bindgen_ty_1__bindgen_ty_2 {
            keyword: c"KEY".as_ptr(),
            startfrom: 2,
        };
    } else {
        spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
        spec.bs.index = raw::RedisModuleCommandKeySpec__bindgen_ty_1__bindgen_ty_1 { pos: 1 };
    }
    leak([spec, end]).as_mut_ptr()
}

fn arguments(args: &[Arg]) -> *mut raw::RedisModuleCommandArg {
    if args.is_empty() {
        return null_mut();
    }
    let mut all: Vec<raw::RedisModuleCommandArg> = args.iter().map(argument).collect();
    // SAFETY: all zeros end the list.
    all.push(unsafe { std::mem::zeroed() });
    all.leak().as_mut_ptr()
}

fn argument(arg: &Arg) -> raw::RedisModuleCommandArg {
    use raw::*;
    let none: &[Arg] = &[];
    let (type_, subargs) = match arg.kind {
        ArgKind::Key => (RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY, none),
        ArgKind::String => (RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING, none),
        ArgKind::Integer => (RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER, none),
        ArgKind::UnixTime => (RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_UNIX_TIME, none),
        ArgKind::Flag => (RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN, none),
        ArgKind::OneOf(args) => (RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF, args),
        ArgKind::Block(args) => (RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK, args),
    };
    // SAFETY: of this structure of integers and pointers, all zeros are a valid value.
    let mut described: RedisModuleCommandArg = unsafe { std::mem::zeroed() };
    described.name = arg.name.as_ptr();
    described.type_ = type_;
    described.key_spec_index = 0;
    described.token = arg.token.map_or(null(), CStr::as_ptr);
    described.subargs = arguments(subargs);
    described.flags = ((u32::from(arg.optional) * REDISMODULE_CMD_ARG_OPTIONAL)
        | (u32::from(arg.multiple) * REDISMODULE_CMD_ARG_MULTIPLE)) as c_int;
    described
}

/// For what the server may keep a pointer to: as long as the module, which is never unloaded.
fn leak<T>(thing: T) -> &'static mut T {
    Box::leak(Box::new(thing))
}

/// Adds the category `@cacheops`, where the server has the interface; false if it refuses.
pub(super) fn add_category(ctx: &Context, name: &str) -> bool {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: the name ends in NUL, and the server copies it.
    unsafe {
        match raw::RedisModule_AddACLCategory {
            Some(add) => {
                add(ctx.raw(), name.as_ptr().cast::<c_char>()) == raw::REDISMODULE_OK as c_int
            }
            None => true,
        }
    }
}
