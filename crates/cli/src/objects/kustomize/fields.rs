//! Fields by paths as replacements write them: `spec.containers.[name=web].image`.

use serde_json::{Map, Value};

/// Steps of a path.
const STEPS_MAX: usize = 100;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field, or an element by its number.
    Name(String),
    /// Elements with a field that has a value.
    Having(String, String),
    /// All elements.
    All,
}

/// Reads a path. Dots within brackets, or behind a backslash, are of a name.
pub fn parse(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let (mut word, mut is_within) = (String::new(), false);
    let mut letters = path.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'.') => word.extend(letters.next()),
            '[' => {
                is_within = true;
                word.push(letter);
            }
            ']' => {
                is_within = false;
                word.push(letter);
            }
            '.' if !is_within => steps.push(step(&std::mem::take(&mut word))?),
            letter => word.push(letter),
        }
    }
    steps.push(step(&word)?);
    match steps.len() > STEPS_MAX {
        true => Err(format!("it has more than {STEPS_MAX} steps")),
        false => Ok(steps),
    }
}

fn step(word: &str) -> Result<Step, String> {
    let within = word
        .strip_prefix('[')
        .and_then(|word| word.strip_suffix(']'));
    match (word, within) {
        ("", _) | (_, Some("")) => Err("a step between its dots is empty".to_owned()),
        ("*", _) => Ok(Step::All),
        (_, Some(within)) => Ok(match within.split_once('=') {
            Some((name, value)) => Step::Having(name.to_owned(), value.to_owned()),
            None => Step::Name(within.to_owned()),
        }),
        (word, None) => Ok(Step::Name(word.to_owned())),
    }
}

/// Calls `each` with all that is at `steps`; `create` makes what is missing.
pub fn visit(value: &mut Value, steps: &[Step], create: bool, each: &mut dyn FnMut(&mut Value)) {
    let Some((step, rest)) = steps.split_first() else {
        return each(value);
    };
    if create && value.is_null() {
        *value = match step {
            Step::Name(_) => Map::new().into(),
            Step::Having(..) | Step::All => Vec::<Value>::new().into(),
        };
    }
    match (step, value) {
        (Step::Name(name), Value::Object(map)) => {
            if create && !map.contains_key(name) {
                map.insert(name.clone(), Value::Null);
            }
            if let Some(below) = map.get_mut(name) {
                visit(below, rest, create, each);
            }
        }
        (Step::Name(name), Value::Array(list)) => {
            let at = name.parse::<usize>().ok();
            if let Some(below) = at.and_then(|at| list.get_mut(at)) {
                visit(below, rest, create, each);
            }
        }
        (Step::Having(name, wanted), Value::Array(list)) => {
            let has = |one: &Value| match one.get(name) {
                Some(Value::String(text)) => text == wanted,
                Some(Value::Array(_) | Value::Object(_)) | None => false,
                Some(plain) => format!("{plain}") == **wanted,
            };
            if create && !list.iter().any(has) {
                let mut new = Map::new();
                new.insert(name.clone(), wanted.as_str().into());
                list.push(new.into());
            }
            for one in list.iter_mut().filter(|one| has(one)) {
                visit(one, rest, create, each);
            }
        }
        (Step::All, Value::Array(list)) => {
            for one in list {
                visit(one, rest, create, each);
            }
        }
        (Step::All, Value::Object(map)) => {
            for (_, one) in map {
                visit(one, rest, create, each);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let name = |text: &str| Step::Name(text.to_owned());
        let having = Step::Having("a.b".to_owned(), "c=d".to_owned());
        let read = parse(r"x.y\.z.[a.b=c=d].[e.f/g].*.0").ok();
        let wanted = vec![
            name("x"),
            name("y.z"),
            having,
            name("e.f/g"),
            Step::All,
            name("0"),
        ];
        assert_eq!(read, Some(wanted));
        for wrong in ["", "a..b", ".a", "a.", "[]", &"a.".repeat(200)] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
