"""What the text of a SELECT reads and calls.

A list of what is known to be harmless decides, never one of what is not: a name before a parenthesis must be a word of
SQL's grammar or a function whose result is made of its arguments alone, and a relation must be the table of a model.
For `NOW()`, `RANDOM()`, a function of the database's own, a view or a common table expression there is a reason why the
statement is not cached.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from . import lexing

Names = frozenset
NONE: Names = Names()


def _words(text: str) -> Names:
    return Names(text.split())


class Reading(NamedTuple):
    marked: Names
    """Relations in a FROM of Django's, as `schema.table` or `table` (compiled.py)."""
    raw: Names
    """Relations anywhere else: in raw SQL."""
    refused: str | None
    """Why the text is not understood, or that it is not the same each time."""


_TOKEN = r"""
      (?P<space>{space})
    | (?P<comment>{comment})
    | (?P<literal>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+"|`(?:[^`]|``)+`)
    | (?P<param>%s|%\(\w+\)s|%%)
    | (?P<mark>\x01)
    | (?P<variable>@@?[^\W\d])
    | (?P<number>{number})
    | (?P<word>[^\W\d][\w$]*)
    | (?P<other>.)
    """

# What may stand before a parenthesis and calls nothing.
_GRAMMAR = _words(
    """
    all and any array as asc between by case cast collate cross desc distinct div else end escape except exists extract
    filter first from full group groups having ilike in inner intersect interval is join last lateral left like limit
    materialized natural not nulls offset on only or order outer over partition range recursive regexp right rlike row
    rows select similar some then union using values when where window within xor
    """
)

# The names of types take parentheses, too: numeric(6, 2).
_TYPES = _words(
    """
    bigint binary bit bool boolean bytea char character date datetime decimal double float int integer json jsonb nchar
    numeric number nvarchar2 raw real signed smallint text time timestamp unsigned uuid varbinary varbit varchar
    varchar2 varying
    """
)

# The clock, the session or the server, without a parenthesis.
_CLOCKS = _words(
    """
    current_catalog current_date current_role current_schema current_time current_timestamp current_user localtime
    localtimestamp session_user sessiontimezone sysdate system_user systimestamp user utc_date utc_time utc_timestamp
    """
)

_STATEMENTS = _words("call copy delete do for insert into merge table update with")

# With 'now' among their arguments, SQLite's functions of these names read the clock.
_DATES = _words("date datetime time timestamp")
# And where no argument is a time.
_DATES_OF_SQLITE = _words("date datetime julianday strftime time unixepoch")

# Schemas of functions that come with a database.
_BUILT_IN = _words("dbms_lob pg_catalog")

