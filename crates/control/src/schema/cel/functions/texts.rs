//! Texts: the language's own functions, Kubernetes' extensions, and patterns. Places are counted in
//! characters.

use super::super::types::{BOOL, BYTES, INT, LIST, MAP, TEXT};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Function, Gives, global, member, within, wrong};

/// What each part of a text that is split counts as: it takes more memory than its bytes.
const PART_STEPS: u64 = 8;

pub(super) const ALL: &[Function] = &[
    global("size", &[TEXT | BYTES | LIST | MAP], Gives::Is(INT), size),
    member("size", &[TEXT | BYTES | LIST | MAP], Gives::Is(INT), size),
    member("contains", &[TEXT, TEXT], Gives::Is(BOOL), |run, on| {
        two(run, on, |a, b| a.contains(b))
    }),
    member("startsWith", &[TEXT, TEXT], Gives::Is(BOOL), |run, on| {
        two(run, on, |a, b| a.starts_with(b))
    }),
    member("endsWith", &[TEXT, TEXT], Gives::Is(BOOL), |run, on| {
        two(run, on, |a, b| a.ends_with(b))
    }),
    global("matches", &[TEXT, TEXT], Gives::Is(BOOL), matches),
    member("matches", &[TEXT, TEXT], Gives::Is(BOOL), matches),
    member("find", &[TEXT, TEXT], Gives::Is(TEXT), |run, on| {
        let (text, pattern) = texts(on)?;
        run.spend_text(text.len() * 8)?;
        let found = run
            .regex(pattern)?
            .find(text)
            .map_or("", |found| found.as_str());
        Ok(Val::text(found))
    }),
    member("findAll", &[TEXT, TEXT], Gives::Texts, |run, on| {
        find_all(run, on, i64::MAX)
    }),
    member("findAll", &[TEXT, TEXT, INT], Gives::Texts, |run, on| {
        find_all(run, &on[..2], number(&on[2])?)
    }),
    member("charAt", &[TEXT, INT], Gives::Is(TEXT), |run, on| {
        let (text, at) = (text(&on[0])?, number(&on[1])?);
        run.spend_text(text.len())?;
        let at = usize::try_from(at).ok();
        let is_end = at == Some(text.chars().count());
        let found = at.and_then(|at| text.chars().nth(at)).map(String::from);
        let found = found.or_else(|| is_end.then(String::new));
        within(found.map(Val::text))
    }),
    member("indexOf", &[TEXT, TEXT], Gives::Is(INT), |run, on| {
        index(run, on, 0)
    }),
    member("indexOf", &[TEXT, TEXT, INT], Gives::Is(INT), |run, on| {
        index(run, &on[..2], number(&on[2])?)
    }),
    member("lastIndexOf", &[TEXT, TEXT], Gives::Is(INT), |run, on| {
        last_index(run, on, i64::MAX)
    }),
    member(
        "lastIndexOf",
        &[TEXT, TEXT, INT],
        Gives::Is(INT),
        |run, on| last_index(run, &on[..2], number(&on[2])?),
    ),
    member("lowerAscii", &[TEXT], Gives::Is(TEXT), |run, on| {
        changed(run, &on[0], |text| text.to_ascii_lowercase())
    }),
    member("upperAscii", &[TEXT], Gives::Is(TEXT), |run, on| {
        changed(run, &on[0], |text| text.to_ascii_uppercase())
    }),
    member("trim", &[TEXT], Gives::Is(TEXT), |run, on| {
        changed(run, &on[0], |text| text.trim().to_owned())
    }),
    member(
        "replace",
        &[TEXT, TEXT, TEXT],
        Gives::Is(TEXT),
        |run, on| replace(run, on, i64::MAX),
    ),
    member(
        "replace",
        &[TEXT, TEXT, TEXT, INT],
        Gives::Is(TEXT),
        |run, on| replace(run, on, number(&on[3])?),
    ),
    member("split", &[TEXT, TEXT], Gives::Texts, |run, on| {
        split(run, on, i64::MAX)
    }),
    member("split", &[TEXT, TEXT, INT], Gives::Texts, |run, on| {
        split(run, on, number(&on[2])?)
    }),
    member("substring", &[TEXT, INT], Gives::Is(TEXT), |run, on| {
        let end = text(&on[0])?.chars().count();
        part(run, &on[0], number(&on[1])?, end as i64)
    }),
    member(
        "substring",
        &[TEXT, INT, INT],
        Gives::Is(TEXT),
        |run, on| part(run, &on[0], number(&on[1])?, number(&on[2])?),
    ),
    member(
        "format",
        &[TEXT, LIST],
        Gives::Is(TEXT),
        super::format::format,
    ),
    member("join", &[LIST], Gives::Is(TEXT), |run, on| {
        join(run, &on[0], "")
    }),
    member("join", &[LIST, TEXT], Gives::Is(TEXT), |run, on| {
        join(run, &on[0], text(&on[1])?)
    }),
];

fn text<'v>(value: &'v Val<'_>) -> Result<&'v str, Fail> {
    match value {
        Val::Text(text) => Ok(text),
        _ => Err(Fail::new("no such overload")),
    }
}

fn texts<'v>(on: &'v [Val<'_>]) -> Result<(&'v str, &'v str), Fail> {
    Ok((text(&on[0])?, text(&on[1])?))
}

fn number(value: &Val<'_>) -> Result<i64, Fail> {
    match value {
        Val::Int(number) => Ok(*number),
        _ => Err(Fail::new("no such overload")),
    }
}

