//! Functions that give the same for the same, and tables that are none.

use crate::Dialect;

/// Whether a function of the database is known to depend on its arguments only.
pub(crate) fn is_pure(name: &str) -> bool {
    PURE.binary_search(&name).is_ok()
}

/// Functions of SQLite that are pure unless an argument says `now`.
pub(crate) fn is_sqlite_date(name: &str) -> bool {
    matches!(
        name,
        "date" | "time" | "datetime" | "julianday" | "strftime" | "unixepoch" | "timediff"
    )
}

/// Words that read the clock or the session, without parentheses.
pub(crate) fn is_volatile_word(dialect: Dialect, name: &str) -> bool {
    match name {
        "current_date" | "current_time" | "current_timestamp" => true,
        "localtime" | "localtimestamp" | "current_user" => dialect != Dialect::Sqlite,
        "current_role" | "current_catalog" | "current_schema" | "session_user" | "user"
        | "system_user" => dialect == Dialect::Postgres,
        "utc_date" | "utc_time" | "utc_timestamp" => dialect == Dialect::MySql,
        _ => false,
    }
}

/// Functions whose rows depend on their arguments only, in the place of a table.
pub(crate) fn is_pure_relation(name: &str) -> bool {
    matches!(
        name,
        "generate_series"
            | "unnest"
            | "json_each"
            | "json_tree"
            | "json_each_text"
            | "json_array_elements"
            | "json_array_elements_text"
            | "json_object_keys"
            | "jsonb_each"
            | "jsonb_each_text"
            | "jsonb_array_elements"
            | "jsonb_array_elements_text"
            | "jsonb_object_keys"
            | "jsonb_to_recordset"
            | "json_to_recordset"
            | "regexp_split_to_table"
            | "regexp_matches"
            | "string_to_table"
    )
}

/// Relations that tell about the database itself.
pub(crate) fn is_system_relation(dialect: Dialect, qualifier: Option<&str>, name: &str) -> bool {
    let system = |qualifier: &str| {
        matches!(
            (dialect, qualifier),
            (_, "information_schema")
                | (Dialect::Postgres, "pg_catalog" | "pg_toast")
                | (Dialect::MySql, "mysql" | "performance_schema" | "sys")
        )
    };
    qualifier.is_some_and(system)
        || match dialect {
            Dialect::Postgres => name.starts_with("pg_"),
            Dialect::Sqlite => {
                name.starts_with("sqlite_") || name.starts_with("pragma_") || name == "dbstat"
            }
            Dialect::MySql => name == "dual",
        }
}

/// Literals that PostgreSQL reads as a time that moves on.
pub(crate) fn is_moving_literal(text: &str) -> bool {
    /// Longer texts are none: a day, a time and the name of a time zone.
    const MAX_BYTES: usize = 64;
    if text.len() > MAX_BYTES {
        return false;
    }
    let text = text.trim();
    let day = |word: &str| {
        ["today", "tomorrow", "yesterday"].iter().any(|day| word.eq_ignore_ascii_case(day))
    };
    let of_time =
        |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":.,+-/_".contains(c);
    text.eq_ignore_ascii_case("now")
        || text.split(|c: char| !c.is_ascii_alphabetic()).any(day) && text.chars().all(of_time)
}

