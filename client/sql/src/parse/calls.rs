//! Calls of functions and operators in the tokens of a statement, found without the parser.
//!
//! The parser has many node types for calls (expressions, relations, clauses), and a call in a node type that was overlooked
//! would not be found. In the tokens a call always is a name before a parenthesis. So every name before a parenthesis counts as
//! the call of an unknown function, unless it is known to be no call or to be pure.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::functions::{is_pure, is_pure_relation, is_sqlite_date};
use crate::{Dialect, Schema};

/// Whether the statement calls a function, or uses an operator, that is not known to be pure.
pub(crate) fn has_unknown(dialect: Dialect, schema: &Schema, tokens: &[TokenWithSpan]) -> bool {
    let tokens = Tokens(tokens);
    (0..tokens.0.len()).any(|at| match &tokens.0[at].token {
        Token::LParen => tokens.is_unknown_call(dialect, schema, at),
        Token::CustomBinaryOperator(operator) => {
            !is_known_operator(operator) && !schema.is_pure(operator)
        }
        // SQLite has no such operator itself, and calls a function that the application has registered.
        Token::Word(word) => {
            dialect == Dialect::Sqlite
                && word.keyword == Keyword::REGEXP
                && word.quote_style.is_none()
                && !schema.is_pure("regexp")
        }
        _ => false,
    })
}

struct Tokens<'t>(&'t [TokenWithSpan]);

