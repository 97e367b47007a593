//! Directives: registered with the server, kept in atomics that any code may read.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_longlong, c_void};
use std::sync::atomic::{AtomicI64, Ordering};

use super::{Context, guarded, raw};

/// A directive with a whole number.
pub(crate) struct NumberSpec {
    pub(crate) name: &'static CStr,
    pub(crate) default: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
    /// Bytes: `64mb` may be written.
    pub(crate) is_memory: bool,
    pub(crate) value: &'static AtomicI64,
    /// Told of a change that was accepted.
    pub(crate) changed: fn(),
}

/// A directive with one of a few words.
pub(crate) struct EnumSpec {
    pub(crate) name: &'static CStr,
    pub(crate) default: i64,
    pub(crate) words: &'static [(&'static CStr, i64)],
    pub(crate) value: &'static AtomicI64,
}

unsafe extern "C" fn get_number(_name: *const c_char, spec: *mut c_void) -> c_longlong {
    // SAFETY: registered with a static `NumberSpec`.
    unsafe { spec.cast::<NumberSpec>().as_ref() }
        .map_or(0, |spec| spec.value.load(Ordering::Relaxed))
}

unsafe extern "C" fn set_number(
    _name: *const c_char,
    value: c_longlong,
    spec: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: registered with a static `NumberSpec`.
    if let Some(spec) = unsafe { spec.cast::<NumberSpec>().as_ref() }
        && spec.value.swap(value, Ordering::Relaxed) != value
    {
        guarded((), || (spec.changed)());
    }
    raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn get_enum(_name: *const c_char, spec: *mut c_void) -> c_int {
    // SAFETY: registered with a static `EnumSpec`.
    unsafe { spec.cast::<EnumSpec>().as_ref() }
        .map_or(0, |spec| spec.value.load(Ordering::Relaxed) as c_int)
}

unsafe extern "C" fn set_enum(
    _name: *const c_char,
    value: c_int,
    spec: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: registered with a static `EnumSpec`.
    if let Some(spec) = unsafe { spec.cast::<EnumSpec>().as_ref() } {
        spec.value.store(value.into(), Ordering::Relaxed);
    }
    raw::REDISMODULE_OK as c_int
}

/// Registers all directives and reads them from the configuration; false if the server refuses one.
pub(super) fn register(
    ctx: &Context,
    numbers: &'static [NumberSpec],
    enums: &'static [EnumSpec],
) -> bool {
    let mut accepted = true;
    for spec in numbers {
        let flags = if spec.is_memory {
            raw::REDISMODULE_CONFIG_MEMORY
        } else {
            raw::REDISMODULE_CONFIG_DEFAULT
        };
        // SAFETY: the name ends in NUL, and the specification is static.
        let status: c_int = unsafe {
            api!(RedisModule_RegisterNumericConfig(
                ctx.raw(),
                spec.name.as_ptr(),
                spec.default,
                flags,
                spec.min,
                spec.max,
                Some(get_number),
                Some(set_number),
                None,
                std::ptr::from_ref(spec).cast_mut().cast()
            ))
        };
        accepted &= status == raw::REDISMODULE_OK as c_int;
    }
    for spec in enums {
        let mut words: Vec<*const c_char> =
            spec.words.iter().map(|(word, _)| word.as_ptr()).collect();
        let values: Vec<c_int> = spec.words.iter().map(|&(_, value)| value as c_int).collect();
        // SAFETY: as above; the server copies words and values.
        let status: c_int = unsafe {
            api!(RedisModule_RegisterEnumConfig(
                ctx.raw(),
                spec.name.as_ptr(),
                spec.default as c_int,
                raw::REDISMODULE_CONFIG_DEFAULT,
                words.as_mut_ptr(),
                values.as_ptr(),
                words.len() as c_int,
                Some(get_enum),
                Some(set_enum),
                None,
                std::ptr::from_ref(spec).cast_mut().cast()
            ))
        };
        accepted &= status == raw::REDISMODULE_OK as c_int;
    }
    // SAFETY: the context is that of the load.
    let status: c_int = unsafe { api!(RedisModule_LoadConfigs(ctx.raw())) };
    accepted && status == raw::REDISMODULE_OK as c_int
}
