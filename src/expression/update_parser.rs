//! Tokens to updates: the clauses, and the one place where there is arithmetic.

#![cfg_attr(
    not(test),
    expect(clippy::wildcard_enum_match_arm, reason = "a token that no rule names is an error")
)]

use super::error::Fault;
use super::lexer::TokenKind;
use super::parser::{Parser, Stage};
use super::syntax::{Clause, Path, SetValue, Update};

impl Parser<'_> {
    /// Clauses up to the end of the text, at least one.
    pub(super) fn update(&mut self) -> Result<Update, Fault> {
        let mut clauses: Vec<Clause> = Vec::new();
        loop {
            let clause = match self.peek() {
                TokenKind::End if !clauses.is_empty() => return Ok(Update { clauses }),
                TokenKind::Set => self.clause(Self::set_action).map(Clause::Set)?,
                TokenKind::Remove => self.clause(Self::path).map(Clause::Remove)?,
                TokenKind::Add => self.clause(Self::value_action).map(Clause::Add)?,
                TokenKind::Delete => self.clause(Self::value_action).map(Clause::Delete)?,
                _ => return Err(self.unexpected()),
            };
            if clauses.iter().any(|known| known.keyword() == clause.keyword()) {
                self.found(Stage::Clause, Fault::RepeatedClause { clause: clause.keyword() });
            }
            clauses.push(clause);
        }
    }

    /// A keyword, already looked at, and its actions.
    fn clause<T>(&mut self, action: impl FnMut(&mut Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        self.expect(self.peek())?;
        self.list(action)
    }

    /// `path = value`
    fn set_action(&mut self) -> Result<(Path, SetValue), Fault> {
        let path = self.path()?;
        self.expect(TokenKind::Equal)?;
        Ok((path, self.set_value()?))
    }

    /// `path :value`
    fn value_action(&mut self) -> Result<(Path, Box<str>), Fault> {
        Ok((self.path()?, self.value()?))
    }

    /// An operand, or a sum or difference of two: the whole may be in parentheses, and so may each operand.
    fn set_value(&mut self) -> Result<SetValue, Fault> {
        let left = if self.peek() == TokenKind::OpenParenthesis {
            let pairs = self.open()?;
            self.enter()?;
            let value = self.set_value()?;
            self.leave();
            self.close(pairs)?;
            match value {
                SetValue::Operand(operand) => operand,
                sum @ (SetValue::Plus(..) | SetValue::Minus(..)) => return Ok(sum),
            }
        } else {
            self.operand()?
        };
        let join = match self.peek() {
            TokenKind::Plus => SetValue::Plus,
            TokenKind::Minus => SetValue::Minus,
            _ => return Ok(SetValue::Operand(left)),
        };
        self.expect(self.peek())?;
        self.count_operator()?;
        Ok(join(left, self.operand()?))
    }
}
