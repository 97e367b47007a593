//! Which functions depend on their arguments only, and which relations are not tables of the application.

use crate::Dialect;

/// Whether a built-in function of the database is known to depend on its arguments only. A name that only another database
/// has built in is a function of the user's here, and may read a table.
pub(crate) fn is_pure(dialect: Dialect, name: &str) -> bool {
    let known = match dialect {
        Dialect::Postgres => POSTGRES,
        Dialect::MySql => MYSQL,
        Dialect::Sqlite => SQLITE,
    };
    known.binary_search(&name).is_ok()
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
        "current_role" => dialect != Dialect::Sqlite,
        "current_catalog" | "current_schema" | "session_user" | "user" | "system_user" => {
            dialect == Dialect::Postgres
        }
        "utc_date" | "utc_time" | "utc_timestamp" => dialect == Dialect::MySql,
        _ => false,
    }
}

/// Functions whose rows depend on their arguments only, in the place of a table.
pub(crate) fn is_pure_relation(dialect: Dialect, name: &str) -> bool {
    let of_json = |name: &str| {
        matches!(
            name,
            "each"
                | "each_text"
                | "array_elements"
                | "array_elements_text"
                | "object_keys"
                | "to_recordset"
        )
    };
    match dialect {
        Dialect::Postgres => {
            matches!(
                name,
                "generate_series"
                    | "generate_subscripts"
                    | "unnest"
                    | "regexp_split_to_table"
                    | "regexp_matches"
                    | "string_to_table"
            ) || ["json_", "jsonb_"].iter().any(|json| name.strip_prefix(json).is_some_and(of_json))
        }
        Dialect::MySql => false,
        Dialect::Sqlite => matches!(name, "generate_series" | "json_each" | "json_tree"),
    }
}

/// Relations of the system catalogues.
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

/// Whether PostgreSQL may read the literal as the current time or day, or as an array or range of such. It ignores
/// punctuation that it does not know.
pub(crate) fn is_moving_literal(text: &str) -> bool {
    /// The longest literal of a time, without blanks.
    const MAX_BYTES: usize = 153;
    /// What may stand beside `now`: days of the week, and words that mean nothing.
    const BESIDE_NOW: &[&str] =
        &["now", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "at", "on"];
    let is = |word: &str, known: &str| word.eq_ignore_ascii_case(known);
    let is_day = |word| ["today", "tomorrow", "yesterday"].iter().any(|day| is(word, day));
    let beside = |word: &str| {
        let start = word.get(..3).unwrap_or(word);
        BESIDE_NOW.iter().any(|known| is(start, known))
    };
    let list = text.trim_start().starts_with(['{', '[', '(']);
    let length = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    if !list && length > MAX_BYTES {
        return false;
    }
    text.is_ascii() && words(text).any(is_day)
        || text
            .split(|c: char| ",;{}[]()\"".contains(c))
            .any(|element| words(element).any(|word| is(word, "now")) && words(element).all(beside))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty())
}

