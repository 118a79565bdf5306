//! Rust source as a flat list of tokens: words, marks, literals and brackets that know their partner; docs left out.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword.
    Word,
    /// `::` or any other single mark.
    Mark,
    /// A string, character or number.
    Literal,
    /// A bracket.
    Bracket,
}

/// One token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// As written.
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// The line it begins in, from 1.
    pub(crate) line: usize,
    /// The column it begins in, in characters from 0.
    pub(crate) column: usize,
    /// The line it ends in; differs for long literals.
    pub(crate) last_line: usize,
    /// The column it ends in.
    pub(crate) last_column: usize,
    /// For a bracket the index of the one that closes or opens it, else its own index.
    pub(crate) partner: usize,
}

impl Token {
    /// The content of a string literal (escapes as written), none for anything else.
    pub(crate) fn string(&self) -> Option<&str> {
        if self.kind != Kind::Literal {
            return None;
        }
        let body = self.text.trim_start_matches(['b', 'c', 'r']).trim_matches('#');
        body.strip_prefix('"')?.strip_suffix('"')
    }
}

/// All tokens of `stream`; `text` is what it was made from.
pub(super) fn flatten(stream: TokenStream, text: &str) -> Vec<Token> {
    let lines: Vec<&str> = text.lines().collect();
    let mut tokens = Vec::new();
    add(stream, &lines, &mut tokens);
    tokens
}

fn add(stream: TokenStream, lines: &[&str], tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let start = tree.span().start();
        match tree {
            TokenTree::Ident(word) => push(tokens, word.to_string(), Kind::Word, word.span()),
            TokenTree::Literal(literal) => {
                push(tokens, literal.to_string(), Kind::Literal, literal.span());
            }
            TokenTree::Punct(mark) => {
                // A doc comment is given as `#[doc = "…"]` in which every token has the place of the comment.
                if mark.as_char() == '#' && is_comment(lines, start.line, start.column) {
                    while let Some(TokenTree::Punct(_)) = trees.peek() {
                        trees.next();
                    }
                    trees.next();
                    continue;
                }
                let is_pair = mark.as_char() == ':'
                    && mark.spacing() == Spacing::Joint
                    && matches!(trees.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                if is_pair {
                    trees.next();
                    push(tokens, "::".to_owned(), Kind::Mark, mark.span());
                } else {
                    push(tokens, mark.as_char().to_string(), Kind::Mark, mark.span());
                }
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                let first = tokens.len();
                push(tokens, open.to_owned(), Kind::Bracket, group.span_open());
                add(group.stream(), lines, tokens);
                let last = tokens.len();
                push(tokens, close.to_owned(), Kind::Bracket, group.span_close());
                tokens[first].partner = last;
                tokens[last].partner = first;
            }
        }
    }
}

fn push(tokens: &mut Vec<Token>, text: String, kind: Kind, span: proc_macro2::Span) {
    let (start, end) = (span.start(), span.end());
    tokens.push(Token {
        text,
        kind,
        line: start.line,
        column: start.column,
        last_line: end.line,
        last_column: end.column,
        partner: tokens.len(),
    });
}

fn is_comment(lines: &[&str], line: usize, column: usize) -> bool {
    let text = lines.get(line.wrapping_sub(1)).copied().unwrap_or("");
    text.chars().nth(column) == Some('/')
}

#[cfg(test)]
mod tests {
    use super::flatten;

    fn check(text: &str, expected: &[&str]) {
        let tokens = flatten(text.parse().unwrap(), text);
        let texts: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn docs_are_left_out_and_attributes_kept() {
        check("//! Head.\n\n/// Doc.\n#[x]\nfn f() {}", &["#", "[", "x", "]", "fn", "f", "(", ")", "{", "}"]);
        check("#[doc = \"d\"]\nmod a;", &["#", "[", "doc", "=", "\"d\"", "]", "mod", "a", ";"]);
        check("/** Long\n doc. */ use a::b;", &["use", "a", "::", "b", ";"]);
    }

    #[test]
    fn brackets_know_their_partner_and_literals_their_lines() {
        let text = "f(\n\"a\nb\")";
        let tokens = flatten(text.parse().unwrap(), text);
        assert_eq!((tokens[1].partner, tokens[3].partner), (3, 1));
        assert_eq!((tokens[2].line, tokens[2].last_line), (2, 3));
        assert_eq!(tokens[2].string(), Some("a\nb"));
    }

    #[test]
    fn raw_and_byte_strings_are_strings() {
        let text = "r#\"a\"# b\"c\" 'd' 5";
        let tokens = flatten(text.parse().unwrap(), text);
        let strings: Vec<_> = tokens.iter().map(super::Token::string).collect();
        assert_eq!(strings, [Some("a"), Some("c"), None, None]);
    }
}
