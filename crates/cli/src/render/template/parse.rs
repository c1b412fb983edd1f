//! From text to nodes.

use serde_json::Value;

use super::{Expr, Node, Template};
use crate::error::CliError;

/// Functions with the least and most arguments they take.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("and", 1, 16),
    ("eq", 2, 2),
    ("index", 1, 16),
    ("join", 2, 2),
    ("json", 1, 1),
    ("len", 1, 1),
    ("lower", 1, 1),
    ("ne", 2, 2),
    ("not", 1, 1),
    ("or", 1, 16),
    ("print", 0, 16),
    ("println", 0, 16),
    ("upper", 1, 1),
];
/// Deepest nesting of blocks and parentheses.
const DEPTH_MAX: usize = 32;

/// Parses a template.
pub fn parse(source: &str) -> Result<Template, CliError> {
    let failed = |why: String| CliError::usage(format!("parse template: {why}"));
    let pieces = split(source).map_err(failed)?;
    let mut pieces = pieces.into_iter();
    let (nodes, end) = block(&mut pieces, 0).map_err(failed)?;
    match end {
        End::Source => Ok(Template(nodes)),
        End::Word(word) => Err(failed(format!("unexpected {word:?}"))),
    }
}

enum Piece {
    Text(String),
    Action(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Field(String, Vec<String>),
    Below(Vec<String>),
    Literal(Value),
    Symbol(&'static str),
}

enum End {
    Source,
    Word(String),
}

fn split(source: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut trim = false;
    while let Some(start) = rest.find("{{") {
        let mut text = &rest[..start];
        rest = &rest[start + 2..];
        if trim {
            text = text.trim_start();
        }
        if let Some(after) = rest.strip_prefix("- ") {
            text = text.trim_end();
            rest = after;
        }
        pieces.push(Piece::Text(text.to_owned()));
        let end = action_end(rest).ok_or("\"{{\" without \"}}\"")?;
        let mut action = &rest[..end];
        rest = &rest[end + 2..];
        trim = action.ends_with(" -");
        if trim {
            action = &action[..action.len() - 2];
        }
        if !action.trim().starts_with("/*") {
            pieces.push(Piece::Action(tokens(action)?));
        }
    }
    pieces.push(Piece::Text(
        if trim { rest.trim_start() } else { rest }.to_owned(),
    ));
    Ok(pieces)
}

/// Where the action ends: the first `}}` outside of a string.
fn action_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'}' if !quoted && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn tokens(action: &str) -> Result<Vec<Token>, String> {
    let mut all = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let text = match values.next() {
                    Some(Ok(text)) => text,
                    _ => return Err(format!("a string is not closed: {rest}")),
                };
                all.push(Token::Literal(Value::String(text)));
                values.byte_offset()
            }
            '(' | ')' | '|' | ',' => {
                all.push(Token::Symbol(match first {
                    '(' => "(",
                    ')' => ")",
                    '|' => "|",
                    _ => ",",
                }));
                1
            }
            ':' if rest.starts_with(":=") => {
                all.push(Token::Symbol(":="));
                2
            }
            _ => {
                let length = rest
                    .find(|c: char| c.is_whitespace() || "()|,\":".contains(c))
                    .unwrap_or(rest.len());
                if length == 0 {
                    return Err(format!("{first:?} is not supported"));
                }
                let below = all.last() == Some(&Token::Symbol(")")) && !action_gap(action, rest);
                all.push(word(&rest[..length], below)?);
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(all)
}

/// Whether there is space before `rest`, which is the end of `action`.
fn action_gap(action: &str, rest: &str) -> bool {
    action[..action.len() - rest.len()].ends_with(char::is_whitespace)
}

fn word(text: &str, below: bool) -> Result<Token, String> {
    let fields = |text: &str| -> Vec<String> {
        text.split('.')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    if text.starts_with('.') {
        return Ok(match below {
            true => Token::Below(fields(text)),
            false => Token::Field(String::new(), fields(text)),
        });
    }
    if text.starts_with('$') {
        let (name, path) = text.split_once('.').unwrap_or((text, ""));
        return Ok(Token::Field(name.to_owned(), fields(path)));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Token::Literal(number.into()));
    }
    Ok(match text {
        "true" => Token::Literal(true.into()),
        "false" => Token::Literal(false.into()),
        "nil" => Token::Literal(Value::Null),
        _ if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            Token::Word(text.to_owned())
        }
        _ => return Err(format!("{text:?} is not supported")),
    })
}

/// Nodes until the source or the block ends.
fn block(pieces: &mut std::vec::IntoIter<Piece>, depth: usize) -> Result<(Vec<Node>, End), String> {
    if depth > DEPTH_MAX {
        return Err(format!("blocks are nested deeper than {DEPTH_MAX}"));
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let tokens = match piece {
            Piece::Text(text) if text.is_empty() => continue,
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        let Some(Token::Word(keyword)) = tokens.first().cloned() else {
            nodes.push(Node::Print(expression(&tokens)?));
            continue;
        };
        match keyword.as_str() {
            "end" | "else" if tokens.len() == 1 => return Ok((nodes, End::Word(keyword))),
            "range" => nodes.push(range(&tokens[1..], pieces, depth)?),
            "if" | "with" => {
                let condition = expression(&tokens[1..])?;
                let (body, otherwise) = bodies(&keyword, pieces, depth)?;
                nodes.push(Node::If {
                    condition,
                    is_dot: keyword == "with",
                    body,
                    otherwise,
                });
            }
            "else" | "template" | "define" | "block" | "break" | "continue" => {
                return Err(format!("{keyword:?} is not supported"));
            }
            _ => nodes.push(Node::Print(expression(&tokens)?)),
        }
    }
    Ok((nodes, End::Source))
}

fn bodies(
    keyword: &str,
    pieces: &mut std::vec::IntoIter<Piece>,
    depth: usize,
) -> Result<(Vec<Node>, Vec<Node>), String> {
    let (body, end) = block(pieces, depth + 1)?;
    let (otherwise, end) = match end {
        End::Word(word) if word == "else" => block(pieces, depth + 1)?,
        end => (Vec::new(), end),
    };
    match end {
        End::Word(word) if word == "end" => Ok((body, otherwise)),
        _ => Err(format!("{keyword:?} without \"end\"")),
    }
}

fn range(
    tokens: &[Token],
    pieces: &mut std::vec::IntoIter<Piece>,
    depth: usize,
) -> Result<Node, String> {
    let (key, value, list) = match tokens {
        [
            Token::Field(key, none),
            Token::Symbol(","),
            Token::Field(value, nothing),
            Token::Symbol(":="),
            list @ ..,
        ] if none.is_empty() && nothing.is_empty() => {
            (Some(key.clone()), Some(value.clone()), list)
        }
        [Token::Field(value, none), Token::Symbol(":="), list @ ..] if none.is_empty() => {
            (None, Some(value.clone()), list)
        }
        list => (None, None, list),
    };
    let list = expression(list)?;
    let (body, otherwise) = bodies("range", pieces, depth)?;
    Ok(Node::Range {
        key,
        value,
        list,
        body,
        otherwise,
    })
}

fn expression(tokens: &[Token]) -> Result<Expr, String> {
    let mut at = 0;
    let expr = pipeline(tokens, &mut at, 0)?;
    match tokens.get(at) {
        None => Ok(expr),
        Some(token) => Err(format!("unexpected {}", describe(token))),
    }
}

/// Commands joined by `|`: each gets the one before as its last argument.
fn pipeline(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Expr, String> {
    if depth > DEPTH_MAX {
        return Err(format!("parentheses are nested deeper than {DEPTH_MAX}"));
    }
    let mut before = None;
    loop {
        let expr = command(tokens, at, depth, before)?;
        if tokens.get(*at) != Some(&Token::Symbol("|")) {
            return Ok(expr);
        }
        *at += 1;
        before = Some(expr);
    }
}

fn command(
    tokens: &[Token],
    at: &mut usize,
    depth: usize,
    before: Option<Expr>,
) -> Result<Expr, String> {
    let name = match tokens.get(*at) {
        Some(Token::Word(name)) => name.clone(),
        // The one method of docker's: `.Label "key"`.
        Some(Token::Field(dot, path))
            if dot.is_empty() && *path == ["Label"] && tokens.len() > *at + 1 =>
        {
            ".Label".to_owned()
        }
        Some(_) if before.is_none() => return operand(tokens, at, depth),
        Some(token) => return Err(format!("unexpected {} after \"|\"", describe(token))),
        None => return Err("an expression is missing".to_owned()),
    };
    *at += 1;
    let mut arguments = Vec::new();
    while !matches!(tokens.get(*at), None | Some(Token::Symbol("|" | ")"))) {
        arguments.push(operand(tokens, at, depth)?);
    }
    arguments.extend(before);
    let count = arguments.len();
    match FUNCTIONS.iter().find(|(known, _, _)| *known == name) {
        None if name == ".Label" && count == 1 => {}
        None => return Err(format!("function {name:?} is not supported")),
        Some((_, least, most)) if count < *least || count > *most => {
            return Err(format!("function {name:?} does not take {count} arguments"));
        }
        Some(_) => {}
    }
    Ok(Expr::Call(name, arguments))
}

fn operand(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Expr, String> {
    let token = tokens.get(*at).ok_or("an expression is missing")?;
    *at += 1;
    match token {
        Token::Literal(value) => Ok(Expr::Literal(value.clone())),
        Token::Field(variable, path) => Ok(Expr::Field(variable.clone(), path.clone())),
        Token::Symbol("(") => {
            let inner = pipeline(tokens, at, depth + 1)?;
            if tokens.get(*at) != Some(&Token::Symbol(")")) {
                return Err("\"(\" without \")\"".to_owned());
            }
            *at += 1;
            match tokens.get(*at) {
                Some(Token::Below(path)) => {
                    *at += 1;
                    Ok(Expr::Below(Box::new(inner), path.clone()))
                }
                _ => Ok(inner),
            }
        }
        Token::Word(name) => Ok(Expr::Call(name.clone(), Vec::new())),
        token => Err(format!("unexpected {}", describe(token))),
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("{word:?}"),
        Token::Field(variable, path) => format!("\"{variable}.{}\"", path.join(".")),
        Token::Below(path) => format!("\".{}\"", path.join(".")),
        Token::Literal(value) => value.to_string(),
        Token::Symbol(symbol) => format!("{symbol:?}"),
    }
}
