//! Tokens to trees, with the errors of the text by itself in DynamoDB's order.
//!
//! A syntax error ends parsing where it is. What else is wrong with the text is collected on the way, and the first of
//! the most important sort is told at the end: an expression with a reserved word and, before it, an unknown function
//! is refused for the function. Operators and operands in operands are counted on the way too and end parsing at once:
//! that bounds the depth of the tree, and so the stack of everything that walks it. The parser itself goes into
//! operands by calling itself, and into parentheses of conditions, of which there may be more, without.
//!
//! Whether `(` opens a condition or an operand (`(a = b)`, `(a) = b`) shows only later. So both are read alike as a
//! [`Node`], and what may be left of an operator, or stand alone, is decided where that is known.

#![cfg_attr(
    not(test),
    expect(clippy::wildcard_enum_match_arm, reason = "a token that no rule names is an error")
)]

use crate::model::AttributeName;

use super::ast::Comparator;
use super::error::{Error, Fault};
use super::lexer::{Token, TokenKind, tokens};
use super::reserved::is_reserved;
use super::syntax::{
    Call, Condition, DEPTH_MAX, EXPRESSION_BYTES_MAX, Function, Kind, LIST_INDEX_MAX, Name, OPERATORS_MAX,
    Operand, PATH_LEVELS_MAX, Parsed, Path, Step, Tree,
};

/// Parses an expression. Errors: `Expression`, first that applies: size, emptiness, then syntax and the count of
/// operators (whichever comes first in the text), then redundant parentheses, unknown functions, misused functions,
/// reserved words (in updates before functions), repeated clauses, path depths and list indexes.
///
/// Takes time and memory linear in the text, of which it accepts `EXPRESSION_BYTES_MAX`.
pub fn parse(kind: Kind, text: &str) -> Result<Parsed, Error> {
    parse_text(kind, text).map_err(|fault| Error::Expression { kind, fault })
}

fn parse_text(kind: Kind, text: &str) -> Result<Parsed, Fault> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(Fault::TooLarge { bytes: text.len() });
    }
    let tokens = tokens(text);
    if tokens[0].kind == TokenKind::End {
        return Err(Fault::Empty);
    }
    let mut parser =
        Parser { text, tokens, next: 0, kind, depth: 0, operators: 0, appends: 0, faults: Vec::new() };
    let read = parser.tree();
    match (read, parser.first_fault()) {
        // That it is too deep is all that is known of the rest; what is known of the beginning says more.
        (Ok(_) | Err(Fault::TooDeep { .. }), Some(fault)) => Err(fault),
        (Ok(tree), None) => Ok(Parsed { kind, tree }),
        (Err(fault), _) => Err(fault),
    }
}

/// The sorts of faults that do not end parsing, most important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Parentheses,
    Function,
    Misuse,
    Word,
    Clause,
    Path,
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// Index of the token to be read.
    next: usize,
    kind: Kind,
    /// Operands around the token to be read.
    depth: usize,
    operators: usize,
    /// Calls of `list_append` around the token to be read.
    appends: usize,
    faults: Vec<(Stage, Fault)>,
}

/// What is between two operators, or in parentheses.
enum Node {
    Operand(Operand),
    Condition(Condition),
}

/// Parentheses that are open, or the whole: what was read of it so far.
#[derive(Default)]
struct Level {
    /// How many pairs of parentheses it is in.
    pairs: usize,
    /// What `OR` joins, before the part being read.
    or: Vec<Condition>,
    /// What `AND` joins, after the last `OR` and before the part being read.
    and: Vec<Condition>,
    /// The `NOT`s before the part being read.
    negations: usize,
}

