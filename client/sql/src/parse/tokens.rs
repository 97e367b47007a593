//! A statement as tokens: numbers its parameters, adapts what the parser does not know, and finds texts that it must not parse.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use crate::Dialect;

/// Deeper parentheses are not parsed.
const MAX_DEPTH: usize = 40;
/// More operators make an expression too deep: a chain of them is a tree that leans to the left.
const MAX_OPERATORS: usize = 1500;

/// A statement that is ready to be parsed.
pub(crate) struct Prepared {
    pub(crate) tokens: Vec<TokenWithSpan>,
    /// The names of named parameters and the positions, from 0, of their values.
    pub(crate) names: Vec<(String, usize)>,
    /// How many values the statement takes.
    pub(crate) parameters: usize,
    /// Parsing it could take too long, or too much stack.
    pub(crate) too_deep: bool,
    /// It names a variable of the session.
    pub(crate) session: bool,
    /// It has IGNORE, with which MySQL changes values until they fit.
    pub(crate) ignores: bool,
    /// It has an operator that the parser binds more tightly or more loosely than the database does.
    pub(crate) misread: bool,
}

/// Splits `sql` into tokens. A parameter becomes the placeholder `?n`, counted from 1, in all dialects.
pub(crate) fn prepare(dialect: Dialect, sql: &str) -> Option<Prepared> {
    let mut tokens = Vec::with_capacity(sql.len() / 3);
    Tokenizer::new(dialect.grammar(), sql).tokenize_with_location_into_buf(&mut tokens).ok()?;
    let mut prepared = Prepared {
        tokens: Vec::new(),
        names: Vec::new(),
        parameters: 0,
        too_deep: false,
        session: false,
        ignores: false,
        misread: false,
    };
    if is_split(dialect, &tokens) {
        return None;
    }
    if dialect == Dialect::Sqlite {
        join_names(&mut tokens);
        widen_is(&mut tokens);
    }
    if dialect == Dialect::Postgres {
        drop_only(&mut tokens);
    }
    if dialect == Dialect::MySql {
        prepared.ignores = plain_write(&mut tokens);
    }
    prepared.too_deep = joins_are_deep(&tokens);
    let (mut depth, mut operators) = (0_usize, 0_usize);
    for token in &mut tokens {
        match &mut token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Placeholder(text) => {
                let at = prepared.number(dialect, text);
                match at {
                    Some(at) => *text = format!("?{at}"),
                    None => prepared.session = true,
                }
            }
            Token::AtSign if dialect == Dialect::MySql => prepared.session = true,
            // In PostgreSQL the operator of full-text search.
            Token::AtAt => prepared.session |= dialect != Dialect::Postgres,
            // A parameter of SQLite that was not recognised: those behind it would get wrong numbers.
            Token::Colon | Token::DoubleColon | Token::AtSign if dialect == Dialect::Sqlite => {
                return None;
            }
            // MySQL's other word for OR.
            Token::StringConcat if dialect == Dialect::MySql => {
                prepared.misread = true;
                operators += 1;
            }
            Token::Word(word) => {
                prepared.session |= word.quote_style.is_none() && word.value.starts_with('@');
                // XOR is weaker than AND, and BINARY stronger than a comparison.
                prepared.misread |= dialect == Dialect::MySql
                    && word.quote_style.is_none()
                    && matches!(word.keyword, Keyword::XOR | Keyword::BINARY);
                operators += usize::from(matches!(
                    word.keyword,
                    Keyword::AND
                        | Keyword::OR
                        | Keyword::NOT
                        | Keyword::XOR
                        | Keyword::UNION
                        | Keyword::COLLATE
                        | Keyword::JOIN
                        | Keyword::EXCEPT
                        | Keyword::INTERSECT
                        | Keyword::IS
                        | Keyword::CASE
                ));
            }
            Token::Comma
            | Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Period => {}
            _ => operators += 1,
        }
        prepared.too_deep |= depth > MAX_DEPTH;
    }
    // A list of pairs has parentheses and comparisons too, side by side: only what nests is costly.
    prepared.too_deep |= operators > MAX_OPERATORS;
    prepared.tokens = tokens;
    Some(prepared)
}