fn size<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let size = match &on[0] {
        Val::Text(text) => {
            run.spend_text(text.len())?;
            text.chars().count()
        }
        Val::Bytes(bytes) => bytes.len(),
        other => other.len(),
    };
    within(i64::try_from(size).ok().map(Val::Int))
}

fn two<'a>(run: &mut Run, on: &[Val<'a>], is: fn(&str, &str) -> bool) -> Result<Val<'a>, Fail> {
    let (a, b) = texts(on)?;
    run.spend_text(a.len() + b.len())?;
    Ok(Val::Bool(is(a, b)))
}

fn matches<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let (text, pattern) = texts(on)?;
    // A pattern is worth more than one look at each byte.
    run.spend_text(text.len() * 8)?;
    Ok(Val::Bool(run.regex(pattern)?.is_match(text)))
}

fn find_all<'a>(run: &mut Run, on: &[Val<'a>], most: i64) -> Result<Val<'a>, Fail> {
    let (text, pattern) = texts(on)?;
    // Each match that is found may have looked at the whole rest.
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let regex = run.regex(pattern)?;
    let mut found = Vec::new();
    let mut all = regex.find_iter(text);
    run.spend_text(text.len() * 8)?;
    while found.len() < most
        && let Some(one) = all.next()
    {
        run.spend_text(text.len() - one.start())?;
        found.push(Val::text(one.as_str()));
    }
    Ok(Val::List(found.into()))
}

fn index<'a>(run: &mut Run, on: &[Val<'a>], from: i64) -> Result<Val<'a>, Fail> {
    let (text, part) = texts(on)?;
    run.spend_text(text.len() + part.len())?;
    let from = byte(text, from)?;
    let found = text[from..].find(part).map(|at| from + at);
    Ok(Val::Int(place(text, found)))
}

fn last_index<'a>(run: &mut Run, on: &[Val<'a>], upto: i64) -> Result<Val<'a>, Fail> {
    let (text, part) = texts(on)?;
    run.spend_text(text.len() + part.len())?;
    let upto = match upto {
        i64::MAX => text.len(),
        upto => byte(text, upto)?,
    };
    let end = text.len().min(upto + part.len());
    // What is found may begin there, and goes on.
    let end = text.ceil_char_boundary(end);
    let found = text[..end].rfind(part).filter(|at| *at <= upto);
    Ok(Val::Int(place(text, found)))
}

/// Where a character begins.
fn byte(text: &str, at: i64) -> Result<usize, Fail> {
    let out = || Fail::new(format!("index out of range: {at}"));
    let at = usize::try_from(at).map_err(|_| out())?;
    let starts = text.char_indices().map(|(start, _)| start);
    starts.chain([text.len()]).nth(at).ok_or_else(out)
}

fn place(text: &str, found: Option<usize>) -> i64 {
    found.map_or(-1, |at| text[..at].chars().count() as i64)
}

fn changed<'a>(run: &mut Run, on: &Val<'a>, of: fn(&str) -> String) -> Result<Val<'a>, Fail> {
    let text = text(on)?;
    run.spend_text(text.len())?;
    Ok(Val::text(of(text)))
}

fn replace<'a>(run: &mut Run, on: &[Val<'a>], most: i64) -> Result<Val<'a>, Fail> {
    let (whole, old, new) = (text(&on[0])?, text(&on[1])?, text(&on[2])?);
    run.spend_text(whole.len())?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // Known before it is made: it may be far larger than what is replaced.
    let count = whole.matches(old).count().min(most);
    run.spend_text(whole.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(Val::text(whole.replacen(old, new, count)))
}

fn split<'a>(run: &mut Run, on: &[Val<'a>], most: i64) -> Result<Val<'a>, Fail> {
    let (whole, by) = texts(on)?;
    run.spend_text(whole.len())?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(Val::List([].into()));
    }
    let own = |part: &str| Val::text(part);
    let parts: Vec<Val<'a>> = if by.is_empty() {
        run.spend(whole.len() as u64 * PART_STEPS)?;
        let starts: Vec<usize> = whole.char_indices().map(|(start, _)| start).collect();
        let starts = &starts[..starts.len().min(most)];
        let ends = starts.iter().skip(1).copied().chain([whole.len()]);
        let parts = starts.iter().zip(ends);
        parts.map(|(start, end)| own(&whole[*start..end])).collect()
    } else {
        run.spend(whole.matches(by).count().min(most) as u64 * PART_STEPS)?;
        whole.splitn(most, by).map(own).collect()
    };
    Ok(Val::List(parts.into()))
}

fn part<'a>(run: &mut Run, on: &Val<'a>, from: i64, to: i64) -> Result<Val<'a>, Fail> {
    let text = text(on)?;
    run.spend_text(text.len())?;
    let (start, end) = (byte(text, from)?, byte(text, to)?);
    let part = text.get(start..end);
    let part = part.ok_or_else(|| Fail::new(format!("index out of range: {from}, {to}")))?;
    Ok(Val::text(part))
}

fn join<'a>(run: &mut Run, on: &Val<'a>, between: &str) -> Result<Val<'a>, Fail> {
    let mut made = String::new();
    for (index, part) in on.elements(run)?.iter().enumerate() {
        let part = text(part)?;
        run.spend_text(part.len() + between.len())?;
        if index > 0 {
            made.push_str(between);
        }
        made.push_str(part);
    }
    match on.bits() {
        LIST => Ok(Val::text(made)),
        _ => wrong(),
    }
}
