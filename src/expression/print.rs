//! Trees to text, such that the text parses to the same tree: keywords in capitals, and no parentheses but where the
//! tree is not what the text would be without.

use std::fmt::{self, Display, Formatter};

use super::ast::Comparator;
use super::syntax::{Call, Clause, Condition, Name, Operand, Parsed, Path, SetValue, Step, Tree, Update};

impl Comparator {
    /// The comparator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Display for Parsed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.tree {
            Tree::Condition(condition) => condition.fmt(f),
            Tree::Update(update) => update.fmt(f),
            Tree::Projection(paths) => joined(f, paths, ", ", Path::fmt),
        }
    }
}

/// How tightly a condition holds together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Or,
    And,
    Not,
    Comparison,
}

impl Condition {
    fn binding(&self) -> Binding {
        match self {
            Self::Or(_) => Binding::Or,
            Self::And(_) => Binding::And,
            Self::Not(_) => Binding::Not,
            Self::Compare(..) | Self::Between(_) | Self::In(..) | Self::Call(_) => Binding::Comparison,
        }
    }

    /// Writes a part of a condition: in parentheses if it holds together less tightly than needed.
    fn part(&self, f: &mut Formatter<'_>, needed: Binding) -> fmt::Result {
        if self.binding() < needed { write!(f, "({self})") } else { self.fmt(f) }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(parts) => joined(f, parts, " OR ", |part, f| part.part(f, Binding::And)),
            Self::And(parts) => joined(f, parts, " AND ", |part, f| part.part(f, Binding::Not)),
            Self::Not(part) => {
                f.write_str("NOT ")?;
                part.part(f, Binding::Not)
            }
            Self::Compare(left, comparator, right) => write!(f, "{left} {} {right}", comparator.symbol()),
            Self::Between(operands) => {
                let [operand, low, high] = &**operands;
                write!(f, "{operand} BETWEEN {low} AND {high}")
            }
            Self::In(operand, candidates) => {
                write!(f, "{operand} IN (")?;
                joined(f, candidates, ", ", Operand::fmt)?;
                f.write_str(")")
            }
            Self::Call(call) => call.fmt(f),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Value(key) => f.write_str(key),
            Self::Call(call) => call.fmt(f),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name())?;
        joined(f, &self.arguments, ", ", Operand::fmt)?;
        f.write_str(")")
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head.fmt(f)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Member(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(name) => f.write_str(name.as_str()),
            Self::Reference(key) => f.write_str(key),
        }
    }
}

impl Display for Update {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, &self.clauses, " ", Clause::fmt)
    }
}

impl Display for Clause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.keyword())?;
        match self {
            Self::Set(actions) => joined(f, actions, ", ", |(path, value), f| write!(f, "{path} = {value}")),
            Self::Remove(paths) => joined(f, paths, ", ", Path::fmt),
            Self::Add(actions) | Self::Delete(actions) => {
                joined(f, actions, ", ", |(path, key), f| write!(f, "{path} {key}"))
            }
        }
    }
}

impl Display for SetValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => operand.fmt(f),
            Self::Plus(left, right) => write!(f, "{left} + {right}"),
            Self::Minus(left, right) => write!(f, "{left} - {right}"),
        }
    }
}

fn joined<T>(
    f: &mut Formatter<'_>,
    parts: &[T],
    separator: &str,
    mut write: impl FnMut(&T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write(part, f)?;
    }
    Ok(())
}
