//! Queries with some of the parameters of another statement.

/// The text of a query whose parameters are those of a statement at these positions, with the numbers that they have in the
/// statement: sqlx binds all arguments. None for a text that is not understood.
pub(crate) fn renumbered(sql: &str, positions: &[usize], marks: &[char]) -> Option<String> {
    let mut out = String::with_capacity(sql.len() + 8);
    let mut next = 0;
    let mut in_name = false;
    let mut letters = sql.chars().peekable();
    while let Some(letter) = letters.next() {
        // `$` may stand in a name: `total$1`.
        let was_in_name = in_name;
        in_name = letter.is_alphanumeric() || letter == '_' || letter == '$' && was_in_name;
        if matches!(letter, '\'' | '"' | '`') {
            out.push(letter);
            loop {
                let inner = letters.next()?;
                if inner == '\\' {
                    return None;
                }
                out.push(inner);
                if inner == letter {
                    break;
                }
            }
            continue;
        }
        if !marks.contains(&letter) || letter == '$' && was_in_name {
            out.push(letter);
            continue;
        }
        let mut digits = String::new();
        while let Some(&digit) = letters.peek().filter(|letter| letter.is_ascii_digit()) {
            digits.push(digit);
            letters.next();
        }
        let number: usize = match digits.as_str() {
            "" if letter == '?' => next + 1,
            digits => digits.parse().ok()?,
        };
        next = number;
        let position = positions.get(number.checked_sub(1)?)?;
        out.push(letter);
        out.push_str(&(position + 1).to_string());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_get_the_numbers_of_their_statement() {
        let postgres = |sql, positions: &[usize]| renumbered(sql, positions, &['$']);
        let sqlite = |sql, positions: &[usize]| renumbered(sql, positions, &['?', '$']);
        assert_eq!(postgres("a = $1 AND b = $2", &[2, 0]).as_deref(), Some("a = $3 AND b = $1"));
        assert_eq!(
            postgres("a = '$1' AND \"$1\" = $1", &[4]).as_deref(),
            Some("a = '$1' AND \"$1\" = $5")
        );
        assert_eq!(
            postgres("a = 'it''s $2' AND b = $1", &[4]).as_deref(),
            Some("a = 'it''s $2' AND b = $5")
        );
        assert_eq!(postgres("a = $2", &[4]), None);
        assert_eq!(
            postgres("a$1 = $1 AND b$$2 = 1", &[4]).as_deref(),
            Some("a$1 = $5 AND b$$2 = 1")
        );
        assert_eq!(postgres("a = $$x$$ AND b = $1", &[4]), None);
        assert_eq!(postgres("a = E'\\' AND b = $1'", &[4]), None);
        assert_eq!(sqlite("a = ? AND b = ?", &[1, 2]).as_deref(), Some("a = ?2 AND b = ?3"));
        assert_eq!(
            sqlite("a = ?2 AND b = '?' AND c = ?", &[1, 5, 6]).as_deref(),
            Some("a = ?6 AND b = '?' AND c = ?7")
        );
        assert_eq!(sqlite("a = $1", &[3]).as_deref(), Some("a = $4"));
    }
}
