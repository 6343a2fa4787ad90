//! What a Rust file says, by its tokens: the paths it uses, its functions, its modules.
//!
//! Tokens rather than a syntax tree, because much of the code that matters stands inside macros.

use std::collections::VecDeque;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path such as `crate::store::classes`, with `self` and `super` resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

impl Used {
    /// Whether the path is `prefix` (written with `::`) or lies below it.
    pub(crate) fn is_below(&self, prefix: &str) -> bool {
        let mut own = self.segments.iter();
        prefix
            .split("::")
            .all(|segment| own.next().is_some_and(|own| own == segment))
    }
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of its `fn`.
    pub(crate) first: usize,
    /// The line of its closing brace.
    pub(crate) last: usize,
}

/// The tokens of a file.
pub(crate) fn lex(path: &str, text: &str) -> TokenStream {
    text.parse()
        .unwrap_or_else(|error| panic!("{path} is not Rust: {error}"))
}

/// The module that a file of a crate is, for example `["store", "classes"]`.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let mut parts: Vec<String> = inside
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if parts
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        parts.pop();
    }
    parts
}

/// Every path of two or more segments, and every path of a `use`, in a file that is the module `module`.
pub(crate) fn paths(tokens: TokenStream, module: &[String]) -> Vec<Used> {
    let mut found = Vec::new();
    scan_paths(tokens, module, &mut found);
    found
}

fn scan_paths(tokens: TokenStream, module: &[String], found: &mut Vec<Used>) {
    let mut rest: VecDeque<TokenTree> = tokens.into_iter().collect();
    let mut after_use = false;
    while let Some(token) = rest.pop_front() {
        match token {
            TokenTree::Ident(word) if word == "mod" => {
                let name = rest.front().map(ToString::to_string);
                if let (Some(name), Some(TokenTree::Group(body))) = (name, rest.get(1)) {
                    let inner: Vec<String> = module.iter().cloned().chain([name]).collect();
                    scan_paths(body.stream(), &inner, found);
                    rest.drain(..2);
                }
            }
            TokenTree::Ident(word) => {
                let line = word.span().start().line;
                let name = word.to_string();
                if name != "use" && (after_use || is_double_colon(&rest)) {
                    read_path(vec![name.clone()], line, &mut rest, module, found);
                }
                after_use = name == "use";
                continue;
            }
            TokenTree::Group(group) => {
                if after_use {
                    read_group(&[], &group, module, found);
                } else {
                    scan_paths(group.stream(), module, found);
                }
            }
            // `use ::a` and the `::a` of a path that was left off in between.
            TokenTree::Punct(_) => continue,
            TokenTree::Literal(_) => {}
        }
        after_use = false;
    }
}

fn is_double_colon(rest: &VecDeque<TokenTree>) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(rest.front()) && colon(rest.get(1))
}

/// Reads on from `segments`; a group in braces ends in several paths.
fn read_path(
    mut segments: Vec<String>,
    line: usize,
    rest: &mut VecDeque<TokenTree>,
    module: &[String],
    found: &mut Vec<Used>,
) {
    while is_double_colon(rest) {
        match rest.get(2) {
            Some(TokenTree::Ident(word)) => {
                segments.push(word.to_string());
                rest.drain(..3);
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let group = group.clone();
                rest.drain(..3);
                return read_group(&segments, &group, module, found);
            }
            _ => break,
        }
    }
    found.push(Used {
        segments: resolve(segments, module),
        line,
    });
}

fn read_group(prefix: &[String], group: &Group, module: &[String], found: &mut Vec<Used>) {
    let mut rest: VecDeque<TokenTree> = group.stream().into_iter().collect();
    while let Some(token) = rest.pop_front() {
        match token {
            TokenTree::Ident(word) if word == "as" => {
                rest.pop_front();
            }
            TokenTree::Ident(word) => {
                let mut segments = prefix.to_vec();
                // `a::{self}` is `a`.
                if prefix.is_empty() || word != "self" {
                    segments.push(word.to_string());
                }
                read_path(segments, word.span().start().line, &mut rest, module, found);
            }
            TokenTree::Punct(star) if star.as_char() == '*' => {
                found.push(Used {
                    segments: resolve(prefix.to_vec(), module),
                    line: star.span().start().line,
                });
            }
            _ => {}
        }
    }
}

