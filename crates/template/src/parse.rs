//! From tokens to nodes. Owns which functions each dialect has, and the bound on nesting.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lex::{Piece, Token, What, split};
use super::{Command, Delimiters, Dialect, Expr, Fault, Node, Operand, Pipe, References, files};

/// Go's functions.
const COMMON: &[&str] = &[
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery",
];
const DOCKERS: &[&str] = &["join", "json", "lower", "split", "upper"];
const KUBECTLS: &[&str] = &["base64decode", "exists"];
/// Deepest nesting of blocks and parentheses.
const DEPTH_MAX: usize = 32;
/// Variables that are known at once: each use looks through them.
const VARIABLES_MAX: usize = 256;

/// What a source defines: itself under no name, and templates under theirs.
pub type Defined = BTreeMap<String, Vec<Node>>;

/// Parses a template.
pub fn parse(
    source: &str,
    dialect: Dialect,
    within: Delimiters<'_>,
) -> Result<(Defined, References), Fault> {
    let mut parser = Parser {
        pieces: split(source, within)?.into_iter(),
        dialect,
        defined: Defined::new(),
        variables: vec!["$".to_owned()],
        ranges: 0,
        end: source.len(),
        references: References::default(),
    };
    let (nodes, end) = parser.block(0)?;
    if let Some((word, _, at)) = end {
        return fault(at, format!("unexpected {word:?}"));
    }
    parser.defined.insert(String::new(), nodes);
    Ok((parser.defined, parser.references))
}

fn fault<T>(at: usize, why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        at,
        why: why.into(),
    })
}

/// `end` or `else` with what follows it, and where it is.
type End = Option<(String, Vec<Token>, usize)>;

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    dialect: Dialect,
    defined: Defined,
    variables: Vec<String>,
    ranges: usize,
    end: usize,
    references: References,
}