impl Prepared {
    /// The number of a parameter, counted from 1 as the drivers bind them.
    fn number(&mut self, dialect: Dialect, text: &str) -> Option<usize> {
        /// More parameters than any database takes.
        const MAX: usize = 65_536;
        let at = match (dialect, text.as_bytes()) {
            (_, [b'?']) => self.parameters + 1,
            (Dialect::Postgres, [b'$', digits @ ..]) | (Dialect::Sqlite, [b'?', digits @ ..]) => {
                std::str::from_utf8(digits)
                    .ok()?
                    .parse()
                    .ok()
                    .filter(|at| (1..=MAX).contains(at))?
            }
            (Dialect::Sqlite, _) => match self.names.iter().find(|(name, _)| name == text) {
                Some((_, at)) => at + 1,
                None => {
                    self.names.push((text.to_owned(), self.parameters));
                    self.parameters + 1
                }
            },
            _ => return None,
        };
        self.parameters = self.parameters.max(at);
        Some(at)
    }
}

/// Whether the tokenizer has split what the database reads as one token, or joined what it splits.
fn is_split(dialect: Dialect, tokens: &[TokenWithSpan]) -> bool {
    let mut text = false;
    for (at, token) in tokens.iter().enumerate() {
        text = match &token.token {
            Token::Whitespace(_) => continue,
            // `0X1F` is `0` and the alias `X1F` to it.
            Token::Number(..) | Token::HexStringLiteral(_)
                if matches!(
                    tokens.get(at + 1),
                    Some(TokenWithSpan { token: Token::Word(_), .. })
                ) =>
            {
                return true;
            }
            // A comment in the middle of it.
            Token::CustomBinaryOperator(operator)
                if ["--", "/*"].iter().any(|comment| operator.contains(comment)) =>
            {
                return true;
            }
            // PostgreSQL makes one of two in different lines: the second is no alias.
            Token::SingleQuotedString(_) if text && dialect == Dialect::Postgres => return true,
            // And in a mode of MySQL this is one.
            Token::DoubleQuotedString(_) if text && dialect == Dialect::MySql => return true,
            Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_) => true,
            _ => false,
        };
    }
    false
}

/// Whether joins are nested too deeply by a delayed ON, `a JOIN b JOIN c ON .. ON ..`: the parser does not bound them.
fn joins_are_deep(tokens: &[TokenWithSpan]) -> bool {
    // How many joins still lack their ON: here, and outside of each open parenthesis.
    let (mut waiting, mut outside) = (0_usize, Vec::new());
    let mut before = None;
    for token in tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))) {
        let word = keyword(&token.token);
        match (&token.token, word) {
            (Token::LParen, _) => outside.push(std::mem::take(&mut waiting)),
            (Token::RParen, _) => waiting = outside.pop().unwrap_or_default(),
            (_, Some(Keyword::SELECT)) => waiting = 0,
            (_, Some(Keyword::ON | Keyword::USING)) => waiting = waiting.saturating_sub(1),
            (_, Some(Keyword::JOIN))
                if !matches!(before, Some(Keyword::CROSS | Keyword::NATURAL)) =>
            {
                waiting += 1;
                if waiting + outside.iter().sum::<usize>() > MAX_DEPTH {
                    return true;
                }
            }
            _ => {}
        }
        before = word;
    }
    false
}

/// Makes one placeholder of `:` or `@` and the word behind it.
fn join_names(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while at + 1 < tokens.len() {
        let sign = match tokens[at].token {
            Token::Colon => ":",
            Token::AtSign => "@",
            _ => "",
        };
        if let (false, Token::Word(Word { value, quote_style: None, .. })) =
            (sign.is_empty(), &tokens[at + 1].token)
        {
            tokens[at].token = Token::Placeholder(format!("{sign}{value}"));
            tokens[at].span.end = tokens[at + 1].span.end;
            tokens.remove(at + 1);
        }
        at += 1;
    }
}

/// `FROM ONLY t` leaves out tables that inherit from `t`. The parser takes the word for the name of a table.
fn drop_only(tokens: &mut [TokenWithSpan]) {
    let mut before = None;
    for token in tokens {
        if keyword(&token.token) == Some(Keyword::ONLY)
            && !matches!(before, Some(Keyword::ROW | Keyword::ROWS | Keyword::READ))
        {
            token.token = Token::Whitespace(Whitespace::Space);
        }
        if !matches!(token.token, Token::Whitespace(_)) {
            before = keyword(&token.token);
        }
    }
}

