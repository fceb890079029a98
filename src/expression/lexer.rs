//! Text to tokens: one lexer for all expressions, so a keyword of updates is a keyword in conditions too.
//!
//! A character that starts no token is a token of its own, which no rule expects: the error is then the parser's, at
//! the place where it is, and looks as DynamoDB's does.

use super::syntax::EXPRESSION_BYTES_MAX;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A letter, then letters, digits and underscores; not a keyword.
    Word,
    /// `#name`
    NameReference,
    /// `:value`
    ValueReference,
    /// Digits.
    Number,
    And,
    Or,
    Not,
    Between,
    In,
    Set,
    Remove,
    Add,
    Delete,
    OpenParenthesis,
    CloseParenthesis,
    OpenBracket,
    CloseBracket,
    Comma,
    Dot,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    /// A character that starts no token.
    Illegal,
    /// After the last token.
    End,
}

/// A token: what it is, and which bytes of the text it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: u16,
    pub(super) end: u16,
    /// Of an opening parenthesis: the index of the token that closes it, or 0 if none does.
    pub(super) close: u16,
}

const _: () = assert!(EXPRESSION_BYTES_MAX < u16::MAX as usize, "places and token indexes fit");

/// The tokens of a text of at most `EXPRESSION_BYTES_MAX` bytes, ending with `End`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    assert!(text.len() <= EXPRESSION_BYTES_MAX, "the parser checks the length, which is {}", text.len());
    let bytes = text.as_bytes();
    let mut tokens = Vec::with_capacity(text.len() / 3 + 2);
    let mut open: Vec<usize> = Vec::new();
    let mut start = 0;
    while let Some(&first) = bytes.get(start) {
        if matches!(first, b' ' | b'\t' | b'\r' | b'\n') {
            start += 1;
            continue;
        }
        let (kind, len) = token(&text[start..], first);
        if kind == TokenKind::OpenParenthesis {
            open.push(tokens.len());
        }
        if kind == TokenKind::CloseParenthesis
            && let Some(index) = open.pop()
        {
            let close = place(tokens.len());
            let opening: &mut Token = &mut tokens[index];
            opening.close = close;
        }
        tokens.push(Token { kind, start: place(start), end: place(start + len), close: 0 });
        start += len;
    }
    tokens.push(Token { kind: TokenKind::End, start: place(start), end: place(start), close: 0 });
    tokens
}

fn place(index: usize) -> u16 {
    u16::try_from(index).expect("texts are shorter")
}

/// The token at the start of the text, and its length in bytes.
fn token(text: &str, first: u8) -> (TokenKind, usize) {
    let bytes = text.as_bytes();
    let second = bytes.get(1).copied();
    match first {
        b'a'..=b'z' | b'A'..=b'Z' => {
            let len = 1 + alphanumeric_len(&bytes[1..]);
            (keyword(&bytes[..len]).unwrap_or(TokenKind::Word), len)
        }
        b'0'..=b'9' => (TokenKind::Number, bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        b'#' | b':' => match alphanumeric_len(&bytes[1..]) {
            0 => (TokenKind::Illegal, 1),
            len if first == b'#' => (TokenKind::NameReference, 1 + len),
            len => (TokenKind::ValueReference, 1 + len),
        },
        b'(' => (TokenKind::OpenParenthesis, 1),
        b')' => (TokenKind::CloseParenthesis, 1),
        b'[' => (TokenKind::OpenBracket, 1),
        b']' => (TokenKind::CloseBracket, 1),
        b',' => (TokenKind::Comma, 1),
        b'.' => (TokenKind::Dot, 1),
        b'+' => (TokenKind::Plus, 1),
        b'-' => (TokenKind::Minus, 1),
        b'=' => (TokenKind::Equal, 1),
        b'<' if second == Some(b'>') => (TokenKind::NotEqual, 2),
        b'<' if second == Some(b'=') => (TokenKind::LessOrEqual, 2),
        b'<' => (TokenKind::Less, 1),
        b'>' if second == Some(b'=') => (TokenKind::GreaterOrEqual, 2),
        b'>' => (TokenKind::Greater, 1),
        _ => (TokenKind::Illegal, text.chars().next().map_or(1, char::len_utf8)),
    }
}

fn alphanumeric_len(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}

fn keyword(word: &[u8]) -> Option<TokenKind> {
    const KEYWORDS: [(&[u8], TokenKind); 9] = [
        (b"AND", TokenKind::And),
        (b"OR", TokenKind::Or),
        (b"NOT", TokenKind::Not),
        (b"IN", TokenKind::In),
        (b"BETWEEN", TokenKind::Between),
        (b"SET", TokenKind::Set),
        (b"REMOVE", TokenKind::Remove),
        (b"ADD", TokenKind::Add),
        (b"DELETE", TokenKind::Delete),
    ];
    KEYWORDS.iter().find(|(text, _)| text.eq_ignore_ascii_case(word)).map(|(_, kind)| *kind)
}