/// Conditions.
impl Parser<'_> {
    /// A condition up to where it ends. Levels are kept in a vector: as many may be open as fit the text.
    fn condition(&mut self) -> Result<Condition, Fault> {
        let mut below: Vec<Level> = Vec::new();
        let mut level = Level::default();
        loop {
            while self.take(TokenKind::Not) {
                self.count_operator()?;
                level.negations += 1;
            }
            if self.peek() == TokenKind::OpenParenthesis {
                let pairs = self.open()?;
                below.push(std::mem::replace(&mut level, Level { pairs, ..Level::default() }));
                continue;
            }
            let mut node = Node::Operand(self.atom()?);
            // The node is a part of the level; where that ends it becomes a part of the one below.
            loop {
                node = self.comparison(node)?;
                node = self.negated(node, std::mem::take(&mut level.negations))?;
                if self.peek() == TokenKind::And {
                    level.and.push(self.truth(node)?);
                    break;
                }
                node = self.joined(node, std::mem::take(&mut level.and), Condition::And)?;
                if self.peek() == TokenKind::Or {
                    level.or.push(self.truth(node)?);
                    break;
                }
                node = self.joined(node, std::mem::take(&mut level.or), Condition::Or)?;
                let Some(outer) = below.pop() else { return self.truth(node) };
                self.close(std::mem::replace(&mut level, outer).pairs)?;
                if let Node::Operand(operand) = node {
                    node = Node::Operand(self.continued(operand)?);
                }
            }
            self.advance();
            self.count_operator()?;
        }
    }

    fn negated(&mut self, node: Node, negations: usize) -> Result<Node, Fault> {
        if negations == 0 {
            return Ok(node);
        }
        let mut condition = self.truth(node)?;
        for _ in 0..negations {
            condition = Condition::Not(Box::new(condition));
        }
        Ok(Node::Condition(condition))
    }

    /// The parts with the node as the last, or the node alone as it is.
    fn joined(
        &mut self,
        node: Node,
        mut parts: Vec<Condition>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Node, Fault> {
        if parts.is_empty() {
            return Ok(node);
        }
        parts.push(self.truth(node)?);
        Ok(Node::Condition(join(parts)))
    }

    /// An operand with what it is compared with, or the node as it is.
    fn comparison(&mut self, node: Node) -> Result<Node, Fault> {
        let Node::Operand(left) = node else { return Ok(node) };
        let comparator = match self.peek() {
            TokenKind::Equal => Comparator::Equal,
            TokenKind::NotEqual => Comparator::NotEqual,
            TokenKind::Less => Comparator::Less,
            TokenKind::LessOrEqual => Comparator::LessOrEqual,
            TokenKind::Greater => Comparator::Greater,
            TokenKind::GreaterOrEqual => Comparator::GreaterOrEqual,
            TokenKind::Between => return self.between(left),
            TokenKind::In => return self.within(left),
            _ => return Ok(Node::Operand(left)),
        };
        self.advance();
        self.count_operator()?;
        self.check_operand(&left);
        let right = self.operand()?;
        Ok(Node::Condition(Condition::Compare(left, comparator, right)))
    }

    fn between(&mut self, operand: Operand) -> Result<Node, Fault> {
        self.expect(TokenKind::Between)?;
        self.count_operator()?;
        self.check_operand(&operand);
        let low = self.operand()?;
        self.expect(TokenKind::And)?;
        let high = self.operand()?;
        Ok(Node::Condition(Condition::Between(Box::new([operand, low, high]))))
    }

    fn within(&mut self, operand: Operand) -> Result<Node, Fault> {
        self.expect(TokenKind::In)?;
        self.count_operator()?;
        self.check_operand(&operand);
        self.expect(TokenKind::OpenParenthesis)?;
        let candidates = self.list(Self::operand)?;
        self.expect(TokenKind::CloseParenthesis)?;
        Ok(Node::Condition(Condition::In(operand, candidates)))
    }

    /// The node as a condition. What can only be an operand is missing a comparator: a syntax error at the token that
    /// is there instead.
    fn truth(&mut self, node: Node) -> Result<Condition, Fault> {
        match node {
            Node::Condition(condition) => Ok(condition),
            Node::Operand(Operand::Call(call)) => {
                if !call.function.is_condition() {
                    self.found(Stage::Misuse, Fault::MisusedFunction { name: call.function.name() });
                }
                Ok(Condition::Call(call))
            }
            Node::Operand(Operand::Path(_) | Operand::Value(_)) => Err(self.unexpected()),
        }
    }
}