/// Of PostgreSQL, and what its grammar takes for a function.
#[rustfmt::skip]
const POSTGRES: &[&str] = &[
    "abbrev", "abs", "acos", "acosd", "acosh", "any_value", "area", "array", "array_agg", "array_append", "array_cat",
    "array_dims", "array_fill", "array_length", "array_lower", "array_ndims", "array_position", "array_positions",
    "array_prepend", "array_remove", "array_replace", "array_reverse", "array_sort", "array_to_json", "array_to_string",
    "array_to_tsvector", "array_upper", "ascii", "asin", "asind", "asinh", "atan", "atan2", "atand", "atanh", "avg",
    "bit_and", "bit_cat", "bit_count", "bit_length", "bit_or", "bit_xor", "bool_and", "bool_or", "bound_box", "box",
    "broadcast", "btrim", "cardinality", "casefold", "cbrt", "ceil", "ceiling", "center", "char_length",
    "character_length", "chr", "circle", "coalesce", "concat", "concat_ws", "convert_from", "corr", "cos", "cosd",
    "cosh", "cot", "count", "covar_pop", "covar_samp", "crc32", "crc32c", "cume_dist", "date_add", "date_bin",
    "date_part", "date_subtract", "date_trunc", "datemultirange", "daterange", "decode", "degrees", "dense_rank",
    "diagonal", "diameter", "div", "encode", "erf", "erfc", "every", "exp", "extract", "factorial", "family",
    "first_value", "floor", "format", "gamma", "gcd", "generate_series", "generate_subscripts", "get_bit", "get_byte",
    "greatest", "grouping", "height", "host", "hostmask", "inet_merge", "inet_same_family", "initcap", "int4multirange",
    "int4range", "int8multirange", "int8range", "isclosed", "isempty", "isfinite", "isopen", "json", "json_agg",
    "json_array", "json_array_elements", "json_array_elements_text", "json_array_length", "json_arrayagg",
    "json_build_array", "json_build_object", "json_each", "json_each_text", "json_exists", "json_extract_path",
    "json_extract_path_text", "json_object", "json_object_agg", "json_object_agg_strict", "json_object_agg_unique",
    "json_object_keys", "json_objectagg", "json_query", "json_scalar", "json_strip_nulls", "json_typeof", "json_value",
    "jsonb_agg", "jsonb_agg_strict", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length",
    "jsonb_build_array", "jsonb_build_object", "jsonb_each", "jsonb_each_text", "jsonb_extract_path",
    "jsonb_extract_path_text", "jsonb_insert", "jsonb_object", "jsonb_object_agg", "jsonb_object_agg_strict",
    "jsonb_object_agg_unique", "jsonb_object_keys", "jsonb_path_exists", "jsonb_path_match", "jsonb_path_query",
    "jsonb_path_query_array", "jsonb_path_query_first", "jsonb_pretty", "jsonb_set", "jsonb_set_lax",
    "jsonb_strip_nulls", "jsonb_typeof", "justify_days", "justify_hours", "justify_interval", "lag", "last_value",
    "lcm", "lead", "least", "left", "length", "lgamma", "line", "ln", "log", "log10", "lower", "lower_inc", "lower_inf",
    "lpad", "lseg", "ltrim", "make_date", "make_interval", "make_time", "make_timestamp", "make_timestamptz", "masklen",
    "max", "md5", "min", "min_scale", "mod", "mode", "multirange", "netmask", "network", "normalize", "npoints",
    "nth_value", "ntile", "nullif", "num_nonnulls", "num_nulls", "nummultirange", "numnode", "numrange", "octet_length",
    "overlay", "parse_ident", "path", "pclose", "percent_rank", "percentile_cont", "percentile_disc",
    "phraseto_tsquery", "pi", "plainto_tsquery", "point", "polygon", "popen", "position", "pow", "power", "querytree",
    "quote_ident", "quote_literal", "quote_nullable", "radians", "radius", "range_agg", "range_intersect_agg",
    "range_merge", "rank", "regexp_count", "regexp_instr", "regexp_like", "regexp_match", "regexp_matches",
    "regexp_replace", "regexp_split_to_array", "regexp_split_to_table", "regexp_substr", "regr_avgx", "regr_avgy",
    "regr_count", "regr_intercept", "regr_r2", "regr_slope", "repeat", "replace", "reverse", "right", "round", "row",
    "row_number", "row_to_json", "rpad", "rtrim", "scale", "set_bit", "set_byte", "set_masklen", "setweight", "sha224",
    "sha256", "sha384", "sha512", "sign", "sin", "sind", "sinh", "slope", "split_part", "sqrt", "starts_with", "stddev",
    "stddev_pop", "stddev_samp", "string_agg", "string_to_array", "string_to_table", "strip", "strpos", "substr",
    "substring", "sum", "tan", "tand", "tanh", "timezone", "to_ascii", "to_bin", "to_char", "to_date", "to_hex",
    "to_json", "to_jsonb", "to_number", "to_oct", "to_timestamp", "to_tsquery", "to_tsvector", "translate", "trim",
    "trim_array", "trim_scale", "trunc", "ts_delete", "ts_filter", "ts_headline", "ts_rank", "ts_rank_cd",
    "tsmultirange", "tsquery_phrase", "tsrange", "tstzmultirange", "tstzrange", "tsvector_to_array", "unicode_assigned",
    "unistr", "unnest", "upper", "upper_inc", "upper_inf", "uuid_extract_timestamp", "uuid_extract_version", "var_pop",
    "var_samp", "variance", "websearch_to_tsquery", "width", "width_bucket", "xmlagg", "xmlcomment", "xmlconcat",
    "xmlelement", "xmlforest",
];

