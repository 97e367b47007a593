//! The query for the rows that a write is about to change.

use std::ops::Range;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::Dialect;
use crate::parse::tokens::{self, keyword};

/// A query for the rows that an UPDATE or DELETE is about to change: `SELECT * FROM t WHERE ..`.
///
/// Where other tables decide on the rows, it is `.. WHERE EXISTS (SELECT 1 FROM others WHERE ..)`; on MySQL, whose targets
/// are part of the join themselves, `SELECT DISTINCT target.* FROM the join WHERE ..`. There is none if the write may find
/// other rows than the query: with LIMIT, or with a function that is not known to be pure.
///
/// It is made of the text of the write, so both find the same rows. On PostgreSQL and MySQL it locks the rows; run it in the
/// transaction of the write, before it. On SQLite a transaction that was begun with IMMEDIATE has the same effect.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema};
///
/// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
/// let write = analyser.analyse("DELETE FROM article USING author WHERE author_id = author.id AND age > $1");
/// let old = write.old_rows().unwrap();
/// assert_eq!(
///     old.sql(),
///     "SELECT * FROM article WHERE EXISTS (SELECT 1 FROM author WHERE author_id = author.id AND age > $1) FOR UPDATE"
/// );
/// assert_eq!((old.parameters(), old.is_alone()), (&[0][..], false));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRows {
    sql: String,
    parameters: Vec<usize>,
    alone: bool,
}

impl OldRows {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.sql.capacity() + 8 * self.parameters.capacity()
    }

    /// The statement.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// For each of its parameters the position, from 0, of the value among those of the write.
    #[must_use]
    pub fn parameters(&self) -> &[usize] {
        &self.parameters
    }

    /// Whether each row is selected by its own values alone, without a join or subquery. Then a row that the query finds and locks
    /// is certainly changed. Otherwise another transaction may commit between the two statements, so that the write finds
    /// other rows, unless the whole database is locked as on SQLite.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Of `UPDATE table SET .. [FROM ..] [WHERE ..]`, which begins at this token.
    pub(crate) fn of_update(
        dialect: Dialect,
        sql: &str,
        verb: &AttachedToken,
        joined: bool,
    ) -> Option<Self> {
        let text = Text::new(dialect, sql)?;
        let update = text.at(verb)?;
        let set = text.find(Keyword::SET, update)?;
        let mut query = text.query(update, "SELECT * FROM ")?;
        query.copy(update + 1..set)?;
        if joined {
            query.exists(text.find(Keyword::FROM, set)?)?;
        } else {
            query.tail(set)?;
        }
        Some(query.locking())
    }

    /// Of `DELETE FROM table [USING ..] [WHERE ..]`, which begins at this token.
    pub(crate) fn of_delete(
        dialect: Dialect,
        sql: &str,
        verb: &AttachedToken,
        joined: bool,
    ) -> Option<Self> {
        let text = Text::new(dialect, sql)?;
        let delete = text.at(verb)?;
        let from = text.find(Keyword::FROM, delete)?;
        let mut query = text.query(delete, "SELECT * FROM ")?;
        if joined {
            let using = text.find(Keyword::USING, from)?;
            query.copy(from + 1..using)?;
            query.exists(using)?;
        } else {
            let end = text.tail(from);
            query.copy(from + 1..end)?;
            query.tail(end)?;
        }
        Some(query.locking())
    }

    /// Of MySQL's `UPDATE tables SET ..`, for the rows of one of the tables.
    pub(crate) fn of_joined_update(sql: &str, verb: &AttachedToken, target: &str) -> Option<Self> {
        let text = Text::new(Dialect::MySql, sql)?;
        let update = text.at(verb)?;
        let set = text.find(Keyword::SET, update)?;
        let mut query = text.query(update, &format!("SELECT DISTINCT {target}.* FROM "))?;
        query.copy(update + 1..set)?;
        query.tail(set)?;
        Some(query.locking())
    }

    /// Of MySQL's `DELETE target FROM tables ..` and `DELETE FROM target USING tables ..`.
    pub(crate) fn of_joined_delete(
        sql: &str,
        verb: &AttachedToken,
        tables: Keyword,
        target: &str,
    ) -> Option<Self> {
        let text = Text::new(Dialect::MySql, sql)?;
        let delete = text.at(verb)?;
        let from = text.find(tables, delete)?;
        let end = text.tail(from);
        let mut query = text.query(delete, &format!("SELECT DISTINCT {target}.* FROM "))?;
        query.copy(from + 1..end)?;
        query.tail(end)?;
        Some(query.locking())
    }
}

/// A text and its tokens, with the place of each.
struct Text<'t> {
    dialect: Dialect,
    sql: &'t str,
    tokens: Vec<TokenWithSpan>,
    /// The offset at which each line begins.
    lines: Vec<usize>,
    depths: Vec<u32>,
}