/// What the parser does not know of MySQL's UPDATE and DELETE: words before the tables, commas between those of an UPDATE
/// (there they mean a join), `t.*` for the tables to delete from. Returns whether one of the words is IGNORE.
fn plain_write(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut depth = 0_usize;
    let mut statements = vec![Vec::new()];
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Whitespace(_) => {}
            Token::SemiColon if depth == 0 => statements.push(Vec::new()),
            _ if depth == 0 => statements.last_mut().into_iter().for_each(|all| all.push(at)),
            _ => {}
        }
    }
    // From behind: a comma becomes two words.
    let plain = statements.iter().rev().map(|outer| plain_one(tokens, outer));
    plain.fold(false, |ignores, ignored| ignores | ignored)
}

/// The same for one statement, of which `outer` are the tokens outside parentheses.
fn plain_one(tokens: &mut Vec<TokenWithSpan>, outer: &[usize]) -> bool {
    use Keyword as K;
    let word = |at: usize| keyword(&tokens[at].token);
    let first = outer.first().and_then(|&at| word(at));
    let Some(K::UPDATE | K::DELETE | K::WITH | K::EXPLAIN | K::ANALYZE | K::DESCRIBE | K::DESC) =
        first
    else {
        return false;
    };
    let verb = |at: &usize| matches!(word(*at), Some(K::UPDATE | K::DELETE));
    let Some(start) = outer.iter().position(verb) else { return false };
    let updates = word(outer[start]) == Some(K::UPDATE);
    let end = if updates { K::SET } else { K::WHERE };
    let end = outer[start..].iter().position(|at| word(*at) == Some(end));
    // FOR UPDATE, at the end of a query.
    if updates && end.is_none() {
        return false;
    }
    let between = &outer[start + 1..end.map_or(outer.len(), |end| start + end)];
    let (mut ignores, mut modifiers) = (false, true);
    let (mut blanks, mut commas) = (Vec::new(), Vec::new());
    for (index, &at) in between.iter().enumerate() {
        match &tokens[at].token {
            Token::Word(word) if modifiers && word.quote_style.is_none() => {
                let is = |name: &str| word.value.eq_ignore_ascii_case(name);
                modifiers = is("low_priority") || is("quick") || is("ignore");
                ignores |= is("ignore");
                blanks.extend(modifiers.then_some(at));
            }
            Token::Comma if updates => commas.push(at),
            Token::Period if !updates => {
                if let Some(&next) = between.get(index + 1)
                    && tokens[next].token == Token::Mul
                {
                    blanks.extend([at, next]);
                }
            }
            _ => modifiers = false,
        }
    }
    for at in blanks {
        tokens[at].token = Token::Whitespace(Whitespace::Space);
    }
    for at in commas.into_iter().rev() {
        let span = tokens[at].span;
        let words = [K::CROSS, K::JOIN].map(|keyword| TokenWithSpan {
            token: Token::Word(Word { value: format!("{keyword:?}"), quote_style: None, keyword }),
            span,
        });
        tokens.splice(at..=at, words);
    }
    ignores
}

/// SQLite compares with `IS` what others compare with `IS NOT DISTINCT FROM`, which the parser knows.
fn widen_is(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 0;
    while at < tokens.len() {
        if keyword(&tokens[at].token) == Some(Keyword::IS) {
            let (mut next, mut not) = (after_blanks(tokens, at + 1), false);
            if next.and_then(|next| keyword(&tokens[next].token)) == Some(Keyword::NOT) {
                not = true;
                next = next.and_then(|next| after_blanks(tokens, next + 1));
            }
            let known = next.and_then(|next| keyword(&tokens[next].token)).is_some_and(|keyword| {
                matches!(
                    keyword,
                    Keyword::NULL | Keyword::TRUE | Keyword::FALSE | Keyword::DISTINCT
                )
            });
            if let (false, Some(next)) = (known, next) {
                let span = tokens[at].span;
                let words: &[Keyword] = if not {
                    &[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]
                } else {
                    &[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]
                };
                let words = words.iter().map(|&keyword| TokenWithSpan {
                    token: Token::Word(Word {
                        value: format!("{keyword:?}"),
                        quote_style: None,
                        keyword,
                    }),
                    span,
                });
                tokens.splice(at..next, words);
                at += 3;
            }
        }
        at += 1;
    }
}

pub(crate) fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn after_blanks(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    (from..tokens.len()).find(|&at| !matches!(tokens[at].token, Token::Whitespace(_)))
}