/// Of MySQL or MariaDB: what one of them has.
#[rustfmt::skip]
const MYSQL: &[&str] = &[
    "abs", "acos", "adddate", "addtime", "any_value", "ascii", "asin", "atan", "atan2", "avg", "bin", "bit_and",
    "bit_count", "bit_length", "bit_or", "bit_xor", "ceil", "ceiling", "char", "char_length", "character_length",
    "coalesce", "concat", "concat_ws", "conv", "cos", "cot", "count", "crc32", "cume_dist", "date_add",
    "date_format", "date_sub", "datediff", "day", "dayname", "dayofmonth", "dayofweek", "dayofyear", "decode",
    "degrees", "dense_rank", "elt", "encode", "exp", "extract", "field", "find_in_set", "first_value", "floor",
    "format", "from_days", "greatest", "group_concat", "grouping", "hex", "hour", "if", "ifnull", "insert", "instr",
    "isnull", "json_array", "json_arrayagg", "json_contains", "json_contains_path", "json_depth", "json_extract",
    "json_insert", "json_keys", "json_length", "json_merge_patch", "json_merge_preserve", "json_object",
    "json_objectagg", "json_overlaps", "json_pretty", "json_quote", "json_remove", "json_replace", "json_search",
    "json_set", "json_type", "json_unquote", "json_valid", "json_value", "lag", "last_day", "last_value", "lcase",
    "lead", "least", "left", "length", "ln", "locate", "log", "log10", "log2", "lower", "lpad", "ltrim", "makedate",
    "maketime", "max", "md5", "microsecond", "mid", "min", "minute", "mod", "month", "monthname", "nth_value",
    "ntile", "nullif", "octet_length", "ord", "percent_rank", "percentile_cont", "percentile_disc", "period_add",
    "period_diff", "pi", "position", "pow", "power", "quarter", "quote", "radians", "rank", "regexp_instr",
    "regexp_like", "regexp_replace", "regexp_substr", "repeat", "replace", "reverse", "right", "round", "row",
    "row_number", "rpad", "rtrim", "sec_to_time", "second", "sha1", "sha2", "sign", "sin", "soundex", "space",
    "sqrt", "std", "stddev", "stddev_pop", "stddev_samp", "str_to_date", "strcmp", "subdate", "substr", "substring",
    "substring_index", "subtime", "sum", "tan", "time_format", "time_to_sec", "timestampadd", "timestampdiff",
    "to_char", "to_days", "to_seconds", "trim", "truncate", "ucase", "unhex", "upper", "values", "var_pop",
    "var_samp", "variance", "week", "weekday", "weekofyear", "year", "yearweek",
];

/// Of SQLite, as it is usually built.
#[rustfmt::skip]
const SQLITE: &[&str] = &[
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "avg", "ceil", "ceiling", "char", "coalesce",
    "concat", "concat_ws", "cos", "cosh", "count", "cume_dist", "degrees", "dense_rank", "exp", "first_value",
    "floor", "format", "glob", "group_concat", "hex", "if", "ifnull", "iif", "instr", "json", "json_array",
    "json_array_length", "json_extract", "json_group_array", "json_group_object", "json_insert", "json_object",
    "json_patch", "json_pretty", "json_quote", "json_remove", "json_replace", "json_set", "json_type", "json_valid",
    "jsonb_insert", "jsonb_object", "jsonb_set", "lag", "last_value", "lead", "length", "likelihood", "likely",
    "ln", "log", "log10", "log2", "lower", "ltrim", "max", "min", "mod", "nth_value", "ntile", "nullif",
    "octet_length", "percent_rank", "percentile_cont", "percentile_disc", "pi", "pow", "power", "printf", "quote",
    "radians", "rank", "replace", "round", "row_number", "rtrim", "sign", "sin", "sinh", "soundex", "sqrt",
    "string_agg", "substr", "substring", "sum", "tan", "tanh", "total", "trim", "trunc", "typeof", "unhex",
    "unicode", "unlikely", "upper", "zeroblob",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!([POSTGRES, MYSQL, SQLITE].iter().all(|list| list.is_sorted()));
        assert!(is_pure(Dialect::Sqlite, "total") && !is_pure(Dialect::Postgres, "total"));
        assert!(!is_pure(Dialect::Sqlite, "random"));
    }
}
