//! Where two traces part: read line by line, so that traces may be longer than memory.

use std::{
    collections::VecDeque,
    io::{self, BufRead},
};

/// Lines shown before and after the first that differs.
const CONTEXT_LINES: usize = 5;
/// Characters shown of a line on each side of the first that differs.
const CONTEXT_CHARACTERS: usize = 200;

/// What two traces are to each other.
#[derive(Debug, PartialEq, Eq)]
pub enum Compared {
    /// The same.
    Equal {
        /// Lines of each.
        lines: u64,
        /// The last of them.
        last: Vec<u8>,
    },
    /// Not the same.
    Different(Difference),
}

/// The first difference, with what stands around it.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first line that differs, from 1.
    pub line: u64,
    /// The first character in it that differs, from 1.
    pub column: usize,
    /// The lines before, which are equal.
    pub before: Vec<String>,
    /// That line and those after it, of the first trace; empty if it ends there.
    pub first: Vec<String>,
    /// The same of the second.
    pub second: Vec<String>,
}

/// Reads both until they differ, and `CONTEXT_LINES` further.
pub fn compare(first: &mut impl BufRead, second: &mut impl BufRead) -> io::Result<Compared> {
    let mut before: VecDeque<Vec<u8>> = VecDeque::new();
    let mut lines = 0;
    loop {
        let (one, other) = (line(first)?, line(second)?);
        if one != other {
            let column = column(one.as_deref().unwrap_or_default(), other.as_deref().unwrap_or_default());
            return Ok(Compared::Different(Difference {
                line: lines + 1,
                column,
                before: before.iter().map(|line| excerpt(line, 1)).collect(),
                first: rest(one, column, first)?,
                second: rest(other, column, second)?,
            }));
        }
        let Some(line) = one else {
            return Ok(Compared::Equal { lines, last: before.pop_back().unwrap_or_default() });
        };
        lines += 1;
        if before.len() == CONTEXT_LINES {
            before.pop_front();
        }
        before.push_back(line);
    }
}

/// The next line without its end; `None` at the end.
fn line(of: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if of.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(line))
}

fn rest(line_there: Option<Vec<u8>>, column: usize, of: &mut impl BufRead) -> io::Result<Vec<String>> {
    let Some(there) = line_there else { return Ok(Vec::new()) };
    let mut lines = vec![excerpt(&there, column)];
    while lines.len() <= CONTEXT_LINES
        && let Some(next) = line(of)?
    {
        lines.push(excerpt(&next, 1));
    }
    Ok(lines)
}

/// The first character, from 1, at which they differ.
fn column(one: &[u8], other: &[u8]) -> usize {
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    1 + one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

/// The line, or of a long one what is near this column.
fn excerpt(line: &[u8], column: usize) -> String {
    let text = String::from_utf8_lossy(line);
    let count = text.chars().count();
    let from = column.saturating_sub(CONTEXT_CHARACTERS);
    let to = column + CONTEXT_CHARACTERS;
    if count <= 2 * CONTEXT_CHARACTERS {
        return text.into_owned();
    }
    let shown: String = text.chars().take(to).skip(from).collect();
    format!("{}{shown}{}", if from > 0 { "…" } else { "" }, if to < count { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(first: &str, second: &str) -> Compared {
        compare(&mut first.as_bytes(), &mut second.as_bytes()).expect("memory does not fail")
    }

    fn difference(first: &str, second: &str) -> Difference {
        match compared(first, second) {
            Compared::Different(difference) => difference,
            equal @ Compared::Equal { .. } => panic!("{first:?} and {second:?}: {equal:?}"),
        }
    }

    #[test]
    fn equal_traces_are_counted_and_their_last_line_is_known() {
        assert_eq!(compared("a\nb\nc", "a\nb\nc\n"), Compared::Equal { lines: 3, last: b"c".to_vec() });
        assert_eq!(compared("", ""), Compared::Equal { lines: 0, last: Vec::new() });
    }

    #[test]
    fn the_first_difference_is_shown_with_five_lines_around() {
        let trace = |odd: &str| {
            (1..=20)
                .map(|line| if line == 9 { format!("{odd}\n") } else { format!("{line}\n") })
                .collect::<String>()
        };
        let found = difference(&trace("nine"), &trace("nina"));
        assert_eq!((found.line, found.column), (9, 4));
        assert_eq!(found.before, ["4", "5", "6", "7", "8"]);
        assert_eq!(found.first, ["nine", "10", "11", "12", "13", "14"]);
        assert_eq!(found.second, ["nina", "10", "11", "12", "13", "14"]);
    }

    #[test]
    fn a_trace_that_ends_before_the_other_differs_there() {
        let found = difference("a\nb\n", "a\nb\nc\nd\n");
        assert_eq!((found.line, found.column), (3, 1));
        assert_eq!(found.before, ["a", "b"]);
        assert!(found.first.is_empty());
        assert_eq!(found.second, ["c", "d"]);
        assert_eq!(difference("a", "").second, [""; 0]);
        assert_eq!(difference("\n", "").first, [""], "an empty line is a line");
    }

    #[test]
    fn of_long_lines_the_part_that_differs_is_shown() {
        let (one, other) =
            ("ä".repeat(3000) + "1" + &"b".repeat(500), "ä".repeat(3000) + "2" + &"b".repeat(500));
        let found = difference(&one, &other);
        assert_eq!(found.column, 3001);
        let shown = format!("…{}1{}…", "ä".repeat(199), "b".repeat(200));
        assert_eq!(found.second, [shown.replace('1', "2")]);
        assert_eq!(found.first, [shown]);
    }

    #[test]
    fn bytes_that_are_not_text_are_compared_too() {
        let found = compare(&mut &b"a\xff\n"[..], &mut &b"a\xfe\n"[..]).expect("memory does not fail");
        assert!(matches!(found, Compared::Different(Difference { line: 1, .. })), "{found:?}");
    }
}