/// Operands, in all kinds of expressions.
impl Parser<'_> {
    /// An operand where nothing else can be, in parentheses or not.
    pub(super) fn operand(&mut self) -> Result<Operand, Fault> {
        let operand = if self.peek() == TokenKind::OpenParenthesis {
            let pairs = self.open()?;
            self.enter()?;
            let operand = self.operand()?;
            self.leave();
            self.close(pairs)?;
            self.continued(operand)?
        } else {
            self.atom()?
        };
        self.check_operand(&operand);
        Ok(operand)
    }

    /// An operand without parentheses around it.
    fn atom(&mut self) -> Result<Operand, Fault> {
        match self.peek() {
            TokenKind::ValueReference => Ok(Operand::Value(self.value()?)),
            TokenKind::Word if self.peek_after() == TokenKind::OpenParenthesis => {
                Ok(Operand::Call(self.call()?))
            }
            _ => Ok(Operand::Path(self.path()?)),
        }
    }

    /// Except in updates, a path in parentheses may be continued behind them.
    fn continued(&mut self, operand: Operand) -> Result<Operand, Fault> {
        match operand {
            Operand::Path(path) if self.kind != Kind::Update => Ok(Operand::Path(self.steps(path)?)),
            other => Ok(other),
        }
    }

    /// `:value`
    pub(super) fn value(&mut self) -> Result<Box<str>, Fault> {
        Ok(self.expect(TokenKind::ValueReference)?.into())
    }

    fn call(&mut self) -> Result<Call, Fault> {
        let name = self.expect(TokenKind::Word)?;
        let known = Function::ALL.into_iter().find(|function| function.name() == name);
        if known.is_none() {
            self.found(Stage::Function, Fault::UnknownFunction { name: name.to_owned() });
        }
        // The tree of an unknown function is not used.
        let function = known.unwrap_or(Function::Size);
        if self.kind == Kind::Update {
            self.count_operator()?;
        }
        let append = usize::from(function == Function::ListAppend);
        if append == 1 && self.appends > 0 {
            self.found(Stage::Misuse, Fault::MisusedFunction { name: function.name() });
        }
        self.enter()?;
        self.appends += append;
        self.expect(TokenKind::OpenParenthesis)?;
        let arguments = self.list(Self::operand)?;
        self.expect(TokenKind::CloseParenthesis)?;
        self.appends -= append;
        self.leave();
        Ok(Call { function, arguments })
    }

    fn check_operand(&mut self, operand: &Operand) {
        if let Operand::Call(call) = operand
            && !call.function.is_operand(self.kind)
        {
            self.found(Stage::Misuse, Fault::MisusedFunction { name: call.function.name() });
        }
    }

    pub(super) fn path(&mut self) -> Result<Path, Fault> {
        let head = self.name()?;
        self.steps(Path { head, steps: Vec::new() })
    }

    fn steps(&mut self, mut path: Path) -> Result<Path, Fault> {
        loop {
            if self.take(TokenKind::Dot) {
                let name = self.name()?;
                path.steps.push(Step::Member(name));
            } else if self.take(TokenKind::OpenBracket) {
                let index = self.expect(TokenKind::Number)?;
                let step = self.index(index);
                path.steps.push(step);
                self.expect(TokenKind::CloseBracket)?;
            } else {
                break;
            }
        }
        let levels = 1 + path.steps.len();
        if levels > PATH_LEVELS_MAX {
            self.found(Stage::Path, Fault::PathTooDeep { levels });
        }
        Ok(path)
    }

    fn index(&mut self, digits: &str) -> Step {
        match digits.parse() {
            Ok(index) if index <= LIST_INDEX_MAX => Step::Index(index),
            Ok(_) | Err(_) => {
                self.found(Stage::Path, Fault::IndexOutOfRange { index: digits.to_owned() });
                Step::Index(0)
            }
        }
    }

    fn name(&mut self) -> Result<Name, Fault> {
        if self.peek() == TokenKind::NameReference {
            return Ok(Name::Reference(self.expect(TokenKind::NameReference)?.into()));
        }
        let word = self.expect(TokenKind::Word)?;
        if is_reserved(word) {
            self.found(Stage::Word, Fault::ReservedWord { word: word.to_owned() });
        }
        let name = AttributeName::parse(word).expect("a word is not empty and shorter than an expression");
        Ok(Name::Literal(name))
    }
}