#[rustfmt::skip]
const PURE: &[&str] = &[
    "abs", "acos", "acosd", "acosh", "adddate", "addtime", "any_value", "array", "array_agg", "array_append",
    "array_cat", "array_dims", "array_length", "array_lower", "array_ndims", "array_position", "array_positions",
    "array_prepend", "array_remove", "array_replace", "array_to_json", "array_to_string", "array_upper", "ascii",
    "asin", "asind", "asinh", "atan", "atan2", "atand", "atanh", "avg", "bin", "bit_and", "bit_count", "bit_length",
    "bit_or", "bit_xor", "bool_and", "bool_or", "btrim", "cardinality", "cbrt", "ceil", "ceiling", "char",
    "char_length", "character_length", "chr", "coalesce", "concat", "concat_ws", "conv", "convert_from", "corr",
    "cos", "cosd", "cosh", "cot", "count", "covar_pop", "covar_samp", "crc32", "cume_dist", "date_add", "date_format",
    "date_part", "date_sub", "date_trunc", "datediff", "day", "dayname", "dayofmonth", "dayofweek", "dayofyear",
    "decode", "degrees", "dense_rank", "div", "elt", "encode", "every", "exp", "extract", "factorial", "field",
    "find_in_set", "first_value", "floor", "format", "from_days", "gcd", "glob", "greatest", "group_concat",
    "grouping", "hex", "hour", "if", "ifnull", "iif", "initcap", "insert", "instr", "isfinite", "isnull", "json",
    "json_agg", "json_array", "json_array_length", "json_arrayagg", "json_build_array", "json_build_object",
    "json_contains", "json_contains_path", "json_depth", "json_extract", "json_extract_path",
    "json_extract_path_text", "json_group_array", "json_group_object", "json_insert", "json_keys", "json_length",
    "json_merge_patch", "json_merge_preserve", "json_object", "json_object_agg", "json_objectagg", "json_overlaps",
    "json_patch", "json_pretty", "json_quote", "json_remove", "json_replace", "json_search", "json_set",
    "json_strip_nulls", "json_type", "json_typeof", "json_unquote", "json_valid", "json_value", "jsonb_agg",
    "jsonb_array_length", "jsonb_build_array", "jsonb_build_object", "jsonb_extract_path", "jsonb_extract_path_text",
    "jsonb_insert", "jsonb_object", "jsonb_object_agg", "jsonb_path_exists", "jsonb_path_query",
    "jsonb_path_query_array", "jsonb_path_query_first", "jsonb_pretty", "jsonb_set", "jsonb_strip_nulls",
    "jsonb_typeof", "justify_days", "justify_hours", "justify_interval", "lag", "last_day", "last_value", "lcase",
    "lcm", "lead", "least", "left", "length", "likelihood", "likely", "ln", "locate", "log", "log10", "log2", "lower",
    "lpad", "ltrim", "make_date", "make_interval", "make_time", "make_timestamp", "makedate", "maketime", "max",
    "md5", "microsecond", "mid", "min", "minute", "mod", "mode", "month", "monthname", "nth_value", "ntile", "nullif",
    "num_nonnulls", "num_nulls", "octet_length", "ord", "overlay", "percent_rank", "percentile_cont",
    "percentile_disc", "period_add", "period_diff", "pi", "plainto_tsquery", "position", "pow", "power", "printf",
    "quarter", "quote", "quote_ident", "quote_literal", "quote_nullable", "radians", "rank", "regexp_count",
    "regexp_instr", "regexp_like", "regexp_match", "regexp_replace", "regexp_split_to_array", "regexp_substr",
    "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "repeat", "replace", "reverse",
    "right", "round", "row", "row_number", "row_to_json", "rpad", "rtrim", "scale", "sec_to_time", "second", "sha1",
    "sha2", "sha224", "sha256", "sha384", "sha512", "sign", "sin", "sind", "sinh", "soundex", "space", "split_part",
    "sqrt", "starts_with", "std", "stddev", "stddev_pop", "stddev_samp", "str_to_date", "strcmp", "string_agg",
    "string_to_array", "strpos", "subdate", "substr", "substring", "substring_index", "subtime", "sum", "tan", "tand",
    "tanh", "time_format", "time_to_sec", "timestampadd", "timestampdiff", "to_ascii", "to_char", "to_date",
    "to_days", "to_hex", "to_json", "to_jsonb", "to_number", "to_seconds", "to_timestamp", "to_tsquery",
    "to_tsvector", "total", "translate", "trim", "trim_array", "trunc", "truncate", "ts_headline", "ts_rank",
    "ts_rank_cd", "typeof", "ucase", "unhex", "unicode", "unlikely", "unnest", "upper", "values", "var_pop",
    "var_samp", "variance", "websearch_to_tsquery", "week", "weekday", "weekofyear", "width_bucket", "year",
    "yearweek", "zeroblob",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted() {
        assert!(super::PURE.is_sorted());
        assert!(super::PURE.iter().all(|name| super::is_pure(name)));
        assert!(!super::is_pure("random"));
    }
}
