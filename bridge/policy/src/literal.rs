//! Where in a text entities are named and where each policy begins: a scanner over the few tokens
//! that matter, so that a mistake is shown at its place even in a file that does not parse.

use std::ops::Range;

/// `Primrack::Group::"operators"` as found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    /// The parts before the id: `["Primrack", "Group"]`.
    pub(crate) path: Vec<String>,
    /// The id, as written between the quotes.
    pub(crate) id: String,
    /// Bytes of the whole in the text.
    pub(crate) span: Range<usize>,
    /// Bytes of the id with its quotes.
    pub(crate) id_span: Range<usize>,
}

/// What the scanner found in a text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// All entities named.
    pub(crate) literals: Vec<Literal>,
    /// Bytes of each policy, from its first token to behind its `;`.
    pub(crate) policies: Vec<Range<usize>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(Range<usize>),
    Text(Range<usize>),
    Path,
    End,
    Other,
}

/// Reads a text; never fails, whatever is in it.
pub(crate) fn scan(text: &str) -> Scan {
    let mut found = Scan::default();
    let mut path: Vec<Range<usize>> = Vec::new();
    let mut after_separator = false;
    let mut begin = None;
    let mut at = 0;
    while let Some((token, range)) = next(text, at) {
        at = range.end;
        let start = *begin.get_or_insert(range.start);
        match token {
            Token::Word(word) => {
                if !after_separator {
                    path.clear();
                }
                path.push(word);
                after_separator = false;
            }
            Token::Path => after_separator = !path.is_empty(),
            Token::Text(id) => {
                if after_separator && let Some(first) = path.first() {
                    found.literals.push(Literal {
                        path: path.iter().map(|word| text[word.clone()].to_owned()).collect(),
                        id: text[id.start + 1..id.end.saturating_sub(1).max(id.start + 1)].to_owned(),
                        span: first.start..id.end,
                        id_span: id,
                    });
                }
                path.clear();
                after_separator = false;
            }
            Token::End => {
                found.policies.push(start..range.end);
                begin = None;
                path.clear();
                after_separator = false;
            }
            Token::Other => {
                path.clear();
                after_separator = false;
            }
        }
    }
    if let Some(start) = begin {
        found.policies.push(start..text.len());
    }
    found
}

/// The next token at or after `at`, blanks and comments skipped.
fn next(text: &str, mut at: usize) -> Option<(Token, Range<usize>)> {
    let bytes = text.as_bytes();
    loop {
        let rest = &text[at..];
        let first = rest.chars().next()?;
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if first == '"' {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            // An escape or a text may run over the end, or end inside a character after a backslash.
            let mut end = (end + 1).min(bytes.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            return Some((Token::Text(at..end), at..end));
        } else if first.is_alphanumeric() || first == '_' {
            let end = at + rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            return Some((Token::Word(at..end), at..end));
        } else if rest.starts_with("::") {
            return Some((Token::Path, at..at + 2));
        } else {
            let token = if first == ';' { Token::End } else { Token::Other };
            return Some((token, at..at + first.len_utf8()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entities_are_found_outside_of_comments_and_texts() {
        let text = "// A::\"no\"\npermit(principal == P :: Avatar::\"x\", action, resource)\n\
                    when { resource.label == \"A::\\\"b\\\"; \" };\nforbid(principal, action, resource);";
        let scan = scan(text);
        assert_eq!(scan.literals.len(), 1);
        assert_eq!(scan.literals[0].path, ["P", "Avatar"]);
        assert_eq!(scan.literals[0].id, "x");
        assert_eq!(&text[scan.literals[0].span.clone()], "P :: Avatar::\"x\"");
        assert_eq!(&text[scan.literals[0].id_span.clone()], "\"x\"");
        assert_eq!(scan.policies.len(), 2);
        assert_eq!(&text[scan.policies[1].clone()], "forbid(principal, action, resource);");
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(text in ".{0,80}|[a:\"\\\\;/é \n]{0,80}") {
            let scan = scan(&text);
            for literal in scan.literals {
                prop_assert!(text.get(literal.span).is_some() && text.get(literal.id_span).is_some());
            }
        }
    }
}