PURE = _words(
    """
    abs acos add_months adddate akeys any_value array_agg array_length array_position array_remove array_to_string
    ascii asin atan atan2 avals avg bin_to_uuid bit_and bit_count bit_length bit_or bit_xor bitand bitxor bool_and
    bool_or btrim cardinality cbrt ceil ceiling char char_length character_length chr coalesce concat concat_ws
    convert convert_tz corr cos cot count covar_pop covar_samp cume_dist date_add date_bin date_format date_part
    date_sub date_trunc datediff day dayname dayofmonth dayofweek dayofyear decode degrees dense_rank digest
    django_date_extract django_date_trunc django_datetime_cast_date django_datetime_cast_time
    django_datetime_extract django_datetime_trunc django_format_dtdelta django_power django_time_diff
    django_time_extract django_time_trunc django_timestamp_diff encode every exp field find_in_set first_value floor
    format from_tz gcd generate_series get_byte glob greatest group_concat hex host hour hstore hstore_to_json
    ifnull iif initcap insert instr isempty isfinite json json_agg json_array json_array_length json_arrayagg
    json_build_array json_build_object json_contains json_contains_path json_each json_equal json_exists
    json_extract json_extract_path json_extract_path_text json_keys json_length json_object json_object_agg
    json_objectagg json_overlaps json_query json_quote json_type json_typeof json_unquote json_valid json_value
    jsonb_agg jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_exists jsonb_extract_path
    jsonb_extract_path_text jsonb_object_agg jsonb_path_exists jsonb_path_query jsonb_set jsonb_strip_nulls
    jsonb_typeof lag last_day last_value lcase lcm lead least left length likelihood likely listagg ln locate log
    log10 log2 lower lower_inc lower_inf lpad ltrim make_date make_interval make_time make_timestamp makedate
    maketime max md5 microsecond mid min minute mod mode month monthname months_between nth_value ntile nullif
    numtodsinterval nvl octet_length ord overlay percent_rank percentile_cont percentile_disc phraseto_tsquery pi
    plainto_tsquery position pow power printf quarter quote radians rank rawtohex regexp_count regexp_instr
    regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_substr regr_avgx regr_avgy
    regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right round
    row_number row_to_json rpad rtrim sec_to_time second setweight sha1 sha2 sha224 sha256 sha384 sha512 sign
    similarity sin skeys slice_array split_part sqrt st_area st_asbinary st_distance st_x st_y standard_hash
    starts_with std stddev stddev_pop stddev_samp str_to_date strcmp strict_word_similarity string_agg
    string_to_array strpos subdate substr substring substring_index sum svals tan time_to_sec timediff timestampadd
    timestampdiff to_blob to_char to_clob to_date to_hex to_json to_jsonb to_nclob to_number to_seconds to_timestamp
    to_tsquery to_tsvector total translate trim trunc truncate ts_headline ts_rank ts_rank_cd ucase unaccent unhex
    unicode unistr unlikely unnest upper upper_inc upper_inf uuid_to_bin var_pop var_samp variance
    websearch_to_tsquery week weekday weekofyear width_bucket word_similarity year yearweek zeroblob
    """
)


@lru_cache(maxsize=2000)
def read(sql: str, vendor: str = "", pure: Names = NONE) -> Reading:
    """What a statement reads and calls. There are few texts, for values are parameters; so each is read once."""
    # In MySQL a backslash begins an escape. Elsewhere it is a character, and Django writes ESCAPE '\\'.
    reader = _Reader(PURE | (_DATES if vendor == "mysql" else NONE), pure, vendor)
    try:
        reader.run(sql)
    except _Refused as refused:
        return Reading(NONE, NONE, str(refused))
    return Reading(Names(reader.marked), Names(reader.raw), None)


class _Refused(Exception):
    pass


class _Level:
    """What is known inside of one pair of parentheses."""

    __slots__ = ("expects", "in_from", "marked", "select")

    def __init__(self, expects: bool = False, marked: bool = False) -> None:
        self.select = self.in_from = self.expects = expects
        self.marked = marked  # the relation that is expected is Django's