impl Parser {
    /// Nodes until the source or the block ends.
    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, End), Fault> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, at) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens, at) => (tokens, at),
            };
            if depth > DEPTH_MAX {
                return fault(at, format!("blocks are nested deeper than {DEPTH_MAX}"));
            }
            let keyword = match tokens.first().map(|token| &token.what) {
                Some(What::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match keyword.as_str() {
                "end" | "else" => return Ok((nodes, Some((keyword, tokens, at)))),
                _ => self.action(&keyword, &tokens, at, depth, &mut nodes)?,
            }
        }
        Ok((nodes, None))
    }

    fn action(
        &mut self,
        keyword: &str,
        tokens: &[Token],
        at: usize,
        depth: usize,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Fault> {
        match keyword {
            "if" | "with" | "range" => {
                nodes.push(self.branch(keyword, &tokens[1..], at, depth)?);
            }
            "break" | "continue" => {
                if self.ranges == 0 || tokens.len() > 1 {
                    return fault(at, format!("unexpected {keyword:?}"));
                }
                nodes.push(match keyword {
                    "break" => Node::Break,
                    _ => Node::Continue,
                });
            }
            "define" | "block" => {
                if keyword == "define" && depth > 0 {
                    return fault(at, "\"define\" inside of a block");
                }
                let name = name(keyword, tokens, at)?;
                let pipe = match keyword {
                    "block" => Some(self.pipe(&tokens[2..], at)?),
                    _ if tokens.len() > 2 => return unexpected(&tokens[2]),
                    _ => None,
                };
                // A template knows neither the variables nor the ranges around it.
                let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
                let ranges = std::mem::take(&mut self.ranges);
                let (body, end) = self.block(depth + 1)?;
                (self.variables, self.ranges) = (outside, ranges);
                is_end(keyword, end, at)?;
                self.defined.insert(name.clone(), body);
                if pipe.is_some() {
                    nodes.push(Node::Template { name, pipe, at });
                }
            }
            "template" => {
                let name = name(keyword, tokens, at)?;
                let pipe = match &tokens[2..] {
                    [] => None,
                    rest => Some(self.pipe(rest, at)?),
                };
                nodes.push(Node::Template { name, pipe, at });
            }
            _ => nodes.push(Node::Print(self.pipe(tokens, at)?)),
        }
        Ok(())
    }

    fn branch(
        &mut self,
        keyword: &str,
        tokens: &[Token],
        at: usize,
        depth: usize,
    ) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            return fault(at, format!("blocks are nested deeper than {DEPTH_MAX}"));
        }
        let known = self.variables.len();
        let is_range = keyword == "range";
        let pipe = self.declaring(tokens, at, is_range)?;
        self.ranges += usize::from(is_range);
        let (body, mut end) = self.block(depth + 1)?;
        self.ranges -= usize::from(is_range);
        let mut otherwise = Vec::new();
        if let Some((word, tokens, at)) = &end
            && word == "else"
        {
            match tokens.get(1).map(|token| &token.what) {
                None => (otherwise, end) = self.block(depth + 1)?,
                // The end of the inner one is that of all.
                Some(What::Word(word)) if word == keyword && !is_range => {
                    let inner = self.branch(keyword, &tokens[2..], *at, depth + 1)?;
                    (otherwise, end) = (vec![inner], Some(("end".to_owned(), Vec::new(), *at)));
                }
                Some(_) => return unexpected(&tokens[1]),
            }
        }
        is_end(keyword, end, at)?;
        self.variables.truncate(known);
        Ok(match keyword {
            "range" => Node::Range {
                pipe,
                body,
                otherwise,
            },
            keyword => Node::If {
                pipe,
                is_dot: keyword == "with",
                body,
                otherwise,
            },
        })
    }

    fn pipe(&mut self, tokens: &[Token], at: usize) -> Result<Pipe, Fault> {
        self.declaring(tokens, at, false)
    }

    /// `$x := commands`, `$k, $v := commands`, `$x = commands`, `commands`.
    fn declaring(&mut self, tokens: &[Token], at: usize, is_range: bool) -> Result<Pipe, Fault> {
        let what: Vec<&What> = tokens.iter().take(4).map(|token| &token.what).collect();
        let (names, symbol, rest) = match what[..] {
            [
                What::Variable(key),
                What::Symbol(","),
                What::Variable(value),
                What::Symbol(symbol @ (":=" | "=")),
            ] if is_range => (vec![key.clone(), value.clone()], *symbol, &tokens[4..]),
            [
                What::Variable(name),
                What::Symbol(symbol @ (":=" | "=")),
                ..,
            ] => (vec![name.clone()], *symbol, &tokens[2..]),
            _ => (Vec::new(), "", tokens),
        };
        let mut cursor = Cursor {
            tokens: rest,
            next: 0,
            end: rest.last().map_or(self.end.min(at + 2), |token| token.at),
        };
        let commands = self.commands(&mut cursor, 0)?;
        if let Some(token) = cursor.peek() {
            return unexpected(token);
        }
        if symbol == ":=" {
            if self.variables.len() + names.len() > VARIABLES_MAX {
                return fault(at, format!("more than {VARIABLES_MAX} variables"));
            }
            self.variables.extend(names.iter().cloned());
        } else {
            for name in &names {
                self.known(name, at)?;
            }
        }
        Ok(Pipe {
            names,
            declares: symbol == ":=",
            commands,
            at,
        })
    }

    fn known(&self, name: &String, at: usize) -> Result<(), Fault> {
        match self.variables.contains(name) {
            true => Ok(()),
            false => fault(at, format!("undefined variable {name:?}")),
        }
    }

    /// Commands joined by `|`: each gets the one before as its last argument.
    fn commands(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Vec<Command>, Fault> {
        let mut commands = Vec::new();
        loop {
            let at = cursor.at();
            if depth > DEPTH_MAX {
                return fault(
                    at,
                    format!("parentheses are nested deeper than {DEPTH_MAX}"),
                );
            }
            let mut words: Vec<Expr> = Vec::new();
            while !matches!(
                cursor.peek().map(|token| &token.what),
                None | Some(What::Symbol("|" | ")"))
            ) {
                words.push(self.operand(cursor, depth)?);
            }
            match words.first().map(|word| &word.what) {
                None => return fault(at, "an expression is missing"),
                Some(Operand::Nil) if words.len() == 1 => {
                    return fault(at, "nil is not a command");
                }
                Some(Operand::Literal(_) | Operand::Nil) if !commands.is_empty() => {
                    return fault(at, "after \"|\" comes a function");
                }
                Some(_) => {
                    if self.dialect == Dialect::File {
                        files::refer(&words, &mut self.references)?;
                    }
                    commands.push(Command { words });
                }
            }
            match cursor.peek().map(|token| &token.what) {
                Some(What::Symbol("|")) => cursor.next += 1,
                _ => return Ok(commands),
            }
        }
    }

    /// Whether there is such a function.
    fn function(&self, word: &str, at: usize) -> Result<(), Fault> {
        let own = match self.dialect {
            Dialect::Docker => DOCKERS,
            Dialect::Kubectl { .. } => KUBECTLS,
            Dialect::File => files::FUNCTIONS,
        };
        if COMMON.contains(&word) || own.contains(&word) {
            return Ok(());
        }
        let why = match self.dialect {
            Dialect::File => files::absent(word),
            _ => "",
        };
        fault(at, format!("function {word:?} not defined{why}"))
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Expr, Fault> {
        let at = cursor.at();
        let Some(token) = cursor.peek() else {
            return fault(at, "an expression is missing");
        };
        cursor.next += 1;
        let mut what = match &token.what {
            What::Literal(value) => Operand::Literal(value.clone()),
            What::Dot => Operand::Dot,
            What::Field(name) => Operand::Field(vec![name.clone()]),
            What::Variable(name) => {
                self.known(name, at)?;
                Operand::Variable(name.clone(), Vec::new())
            }
            What::Word(word) if word == "nil" => Operand::Nil,
            What::Word(word) => {
                self.function(word, at)?;
                Operand::Function(word.clone())
            }
            What::Symbol("(") => {
                let commands = self.commands(cursor, depth + 1)?;
                match cursor.peek().map(|token| &token.what) {
                    Some(What::Symbol(")")) => cursor.next += 1,
                    _ => return fault(at, "\"(\" without \")\""),
                }
                Operand::Pipe(Pipe {
                    names: Vec::new(),
                    declares: false,
                    commands,
                    at,
                })
            }
            What::Symbol(_) => return unexpected(token),
        };
        while let Some(Token {
            is_apart: false,
            what: What::Field(name),
            ..
        }) = cursor.peek()
        {
            cursor.next += 1;
            what = match what {
                Operand::Field(mut path) => {
                    path.push(name.clone());
                    Operand::Field(path)
                }
                Operand::Variable(variable, mut path) => {
                    path.push(name.clone());
                    Operand::Variable(variable, path)
                }
                Operand::Chain(inner, mut path) => {
                    path.push(name.clone());
                    Operand::Chain(inner, path)
                }
                Operand::Literal(_) | Operand::Nil => {
                    return fault(at, format!("a literal has no field {name:?}"));
                }
                other => Operand::Chain(Box::new(Expr { at, what: other }), vec![name.clone()]),
            };
        }
        Ok(Expr { at, what })
    }
}

struct Cursor<'a> {
    tokens: &'a [Token],
    next: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn at(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }
}

fn is_end(keyword: &str, end: End, at: usize) -> Result<(), Fault> {
    match end {
        Some((word, tokens, _)) if word == "end" && tokens.len() <= 1 => Ok(()),
        Some((word, _, at)) => fault(at, format!("unexpected {word:?}")),
        None => fault(at, format!("{keyword:?} without \"end\"")),
    }
}

fn name(keyword: &str, tokens: &[Token], at: usize) -> Result<String, Fault> {
    match tokens.get(1).map(|token| &token.what) {
        Some(What::Literal(Value::String(name))) => Ok(name.clone()),
        _ => fault(at, format!("{keyword:?} needs a name in quotes")),
    }
}

fn unexpected<T>(token: &Token) -> Result<T, Fault> {
    let text = match &token.what {
        What::Word(word) | What::Variable(word) => format!("{word:?}"),
        What::Dot => "\".\"".to_owned(),
        What::Field(name) => format!("\".{name}\""),
        What::Literal(value) => value.to_string(),
        What::Symbol(symbol) => format!("{symbol:?}"),
    };
    fault(token.at, format!("unexpected {text}"))
}
