//! Text to tokens: names, numbers, strings with CEL's escapes, symbols.
//!
//! Works on the whole source at once, which is short by its limit; every token carries its bytes.

use std::ops::Range;

use super::ExpressionError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    /// Up to 2^63, which only a minus makes an int.
    Int(u64),
    Float(f64),
    Text(String),
    Symbol(&'static str),
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) span: Range<usize>,
}

/// Longer ones first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "?", ":", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ".", ",",
];

/// All tokens of the source, the last one [`Token::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Spanned>, ExpressionError> {
    let mut lexer = Lexer { source, at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let token = lexer.next()?;
        let is_end = token == Token::End;
        found.push(Spanned { token, span: start..lexer.at });
        if is_end {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blanks(&mut self) {
        loop {
            let trimmed = self.rest().trim_start();
            self.at = self.source.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn next(&mut self) -> Result<Token, ExpressionError> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        if first.is_ascii_digit() || (first == '.' && self.rest()[1..].starts_with(|next: char| next.is_ascii_digit())) {
            return self.number();
        }
        if first == '"' || first == '\'' {
            return self.text(false);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return self.name_or_prefixed_text();
        }
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let help = match first {
            '=' => "compare with `==`",
            '&' => "write `&&` for and",
            '|' => "write `||` for or",
            '`' | '“' | '”' | '„' | '‘' | '’' => "text stands in straight quotes: \"…\" or '…'",
            _ => "an expression is made of names, numbers, quoted text and operators",
        };
        let span = self.at..self.at + first.len_utf8();
        Err(ExpressionError::new(span, format!("character `{}` is not allowed here", first.escape_debug()), help))
    }

    fn name_or_prefixed_text(&mut self) -> Result<Token, ExpressionError> {
        let start = self.at;
        let rest = self.rest();
        let length = rest.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(rest.len());
        let name = &rest[..length];
        let is_prefix = rest[length..].starts_with(['"', '\'']);
        self.at += length;
        match name {
            "r" | "R" if is_prefix => self.text(true),
            "b" | "B" | "rb" | "br" if is_prefix => {
                Err(ExpressionError::new(start..self.at, "bytes are not supported", "write text: \"…\""))
            }
            _ => Ok(Token::Name(name.to_owned())),
        }
    }

    fn number(&mut self) -> Result<Token, ExpressionError> {
        let start = self.at;
        let rest = self.rest();
        let hex = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        let token = if let Some(digits) = hex {
            let length = count(digits, |next| next.is_ascii_hexdigit());
            self.at += 2 + length;
            u64::from_str_radix(&digits[..length], 16).ok().map(Token::Int)
        } else {
            let (length, is_float) = decimal_length(rest);
            self.at += length;
            let digits = &rest[..length];
            if is_float {
                digits.parse().ok().filter(|float: &f64| float.is_finite()).map(Token::Float)
            } else {
                digits.parse().ok().map(Token::Int)
            }
        };
        if self.peek().is_some_and(|next| next.is_ascii_alphanumeric() || next == '_') {
            let tail = count(self.rest(), |next| next.is_ascii_alphanumeric() || next == '_');
            self.at += tail;
            let help = match &self.source[self.at - tail..self.at] {
                "u" | "U" => "leave out the `u`: all whole numbers are signed",
                _ => "put a blank or an operator after a number; a span of time is written `duration(\"48h\")`",
            };
            return Err(ExpressionError::new(start..self.at, "a number cannot end in letters", help));
        }
        match token {
            Some(Token::Int(value)) if value > 1 << 63 => Err(number_too_large(start..self.at)),
            Some(token) => Ok(token),
            None => Err(number_too_large(start..self.at)),
        }
    }

    fn text(&mut self, is_raw: bool) -> Result<Token, ExpressionError> {
        let start = self.at;
        let rest = self.rest();
        let quote = if rest.starts_with("\"\"\"") || rest.starts_with("'''") { &rest[..3] } else { &rest[..1] };
        self.at += quote.len();
        let mut text = String::new();
        loop {
            if self.rest().starts_with(quote) {
                self.at += quote.len();
                return Ok(Token::Text(text));
            }
            match self.peek() {
                Some('\\') if !is_raw => text.push(self.escape()?),
                Some('\0') => return Err(self.no_nul(self.at..self.at + 1)),
                Some(next) if next != '\n' || quote.len() == 3 => {
                    text.push(next);
                    self.at += next.len_utf8();
                }
                _ => {
                    let help = format!("end the text with {quote}");
                    return Err(ExpressionError::new(start..self.at, "the text does not end", help));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, ExpressionError> {
        let start = self.at;
        self.at += 1;
        let Some(kind) = self.peek() else {
            return Err(ExpressionError::new(start..self.at, "the text does not end", "end the text with a quote"));
        };
        self.at += kind.len_utf8();
        let plain = match kind {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{07}',
            'b' => '\u{08}',
            'f' => '\u{0C}',
            'v' => '\u{0B}',
            '\\' | '"' | '\'' | '`' | '?' => kind,
            'x' | 'X' => return self.code_point(start, (2, 16)),
            'u' => return self.code_point(start, (4, 16)),
            'U' => return self.code_point(start, (8, 16)),
            '0'..='3' => {
                self.at -= 1;
                return self.code_point(start, (3, 8));
            }
            _ => {
                let help = "known are \\n \\t \\r \\\\ \\\" \\' \\xHH \\uHHHH; in r\"…\" a backslash means itself";
                let message = format!("escape `\\{}` is not known", kind.escape_debug());
                return Err(ExpressionError::new(start..self.at, message, help));
            }
        };
        Ok(plain)
    }

    fn code_point(&mut self, start: usize, (digits, radix): (usize, u32)) -> Result<char, ExpressionError> {
        let length = count(self.rest(), |next| next.is_digit(radix)).min(digits);
        let code = u32::from_str_radix(&self.rest()[..length], radix).ok().filter(|_| length == digits);
        self.at += length;
        match code.and_then(char::from_u32) {
            Some('\0') => Err(self.no_nul(start..self.at)),
            Some(found) => Ok(found),
            None => {
                let help = format!("it takes {digits} digits that name a Unicode character");
                Err(ExpressionError::new(start..self.at, "the escape is not a character", help))
            }
        }
    }

    fn no_nul(&self, span: Range<usize>) -> ExpressionError {
        ExpressionError::new(span, "text cannot hold U+0000", "leave it out: facts cannot hold it either")
    }
}

/// The error for a number beyond 64 bits.
pub(super) fn number_too_large(span: Range<usize>) -> ExpressionError {
    let help = "an int goes from -9223372036854775808 to 9223372036854775807; write 1e19 for a float";
    ExpressionError::new(span, "the number is too large", help)
}

fn count(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|next: char| !belongs(next)).unwrap_or(text.len())
}

/// Length of a decimal number and whether it has a fraction or an exponent.
fn decimal_length(text: &str) -> (usize, bool) {
    let is_digit = |next: char| next.is_ascii_digit();
    let mut length = count(text, is_digit);
    let mut is_float = false;
    if let Some(fraction) = text[length..].strip_prefix('.') {
        let digits = count(fraction, is_digit);
        if digits > 0 {
            is_float = true;
            length += 1 + digits;
        }
    }
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let digits = count(&exponent[sign..], is_digit);
        if digits > 0 {
            is_float = true;
            length += 1 + sign + digits;
        }
    }
    (length, is_float)
}
