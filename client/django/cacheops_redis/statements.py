"""What a statement may do: nothing to rows, read them, or write them.

In a transaction that has written, nothing is stored and nothing is taken from the cache: others would be given rows
that may be rolled back. The ORM's own statements and those of `cursor.execute()` are looked at alike, by their text,
and a statement is a write unless it is *known* to be a read: it begins like one, and each word in it is a word of
queries, a table or column of a model, an alias that it introduces itself, a built-in type, or a built-in function that
does not write. So a function of the database's own makes it a write, wherever it stands; so does a view of which there
is no model, which may call one.

Not seen: operators, casts between built-in types and rules that were defined with functions that write, and
statements that go past Django's cursor.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from django.apps import apps
from django.db.models import Model

from . import lexing
from .conf import options

NOTHING, READ, WRITE = "nothing", "read", "write"

MAX_REMEMBERED = 10_000  # characters of a text whose kind is remembered


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BEGINNINGS = {"select", "with", "values"}
_WITHOUT_DATA = ("begin", "savepoint", "release", "rollback to", "set ", "show ", "start transaction")
# Of a connection, set when it is made; others change the file.
_PRAGMA = re.compile(
    r"pragma (analysis_limit|busy_timeout|cache_size|case_sensitive_like|foreign_keys|journal_mode|journal_size_limit|"
    r"locking_mode|mmap_size|optimize|query_only|read_uncommitted|recursive_triggers|synchronous|temp_store|"
    r"wal_autocheckpoint)( *= *[\w.+-]+)? *;?"
)

_WORDS = words(
    """
    all and any as asc between both by case collate cross current_date current_time current_timestamp day desc
    distinct else end escape except exists false fetch filter first following for from full group having hour ilike in
    inner intersect interval is isnull join last lateral leading left like limit localtime localtimestamp materialized
    minute month natural next not notnull null nulls offset on only or order ordinality outer over partition preceding
    range recursive regexp right row rows second select similar some symmetric tablesample then ties to trailing true
    unbounded union unknown using values when where window with within without year zone div xor binary rlike glob
    match microsecond week quarter at array bigint bit blob bool boolean box bpchar bytea char character cidr circle
    citext clob date datetime decimal double float float4 float8 hstore inet int int2 int4 int8 integer json jsonb
    macaddr money nchar nclob number numeric nvarchar nvarchar2 oid point precision real serial signed smallint text
    time timestamp timestamptz timetz tinyint tsquery tsvector unsigned uuid varchar varchar2 varying int4range
    int8range numrange tsrange tstzrange daterange
    """
)

_FUNCTIONS = words(
    """
    abs acos ascii asin atan atan2 avg bit_and bit_length bit_or bit_xor cast ceil ceiling char char_length
    character_length chr coalesce concat concat_ws convert corr cos cot count covar_pop covar_samp cume_dist
    current_date current_time current_timestamp date datetime degrees dense_rank exp extract first_value floor
    greatest group_concat hex ifnull instr lag last_value lead least left length ln localtime localtimestamp log log10
    log2 lower lpad ltrim max md5 min mod now nth_value ntile nullif octet_length overlay percent_rank percentile_cont
    percentile_disc pi position pow power radians rank regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right round row row_number rpad rtrim sign sin sqrt
    stddev stddev_pop stddev_samp strpos substr substring sum tan time timestamp timestampdiff translate trim trunc
    unnest upper values var_pop var_samp variance
    """
)

_OF_VENDORS = {
    "sqlite": """
    bitxor changes date django_date_extract django_date_trunc django_datetime_cast_date django_datetime_cast_time
    django_datetime_extract django_datetime_trunc django_format_dtdelta django_time_diff django_time_extract
    django_time_trunc django_timestamp_diff glob iif json json_array json_array_length json_each json_extract
    json_group_array json_group_object json_object json_tree json_type json_valid julianday last_insert_rowid like
    likelihood likely nullif printf quote rand random randomblob regexp sha1 sha224 sha256 sha384 sha512 sqlite_version
    strftime total typeof unicode unixepoch unlikely zeroblob
    """,
    "postgresql": """
    age akeys any_value array array_agg array_append array_cat array_dims array_length array_lower array_position
    array_positions array_prepend array_remove array_replace array_to_json array_to_string array_upper avals
    bool_and bool_or btrim cardinality clock_timestamp date_bin date_part date_trunc decode encode every exist exist_any
    format generate_series host initcap isempty isfinite json_agg json_array_elements json_array_elements_text
    json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object json_object_agg json_object_keys json_strip_nulls json_typeof jsonb_agg
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
    jsonb_path_query_first jsonb_set jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval
    lower_inc lower_inf make_date make_interval make_time make_timestamp make_timestamptz masklen mode network
    phraseto_tsquery plainto_tsquery plpgsql quote_ident quote_literal quote_nullable random range_agg range_merge
    regexp_count regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
    row_to_json setweight sha224 sha256 sha384 sha512 similarity skeys split_part starts_with statement_timestamp
    strict_word_similarity string_agg string_to_array string_to_table strip svals text to_char to_date to_hex
    to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector transaction_timestamp ts_headline ts_rank ts_rank_cd
    unaccent upper_inc upper_inf websearch_to_tsquery width_bucket word_similarity xmlagg xmlelement xmlforest
    """,
    "mysql": """
    adddate addtime bit_count conv convert_tz curdate curtime date_add date_format date_sub datediff day dayname
    dayofmonth dayofweek dayofyear elt field find_in_set format from_days from_unixtime hour if inet6_ntoa inet_aton
    inet_ntoa isnull json_array json_arrayagg json_contains json_contains_path json_extract json_keys json_length
    json_object json_objectagg json_overlaps json_quote json_search json_type json_unquote json_valid json_value
    last_day lcase locate makedate maketime microsecond mid minute month monthname ord period_add period_diff quarter
    quote rand regexp_instr regexp_like regexp_replace regexp_substr sec_to_time second sha sha1 sha2 space str_to_date
    strcmp subdate subtime sysdate time_format time_to_sec timediff timestampadd to_days to_seconds truncate
    ucase unhex unix_timestamp utc_date utc_time utc_timestamp uuid week weekday weekofyear weight_string year yearweek
    """,
    "oracle": """
    add_months bitand decode dbms_lob.substr empty_blob empty_clob initcap json_array json_exists json_object json_query
    json_value last_day listagg lnnvl lpad months_between next_day numtodsinterval numtoyminterval nvl nvl2 rawtohex
    regexp_count regexp_instr regexp_like regexp_replace regexp_substr standard_hash sys_extract_utc to_blob to_char
    to_clob to_date to_dsinterval to_nchar to_nclob to_number to_timestamp to_timestamp_tz to_yminterval utl_raw
    """,
}

_WRITING = words("insert update delete replace merge copy truncate alter drop with")
_FIRST_WORD = r"(?: {space} | \( )* ( {comment} | \w* )"

# No aliases, wherever they stand.
_NEVER = words(
    """
    alter analyze call copy create delete do drop exec execute grant handler import insert into load lock merge perform
    refresh reindex replace returning revoke set truncate update upsert vacuum
    """
)

# A word before a parenthesis that calls nothing.
_BEFORE_PARENTHESIS = _WORDS - {"left", "right"}

_PARAMETERS = re.compile(r"%s(?:\s*,\s*%s)+")
_TOKEN = r"""
      (?P<space> {space} )
    | (?P<comment> {comment} )
    | (?P<escaped> [eE]'(?:[^'\\]|\\.|'')*' )
    | (?P<text> '(?:[^']|'')*' )
    | (?P<quoted> "(?:[^"]|"")*" | `[^`]*` )
    | (?P<number> {number} | \.{number} )
    | (?P<parameter> %s | %\(\w+\)s | %% | \$\d+ | \? | :\w+ )
    | (?P<cast> :: )
    | (?P<word> [^\W\d][\w$]* )
    | (?P<mark> [(),.\[\];] )
    | (?P<operator> (?: (?!{comment}) [-+*/%<>=!|~&^@#?] )+ )
    """
_TEXT_WITH_ESCAPES = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_ALIAS_OF_THE_ORM = re.compile(r"[A-Z]{1,3}\d+|__\w+")


def kind(sql: Any, vendor: str, cursor: Any) -> str:
    """NOTHING, READ or WRITE. `cursor` is the driver's, of which psycopg makes the text of its objects."""
    text = _text(sql, cursor)
    if text is None:
        return WRITE
    text = _PARAMETERS.sub("%s", text)
    functions = options().read_functions
    if len(text) > MAX_REMEMBERED:
        return _kind(text, vendor, functions)
    return _remembered_kind(text, vendor, functions, _models())


def written(sql: Any, vendor: str, cursor: Any) -> list[type[Model]]:
    """The models whose tables a statement names, if it may write rows of them. It may concern more, and less."""
    text = _text(sql, cursor)
    first = "" if text is None else lexing.compiled(_FIRST_WORD, vendor).match(text)[1].lower()
    # MySQL executes what is in some comments.
    if first not in _WRITING | {"--", "/*"} or (first == "with" and kind(text, vendor, cursor) != WRITE):
        return []
    names = set(re.findall(r"\w+", text.lower()))
    return [model for parts, model in _tables_of(_models()) if names.issuperset(parts)]


def _text(sql: Any, cursor: Any) -> str | None:
    if isinstance(sql, str):
        return sql
    try:
        if isinstance(sql, (bytes, bytearray, memoryview)):
            return bytes(sql).decode()
        return str(sql.as_string(cursor))
    except Exception:  # no text that could be read, or an object that cannot make one
        return None


@lru_cache(maxsize=4096)
def _remembered_kind(text: str, vendor: str, functions: frozenset[str], _known_models: tuple[int, int]) -> str:
    return _kind(text, vendor, functions)


def _kind(text: str, vendor: str, functions: frozenset[str]) -> str:
    start = text.strip().lower()
    if _PRAGMA.fullmatch(start):
        return NOTHING
    if start.startswith(_WITHOUT_DATA):
        return WRITE if "(" in start or ";" in start.rstrip("; \n") else NOTHING
    tokens = _tokens(text, vendor)
    if tokens is None or not _is_read(tokens, vendor, functions):
        return WRITE
    return READ


def _tokens(text: str, vendor: str) -> list[tuple[str, str]] | None:
    tokens = []
    tokens_of_vendor = lexing.compiled(_TOKEN, vendor)
    at = 0
    while at < len(text):
        match = tokens_of_vendor.match(text, at)
        if match is None or match.lastgroup == "comment":
            return None
        kind = match.lastgroup
        if kind == "escaped" and vendor != "postgresql":
            return None  # elsewhere this is a word and a text that may end earlier
        if kind == "text" and vendor == "mysql":
            match = _TEXT_WITH_ESCAPES.match(text, at)
            if match is None:
                return None
        if kind == "quoted" and vendor == "mysql" and match[0][0] == '"':
            return None  # a text, with escapes
        at = match.end()
        if kind != "space":
            tokens.append((kind, match[0]))
    while tokens and tokens[-1] == ("mark", ";"):
        tokens.pop()
    return tokens


def _is_read(tokens: list[tuple[str, str]], vendor: str, functions: frozenset[str]) -> bool:
    first = next((text for kind, text in tokens if (kind, text) != ("mark", "(")), "")
    if first.lower() not in _BEGINNINGS:
        return False
    names = _names()
    introduced = _introduced(tokens, names)
    for index, (kind, text) in enumerate(tokens):
        before = tokens[index - 1][1] if index else ""
        calls = index + 1 < len(tokens) and tokens[index + 1] == ("mark", "(")
        if kind == "mark" and (text == ";" or (text == "]" and calls)):
            return False
        if kind == "quoted":
            if calls or not _is_name(text[1:-1], names, introduced):
                return False
        elif kind == "word":
            word = text.lower()
            if word in _NEVER and not calls and before != ".":
                return False
            if calls:
                if before == "." or not (word in _BEFORE_PARENTHESIS or _only_reads(word, vendor, functions)):
                    return False
            elif before == ".":
                if not _is_name(text, names, introduced):
                    return False
            elif word not in _WORDS and not _is_name(text, names, introduced):
                return False
    return True


def _only_reads(word: str, vendor: str, functions: frozenset[str]) -> bool:
    return word in _FUNCTIONS or word in _functions_of(vendor) or word in functions


@cache
def _functions_of(vendor: str) -> frozenset[str]:
    return words(_OF_VENDORS.get(vendor, ""))


def _introduced(tokens: list[tuple[str, str]], names: frozenset[str]) -> set[str]:
    """Aliases: behind AS, before AS (..), behind a table or a parenthesis."""
    found = set()
    for index, (kind, text) in enumerate(tokens):
        if kind not in ("word", "quoted") or (kind == "word" and text.lower() in _WORDS):
            continue
        before = tokens[index - 1] if index else ("", "")
        behind = [one[1].lower() for one in tokens[index + 1 : index + 3]]
        if behind in (["as", "("], ["as", "materialized"]) or (
            behind[:1] != ["("] and (before[1].lower() in ("as", ")") or _unquoted(before) in names)
        ):
            found.add(_unquoted((kind, text)))
    return found


def _unquoted(token: tuple[str, str]) -> str:
    return (token[1][1:-1] if token[0] == "quoted" else token[1]).lower()


def _is_name(text: str, names: frozenset[str], introduced: set[str]) -> bool:
    return text.lower() in introduced or text.lower() in names or _ALIAS_OF_THE_ORM.fullmatch(text) is not None


def _models() -> tuple[int, int]:
    """Is another when there are other models."""
    return id(apps.all_models), sum(len(models) for models in apps.all_models.values())


@lru_cache(maxsize=1)
def _tables_of(_known_models: Any) -> list[tuple[list[str], type[Model]]]:
    found = {
        model._meta.db_table: model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy
    }
    return [(re.findall(r"\w+", table.lower()), model) for table, model in found.items()]


def _names() -> frozenset[str]:
    return _names_of(_models())


@lru_cache(maxsize=1)
def _names_of(_known_models: Any) -> frozenset[str]:
    """Tables and columns of all models."""
    found = set()
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        found.update(part.strip('"').lower() for part in model._meta.db_table.split("."))
        found.update(field.column.lower() for field in model._meta.concrete_fields)
    return frozenset(found)
