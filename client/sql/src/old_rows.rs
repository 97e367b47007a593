//! The query for the rows that a write is about to change.

use std::ops::Range;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::Dialect;
use crate::tokens::{self, keyword};

/// `SELECT * FROM t WHERE ..` for the rows that an UPDATE or DELETE will change.
///
/// It is made of the text of the write, so it means the same. On PostgreSQL and MySQL it locks the rows; run it in the
/// transaction of the write, before it. On SQLite a transaction that was begun with IMMEDIATE does that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRows {
    sql: String,
    parameters: Vec<usize>,
}

impl OldRows {
    /// The statement.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// For each of its parameters the position, from 0, of the value among those of the write.
    pub fn parameters(&self) -> &[usize] {
        &self.parameters
    }

    /// Of `UPDATE table SET .. [WHERE ..] [ORDER BY ..] [LIMIT ..]`.
    pub(crate) fn of_update(dialect: Dialect, sql: &str) -> Option<Self> {
        let text = Text::new(dialect, sql)?;
        let update = text.find(Keyword::UPDATE, 0)?;
        let set = text.find(Keyword::SET, update)?;
        text.select(update + 1..set, set)
    }

    /// Of `DELETE FROM table [WHERE ..] [ORDER BY ..] [LIMIT ..]`.
    pub(crate) fn of_delete(dialect: Dialect, sql: &str) -> Option<Self> {
        let text = Text::new(dialect, sql)?;
        let from = text.find(Keyword::FROM, 0)?;
        let end = text.tail(from);
        text.select(from + 1..end, end)
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

    /// The next of these keywords outside parentheses.
    fn find(&self, wanted: Keyword, from: usize) -> Option<usize> {
        (from..self.tokens.len())
            .find(|&at| self.depths[at] == 0 && keyword(&self.tokens[at].token) == Some(wanted))
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

    /// `SELECT * FROM`, the text of the table, and that of the condition behind `from`.
    fn select(&self, table: Range<usize>, from: usize) -> Option<OldRows> {
        let mut parameters = Vec::new();
        let mut sql = String::from("SELECT * FROM ");
        self.copy(table, &mut sql, &mut parameters)?;
        let start = self.tail(from);
        let end = self.find(Keyword::RETURNING, start).unwrap_or_else(|| self.end());
        if start < end {
            sql.push(' ');
            self.copy(start..end, &mut sql, &mut parameters)?;
        }
        if self.dialect != Dialect::Sqlite {
            sql.push_str(" FOR UPDATE");
        }
        Some(OldRows { sql, parameters })
    }

    /// Copies tokens as they stand in the text, with the parameters numbered anew.
    fn copy(
        &self,
        range: Range<usize>,
        out: &mut String,
        parameters: &mut Vec<usize>,
    ) -> Option<()> {
        let tokens = &self.tokens[range];
        let first = tokens.iter().position(|token| !matches!(token.token, Token::Whitespace(_)))?;
        let last = tokens.iter().rposition(|token| !matches!(token.token, Token::Whitespace(_)))?;
        let mut from = self.offset(tokens[first].span.start)?;
        for token in &tokens[first..=last] {
            let Token::Placeholder(number) = &token.token else { continue };
            out.push_str(self.sql.get(from..self.offset(token.span.start)?)?);
            from = self.offset(token.span.end)?;
            let at = number.strip_prefix('?')?.parse::<usize>().ok()?.checked_sub(1)?;
            if self.dialect == Dialect::Postgres {
                let known = parameters.iter().position(|known| *known == at);
                let number = known.unwrap_or_else(|| {
                    parameters.push(at);
                    parameters.len() - 1
                });
                out.push_str(&format!("${}", number + 1));
            } else {
                parameters.push(at);
                out.push('?');
            }
        }
        out.push_str(self.sql.get(from..self.offset(tokens[last].span.end)?)?);
        Some(())
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