impl Tokens<'_> {
    /// The place of the token before, blanks and comments left out.
    fn before(&self, at: usize) -> Option<usize> {
        (0..at).rfind(|&at| !matches!(self.0[at].token, Token::Whitespace(_)))
    }

    fn after(&self, at: usize) -> Option<usize> {
        (at + 1..self.0.len()).find(|&at| !matches!(self.0[at].token, Token::Whitespace(_)))
    }

    fn token(&self, at: Option<usize>) -> Option<&Token> {
        at.map(|at| &self.0[at].token)
    }

    fn keyword(&self, at: Option<usize>) -> Option<Keyword> {
        self.token(at).and_then(crate::parse::tokens::keyword)
    }

    /// Whether the parenthesis at `open` begins the arguments of a function that is not known.
    fn is_unknown_call(&self, dialect: Dialect, schema: &Schema, open: usize) -> bool {
        let Some(at) = self.before(open) else { return false };
        let Token::Word(word) = &self.0[at].token else { return false };
        let before = self.before(at);
        let name = match (dialect, word.quote_style) {
            // Between quotes it is another function of PostgreSQL.
            (Dialect::Postgres, Some(_)) => word.value.clone(),
            _ => word.value.to_ascii_lowercase(),
        };
        if schema.is_pure(&name.to_ascii_lowercase()) {
            return false;
        }
        if let Some(Token::Period) = self.token(before) {
            return !(self.is_system(dialect, before) && is_pure(dialect, &name));
        }
        match self.token(before) {
            // `(SELECT ..) t (a, b)`, an alias with its columns.
            Some(Token::RParen) if word.keyword == Keyword::NoKeyword => return false,
            // `b::varchar(10)`
            Some(Token::DoubleColon) => return false,
            _ => {}
        }
        // An alias with its columns, a conversion, a window.
        if self.keyword(before) == Some(Keyword::AS) {
            return false;
        }
        if word.quote_style.is_none() {
            if dialect == Dialect::Postgres && word.keyword == Keyword::OPERATOR {
                // `a OPERATOR(pg_catalog.+) b`
                let schema = self.after(open);
                let schema = self.token(schema);
                return !matches!(schema, Some(Token::Word(word)) if word.value == "pg_catalog");
            }
            if is_grammar(dialect, word, self, before) {
                return false;
            }
        }
        // With a blank before the parenthesis they are functions of the user's.
        if dialect == Dialect::MySql && at + 1 < open && AT_ONCE.binary_search(&&*name).is_ok() {
            return true;
        }
        let known = is_pure(dialect, &name)
            || is_pure_relation(dialect, &name)
            // Which of these read the clock depends on the arguments: see the inventory.
            || dialect == Dialect::Sqlite && is_sqlite_date(&name)
            || matches!(&*name, "date" | "json_table" | "time" | "timestamp");
        !known && !self.is_common_table(open)
    }

    /// Whether the name before this dot is the schema of the database's own functions.
    fn is_system(&self, dialect: Dialect, dot: Option<usize>) -> bool {
        let schema = dot.and_then(|dot| self.before(dot));
        dialect == Dialect::Postgres
            && matches!(self.token(schema), Some(Token::Word(word)) if word.value == "pg_catalog")
            && self.token(schema.and_then(|schema| self.before(schema))) != Some(&Token::Period)
    }

    /// Whether the parenthesis lists the columns of a common table expression: `WITH x (a, b) AS (SELECT ..`.
    fn is_common_table(&self, open: usize) -> bool {
        let mut depth = 0_usize;
        let close = (open..self.0.len()).find(|&at| {
            match self.0[at].token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let mut next = close.and_then(|close| self.after(close));
        if self.keyword(next) != Some(Keyword::AS) {
            return false;
        }
        let mut step = || {
            next = next.and_then(|at| self.after(at));
            next
        };
        let mut at = step();
        while matches!(self.keyword(at), Some(Keyword::NOT | Keyword::MATERIALIZED)) {
            at = step();
        }
        // `FROM f(1) AS (a int)` defines columns there.
        self.token(at) == Some(&Token::LParen) && {
            let first = step();
            self.token(first) == Some(&Token::LParen)
                || matches!(
                    self.keyword(first),
                    Some(
                        Keyword::SELECT
                            | Keyword::WITH
                            | Keyword::VALUES
                            | Keyword::TABLE
                            | Keyword::INSERT
                            | Keyword::UPDATE
                            | Keyword::DELETE
                            | Keyword::MERGE
                    )
                )
        }
    }
}

/// Whether the word at `at`, before a parenthesis, is one of the grammar and no call.
fn is_grammar(dialect: Dialect, word: &Word, tokens: &Tokens<'_>, before: Option<usize>) -> bool {
    use Keyword as K;
    match word.keyword {
        K::ALL
        | K::AND
        | K::ANY
        | K::AS
        | K::BETWEEN
        | K::BY
        | K::CASE
        | K::CAST
        | K::DISTINCT
        | K::ELSE
        | K::ESCAPE
        | K::EXCEPT
        | K::EXISTS
        | K::FILTER
        | K::FROM
        | K::GROUP
        | K::HAVING
        | K::IN
        | K::INTERSECT
        | K::IS
        | K::JOIN
        | K::LIKE
        | K::LIMIT
        | K::MATERIALIZED
        | K::NOT
        | K::OFFSET
        | K::ON
        | K::OR
        | K::OVER
        | K::SELECT
        | K::THEN
        | K::UNION
        | K::USING
        | K::VALUES
        | K::WHEN
        | K::WHERE => true,
        K::LATERAL | K::ROW | K::SOME => dialect != Dialect::Sqlite,
        // Types with a size, which are no names of functions there.
        K::BIT
        | K::CHAR
        | K::CHARACTER
        | K::DEC
        | K::DECIMAL
        | K::FLOAT
        | K::INTERVAL
        | K::NUMERIC
        | K::TIME
        | K::TIMESTAMP
        | K::VARCHAR => dialect != Dialect::Sqlite,
        K::VARYING => {
            matches!(tokens.keyword(before), Some(K::BIT | K::CHAR | K::CHARACTER))
        }
        // JSON_TABLE(b, '$[*]' COLUMNS (..
        K::COLUMNS => matches!(tokens.token(before), Some(Token::SingleQuotedString(_))),
        K::OVERLAPS => tokens.token(before) == Some(&Token::RParen),
        K::ARRAY
        | K::CUBE
        | K::FIRST
        | K::ILIKE
        | K::NEXT
        | K::ROLLUP
        | K::SETS
        | K::SYMMETRIC
        | K::TO
        | K::UNNEST
        | K::ZONE => dialect == Dialect::Postgres,
        // Operators in words, hints of indexes, full-text search, conversions.
        K::AGAINST
        | K::BINARY
        | K::CONVERT
        | K::DIV
        | K::INDEX
        | K::KEY
        | K::MATCH
        | K::PARTITION
        | K::REGEXP
        | K::RLIKE
        | K::XOR => dialect == Dialect::MySql,
        _ => {
            // `b MATCH ('x')` and `b GLOB ('x')`, where what stands before them is no operator.
            let operator =
                ["match", "glob"].iter().any(|name| word.value.eq_ignore_ascii_case(name));
            let operand = match tokens.token(before) {
                Some(Token::Word(word)) => {
                    word.keyword == K::NoKeyword || word.quote_style.is_some()
                }
                Some(Token::RParen | Token::Placeholder(_) | Token::SingleQuotedString(_)) => true,
                _ => false,
            };
            dialect == Dialect::Sqlite && operator && operand
        }
    }
}

/// Names that MySQL takes for functions of its own only right before their parenthesis, unless `IGNORE_SPACE` is on.
const AT_ONCE: &[&str] = &[
    "adddate",
    "bit_and",
    "bit_or",
    "bit_xor",
    "count",
    "curdate",
    "curtime",
    "date_add",
    "date_sub",
    "extract",
    "group_concat",
    "max",
    "mid",
    "min",
    "now",
    "position",
    "session_user",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "subdate",
    "substr",
    "substring",
    "sum",
    "sysdate",
    "system_user",
    "trim",
    "var_pop",
    "var_samp",
    "variance",
];

/// Whether an operator that has no name of its own in the parser is one of PostgreSQL or of an extension that is well known:
/// those of contrib, pgvector, PostGIS. All of them are immutable or stable.
pub(crate) fn is_known_operator(operator: &str) -> bool {
    OPERATORS.binary_search(&operator).is_ok()
}

#[rustfmt::skip]
const OPERATORS: &[&str] = &[
    "!!=", "!~", "!~*", "!~~", "!~~*", "#=", "%#", "%%", "%>", "%>>", "&&&", "*<", "*<=", "*<>", "*=", "*>", "*>=", "-|-",
    "<#>", "<%", "<%>", "<+>", "<->", "<->>", "<->>>", "<<#>>", "<<%", "<<->", "<<->>", "<<<->", "<<=", "<=>", "<~>", ">>=",
    "?<@", "?@", "?@>", "?~", "@@@", "^<@", "^?", "^@>", "^~", "|=|", "~<=~", "~<~", "~>", "~>=~", "~>~",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(AT_ONCE.is_sorted() && OPERATORS.is_sorted());
    }
}