class _Reader:
    def __init__(self, built_in: Names, declared: Names, vendor: str) -> None:
        self.built_in = built_in
        self.declared = declared
        self.vendor = vendor
        self.marked: set[str] = set()
        self.raw: set[str] = set()
        self.levels = [_Level()]

    def run(self, sql: str) -> None:
        found = [(match.lastgroup, match[0]) for match in lexing.compiled(_TOKEN, self.vendor).finditer(sql)]
        tokens = [token for token in found if token[0] != "space"]
        end = len(tokens)
        tokens += [("end", "")] * 3
        at = 0
        while at < end:
            kind, text = tokens[at]
            if kind == "quoted" and self.vendor == "mysql" and "\\" in text:
                raise _Refused(f"it has the text {text}")
            if kind in ("word", "quoted"):
                at = self._name(tokens, at)
                continue
            if kind == "literal" and (self._is_unclear(text) or tokens[at + 1][0] == "literal"):
                raise _Refused(f"it has the text {text}")
            if kind == "comment":
                raise _Refused("it has a comment that is not understood")
            if kind == "variable":
                raise _Refused("it reads a variable of the server")
            if kind == "mark":
                self.levels[-1].marked = True
            elif kind == "other":
                self._other(text)
            at += 1
        if len(self.levels) != 1:
            raise _Refused("its parentheses do not match")

    def _is_unclear(self, literal: str) -> bool:
        """Whether a literal may end elsewhere, or be another value at another time."""
        if self.vendor == "mysql" and "\\" in literal:
            return True
        return lexing.moves(literal[1:-1].replace(literal[0] * 2, literal[0]), self.vendor)

    def _other(self, text: str) -> None:
        level = self.levels[-1]
        if text == "(":
            # FROM (SELECT ..), FROM (a JOIN b)
            self.levels.append(_Level(level.expects, level.marked))
            level.expects = False
        elif text == ")":
            if len(self.levels) == 1:
                raise _Refused("its parentheses do not match")
            self.levels.pop()
        elif text == "," and level.in_from:
            level.expects, level.marked = True, False
        elif text in "$;{'\"`" or not text.isascii() or text.isdigit() or (text == "@" and self.vendor == "mysql"):
            raise _Refused(f"it has {text!r}")

    def _name(self, tokens: list, at: int) -> int:
        """Reads a name, with those that dots bind to it, and answers where the next token is."""
        level = self.levels[-1]
        kind, text = tokens[at]
        word = text.lower() if kind == "word" else ""
        end = at
        while tokens[end + 1][1] == "." and tokens[end + 2][0] in ("word", "quoted"):
            end += 2
        called = tokens[end + 1][1] == "("
        names = [_unquoted(*token) for token in tokens[at : end + 1 : 2]]
        if level.expects and word not in ("select", "lateral", "only", "values", "table"):
            if called:
                self._function(names, tokens, end + 1)
            else:
                (self.marked if level.marked else self.raw).add(".".join(names))
            level.expects = level.marked = False
        elif end > at or kind == "quoted":
            if called and tokens[at - 1][1].lower() != "as":  # AS "alias" ("column")
                self._function(names, tokens, end + 1)
        else:
            self._word(word, tokens, at, called)
        return end + 1

    def _word(self, word: str, tokens: list, at: int, called: bool) -> None:
        level = self.levels[-1]
        if word in _CLOCKS:
            raise _Refused(f"{word.upper()} is not the same each time")
        before = tokens[at - 1][1].lower()
        after = [text.lower() for _kind, text in tokens[at + 1 : at + 3]]
        is_of_grammar = (
            called
            or (word == "for" and not level.select and before != "value")  # SUBSTRING(x FROM 1 FOR 2)
            or (word == "with" and after == ["time", "zone"])
        )
        if word in _STATEMENTS and not is_of_grammar:
            raise _Refused(f"it has {word.upper()}")
        if word in ("e", "u") and (tokens[at + 1][0] == "literal" or tokens[at + 1][1] == "&"):
            raise _Refused("it has a text with escapes")
        if word == "select":
            level.select, level.in_from, level.expects = True, False, False
        elif word == "from" and level.select and before != "distinct":
            level.in_from, level.expects, level.marked = True, True, False
        elif word in ("join", "straight_join") and level.in_from:
            level.expects = True
        elif word in ("where", "group", "having", "order", "limit", "offset", "union", "except", "intersect", "window"):
            level.in_from = level.expects = level.marked = False
        elif called and word not in _GRAMMAR and not (word in _TYPES and before in _TYPES | {":", "as"}):
            self._function([word], tokens, at + 1)

    def _function(self, names: list[str], tokens: list, parenthesis: int) -> None:
        """`"Lower"` is another function than `lower`, and so is one of another schema."""
        *schema, name = names
        is_built_in = name in self.built_in and (not schema or schema[-1].lower() in _BUILT_IN)
        if self.vendor == "sqlite" and name.lower() in _DATES_OF_SQLITE:
            first = parenthesis + (2 if name.lower() == "strftime" else 1)
            if tokens[first][1] == ")":
                raise _Refused(f"it calls {name.upper()} without a time, which means the current one")
        if not is_built_in and name.lower() not in self.declared:
            raise _Refused(f"it calls {name.upper()}, which is not known to make its result of its arguments alone")


def _unquoted(kind: str, text: str) -> str:
    return text[1:-1].replace(text[0] * 2, text[0]) if kind == "quoted" else text.lower()