/// The path from the root: `self` and `super` name modules of this crate.
fn resolve(segments: Vec<String>, module: &[String]) -> Vec<String> {
    let first = segments.first().map(String::as_str);
    if !matches!(first, Some("self" | "super")) {
        return segments;
    }
    let mut base = module.to_vec();
    let mut rest = segments.into_iter().peekable();
    while let Some(word) = rest.next_if(|word| word == "self" || word == "super") {
        if word == "super" {
            base.pop();
        }
    }
    ["crate".to_owned()]
        .into_iter()
        .chain(base)
        .chain(rest)
        .collect()
}

/// Every function that has a body, also in macros, outermost first.
pub(crate) fn functions(tokens: TokenStream) -> Vec<Function> {
    let mut found = Vec::new();
    scan_functions(tokens, &mut found);
    found
}

fn scan_functions(tokens: TokenStream, found: &mut Vec<Function>) {
    let mut open: Option<(String, usize)> = None;
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Ident(word) if word == "fn" => {
                // A type such as `fn(u8) -> u8` has no name.
                if let Some(TokenTree::Ident(name)) = rest.peek() {
                    open = Some((name.to_string(), word.span().start().line));
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => open = None,
            TokenTree::Group(group) => {
                if group.delimiter() == Delimiter::Brace
                    && let Some((name, first)) = open.take()
                {
                    found.push(Function {
                        name,
                        first,
                        last: group.span_close().end().line,
                    });
                }
                scan_functions(group.stream(), found);
            }
            _ => {}
        }
    }
}

/// The names of the modules that a file declares, with their lines.
pub(crate) fn modules(tokens: TokenStream) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Ident(word) if word == "mod" => {
                if let Some(TokenTree::Ident(name)) = rest.peek() {
                    found.push((name.to_string(), name.span().start().line));
                }
            }
            TokenTree::Group(group) => found.extend(modules(group.stream())),
            _ => {}
        }
    }
    found
}

/// The lines on which a word stands, outside of text and comments.
pub(crate) fn lines_with(tokens: TokenStream, wanted: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == wanted => found.push(word.span().start().line),
            TokenTree::Group(group) => found.extend(lines_with(group.stream(), wanted)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Vec<String> {
        let module = module_of("crates/keys/src/store/codes.rs");
        paths(lex("sample", text), &module)
            .into_iter()
            .map(|used| used.segments.join("::"))
            .collect()
    }

    #[test]
    fn paths_are_found_in_uses_bodies_types_and_macros() {
        assert_eq!(
            used("use a::{b, c::{d, self}, e as f};"),
            ["a::b", "a::c::d", "a::c", "a::e"]
        );
        assert_eq!(used("use tonic;"), ["tonic"]);
        assert_eq!(used("use {a::b, c};"), ["a::b", "c"]);
        assert_eq!(used("use ::sqlx::query;"), ["sqlx::query"]);
        assert_eq!(
            used("fn f(x: a::B<c::D>) { g!(e::f(1), \"h::i\"); }"),
            ["a::B", "c::D", "e::f"]
        );
        assert_eq!(used("use a::b::*; use c::{*};"), ["a::b", "c"]);
    }

    #[test]
    fn self_and_super_are_resolved_also_inside_inline_modules() {
        assert_eq!(
            used("use super::super::rpc::errors;"),
            ["crate::rpc::errors"]
        );
        assert_eq!(used("use self::a::B;"), ["crate::store::codes::a::B"]);
        assert_eq!(
            used("mod tests { use super::*; fn f() { super::super::super::app::g() } }"),
            ["crate::store::codes", "crate::app::g"]
        );
    }

    #[test]
    fn functions_have_their_lines_and_types_are_none() {
        let text = "type F = fn(u8) -> u8;\ntrait T { fn a(&self); fn b(&self) {\n}\n}\nm! { fn c() where X: Y {\n\n} }";
        let found = functions(lex("sample", text));
        let lines: Vec<(&str, usize, usize)> = found
            .iter()
            .map(|function| (function.name.as_str(), function.first, function.last))
            .collect();
        assert_eq!(lines, [("b", 2, 3), ("c", 5, 7)]);
    }
}