impl<'t> Text<'t> {
    fn new(dialect: Dialect, sql: &'t str) -> Option<Self> {
        let tokens = tokens::prepare(dialect, sql)?.tokens;
        let lines =
            std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut depth = 0_u32;
        let depths = tokens
            .iter()
            .map(|token| {
                match token.token {
                    Token::LParen => depth += 1,
                    Token::RParen => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth
            })
            .collect();
        Some(Self { dialect, sql, tokens, lines, depths })
    }

    /// The token that the parser has seen there.
    fn at(&self, token: &AttachedToken) -> Option<usize> {
        self.tokens.iter().position(|known| known.span.start == token.0.span.start)
    }

    /// The next of this keyword outside parentheses, where it is neither a column or alias nor a part of IS DISTINCT FROM.
    fn find(&self, wanted: Keyword, from: usize) -> Option<usize> {
        (from..self.tokens.len()).find(|&at| {
            self.depths[at] == 0
                && keyword(&self.tokens[at].token) == Some(wanted)
                && self.before(at).is_none_or(|before| {
                    *before != Token::Period
                        && !matches!(keyword(before), Some(Keyword::DISTINCT | Keyword::AS))
                })
        })
    }

    fn before(&self, at: usize) -> Option<&Token> {
        let mut tokens = self.tokens[..at].iter().rev().map(|token| &token.token);
        tokens.find(|token| !matches!(token, Token::Whitespace(_)))
    }

    /// Where the condition begins, or whatever comes behind the table.
    fn tail(&self, from: usize) -> usize {
        [Keyword::WHERE, Keyword::ORDER, Keyword::LIMIT, Keyword::RETURNING]
            .into_iter()
            .filter_map(|word| self.find(word, from))
            .min()
            .unwrap_or_else(|| self.end())
    }

    fn end(&self) -> usize {
        (0..self.tokens.len())
            .find(|&at| self.depths[at] == 0 && self.tokens[at].token == Token::SemiColon)
            .unwrap_or(self.tokens.len())
    }

    /// A query that begins with the WITH of the statement, if it has one, and these words.
    fn query(&self, verb: usize, words: &str) -> Option<Query<'_, 't>> {
        let mut query =
            Query { text: self, sql: String::new(), parameters: Vec::new(), joined: false };
        if self.before(verb).is_some() {
            query.copy(0..verb)?;
            query.sql.push(' ');
        }
        query.sql.push_str(words);
        Some(query)
    }

    /// The offset of a place in bytes. Columns count characters.
    fn offset(&self, place: Location) -> Option<usize> {
        let start = *self.lines.get(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
        let rest = self.sql.get(start..)?;
        match rest.get(..column) {
            Some(before) if before.is_ascii() => Some(start + column),
            _ => Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)),
        }
    }
}

/// A query in the making.
struct Query<'q, 't> {
    text: &'q Text<'t>,
    sql: String,
    parameters: Vec<usize>,
    joined: bool,
}

impl Query<'_, '_> {
    /// The condition of the write, from wherever it begins behind `from`.
    fn tail(&mut self, from: usize) -> Option<()> {
        let start = self.text.tail(from);
        let end = self.text.find(Keyword::RETURNING, start).unwrap_or_else(|| self.text.end());
        if start < end {
            self.sql.push(' ');
            self.copy(start..end)?;
        }
        Some(())
    }

    /// The same where other tables decide. Each row once, and no type has to know what is equal, as for DISTINCT.
    fn exists(&mut self, from: usize) -> Option<()> {
        let end = self.text.find(Keyword::RETURNING, from).unwrap_or_else(|| self.text.end());
        self.joined = true;
        self.sql.push_str(" WHERE EXISTS (SELECT 1 FROM ");
        self.copy(from + 1..end)?;
        self.sql.push(')');
        Some(())
    }

    fn locking(mut self) -> OldRows {
        if self.text.dialect != Dialect::Sqlite {
            self.sql.push_str(" FOR UPDATE");
        }
        // A SELECT, TABLE or VALUES anywhere, a join, or the EXISTS that was made of one.
        let others =
            [Keyword::SELECT, Keyword::TABLE, Keyword::VALUES, Keyword::USING, Keyword::JOIN];
        let tokens = &self.text.tokens;
        let alone = !tokens
            .iter()
            .any(|token| keyword(&token.token).is_some_and(|keyword| others.contains(&keyword)));
        let alone = alone && self.sql.starts_with("SELECT *") && !self.joined;
        OldRows { sql: self.sql, parameters: self.parameters, alone }
    }

    /// Copies tokens as they stand in the text, with the parameters numbered anew.
    fn copy(&mut self, range: Range<usize>) -> Option<()> {
        let text = self.text;
        let tokens = &text.tokens[range];
        let first = tokens.iter().position(|token| !matches!(token.token, Token::Whitespace(_)))?;
        let last = tokens.iter().rposition(|token| !matches!(token.token, Token::Whitespace(_)))?;
        let mut from = text.offset(tokens[first].span.start)?;
        for token in &tokens[first..=last] {
            let Token::Placeholder(number) = &token.token else { continue };
            self.sql.push_str(text.sql.get(from..text.offset(token.span.start)?)?);
            from = text.offset(token.span.end)?;
            let at = number.strip_prefix('?')?.parse::<usize>().ok()?.checked_sub(1)?;
            if text.dialect == Dialect::Postgres {
                let known = self.parameters.iter().position(|known| *known == at);
                let number = known.unwrap_or_else(|| {
                    self.parameters.push(at);
                    self.parameters.len() - 1
                });
                self.sql.push_str(&format!("${}", number + 1));
            } else {
                self.parameters.push(at);
                self.sql.push('?');
            }
        }
        self.sql.push_str(text.sql.get(from..text.offset(tokens[last].span.end)?)?);
        Some(())
    }
}