/// Tokens, and what is counted.
impl<'a> Parser<'a> {
    /// The whole text.
    fn tree(&mut self) -> Result<Tree, Fault> {
        let tree = match self.kind {
            Kind::Condition | Kind::Filter | Kind::KeyCondition => Tree::Condition(self.condition()?),
            Kind::Update => Tree::Update(self.update()?),
            Kind::Projection => Tree::Projection(self.list(Self::path)?),
        };
        self.expect(TokenKind::End)?;
        Ok(tree)
    }

    pub(super) fn peek(&self) -> TokenKind {
        self.tokens[self.next].kind
    }

    fn peek_after(&self) -> TokenKind {
        self.tokens.get(self.next + 1).map_or(TokenKind::End, |token| token.kind)
    }

    fn advance(&mut self) {
        // The end stays where it is, so there is always a token to be read.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    pub(super) fn take(&mut self, kind: TokenKind) -> bool {
        let taken = self.peek() == kind;
        if taken {
            self.advance();
        }
        taken
    }

    /// The text of the next token, which must be of a kind.
    pub(super) fn expect(&mut self, kind: TokenKind) -> Result<&'a str, Fault> {
        if self.peek() != kind {
            return Err(self.unexpected());
        }
        let text = self.token_text(self.tokens[self.next]);
        self.advance();
        Ok(text)
    }

    /// One or more of something, with commas between.
    pub(super) fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut elements = vec![element(self)?];
        while self.take(TokenKind::Comma) {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// Opens parentheses, and those right inside that close right before them: they are redundant, and so read in a
    /// loop, however many. Gives the number of pairs, for `close`.
    pub(super) fn open(&mut self) -> Result<usize, Fault> {
        let mut pairs = 1;
        let mut close = self.tokens[self.next].close;
        self.expect(TokenKind::OpenParenthesis)?;
        while self.peek() == TokenKind::OpenParenthesis
            && close != 0
            && self.tokens[self.next].close + 1 == close
        {
            self.found(Stage::Parentheses, Fault::RedundantParentheses);
            pairs += 1;
            close -= 1;
            self.advance();
        }
        Ok(pairs)
    }

    pub(super) fn close(&mut self, pairs: usize) -> Result<(), Fault> {
        for _ in 0..pairs {
            self.expect(TokenKind::CloseParenthesis)?;
        }
        Ok(())
    }

    /// Before something that reads an operand in an operand.
    pub(super) fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Fault::TooDeep { levels: self.depth }) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn count_operator(&mut self) -> Result<(), Fault> {
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            return Err(Fault::TooManyOperators { count: self.operators });
        }
        Ok(())
    }

    /// Notes a fault that does not end parsing.
    pub(super) fn found(&mut self, stage: Stage, fault: Fault) {
        // The first of each sort is enough.
        if self.faults.iter().all(|(known, _)| *known != stage) {
            self.faults.push((stage, fault));
        }
    }

    fn first_fault(self) -> Option<Fault> {
        let updating = self.kind == Kind::Update;
        let order = |stage: Stage| match stage {
            Stage::Word if updating => (Stage::Function, false),
            other => (other, updating),
        };
        self.faults.into_iter().min_by_key(|(stage, _)| order(*stage)).map(|(_, fault)| fault)
    }

    /// The syntax error of the next token.
    pub(super) fn unexpected(&self) -> Fault {
        let token = self.tokens[self.next];
        let before = self.next.checked_sub(1).map_or(token, |index| self.tokens[index]);
        let after = self.tokens.get(self.next + 1).copied().unwrap_or(token);
        let end = if after.kind == TokenKind::End { token.end } else { after.end };
        let near = match token.kind {
            TokenKind::End => self.token_text(before),
            _ => &self.text[usize::from(before.start)..usize::from(end)],
        };
        let text = match token.kind {
            TokenKind::End => "<EOF>",
            _ => self.token_text(token),
        };
        Fault::Syntax { token: text.to_owned(), near: near.to_owned() }
    }

    fn token_text(&self, token: Token) -> &'a str {
        &self.text[usize::from(token.start)..usize::from(token.end)]
    }
}
