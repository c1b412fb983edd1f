//! Bootstrap tokens: `<id>.<secret>`, good for a certificate, a few times and for a while.
//!
//! Owns: making, reading, checking and spending them.
//! Never: keeps them. The caller commits the record, and for a spent one on the condition that
//! nobody else has committed in between; the secret is stored nowhere.
//!
//! ```text
//!   create ─► Token (shown once) + Record (stored under its id)
//!   text ─► Token ─► id finds the Record ─► spend ─► Record with one use less, committed ─► grant
//! ```

pub mod record;

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use weft_stdx::id::{hex, letters_of};
use zeroize::Zeroizing;

use crate::subject::{NameError, Subject};
use record::{Buys, Record};

const ID_LENGTH: usize = 6;
const SECRET_LENGTH: usize = 16;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// How long a token is good for unless somebody says otherwise: an hour.
pub const TOKEN_LIFE_S: i64 = 3600;
/// The longest it can be: thirty days.
pub const LONGEST_TOKEN_LIFE_S: i64 = 30 * 86_400;
/// Most uses of one token.
pub const MOST_USES: u32 = 10_000;

/// A token as it is shown once and typed in once.
#[derive(Clone)]
pub struct Token {
    id: String,
    secret: Zeroizing<String>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}.…)", self.id)
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// It would never be good, or for too long.
    #[error("a token good for {0} seconds: 1 to {LONGEST_TOKEN_LIFE_S} are possible")]
    Life(i64),
    /// It could never be used, or by everybody.
    #[error("a token with {0} uses: 1 to {MOST_USES} are possible")]
    Uses(u32),
    /// What it would buy cannot be had.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Why a token buys nothing. What is told to a stranger is the same for all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not the form of one.
    #[error("this is no token: one looks like abcdef.0123456789abcdef")]
    Malformed,
    /// The id is of another record.
    #[error("the token's id is not the record's")]
    OtherRecord,
    /// Right id, wrong secret.
    #[error("the token's secret is wrong")]
    WrongSecret,
    /// Its time is over.
    #[error("the token has expired: have a new one made with `weft token create`")]
    Expired,
    /// It was used as often as it can be.
    #[error("the token is used up: have a new one made with `weft token create`")]
    Spent,
    /// It was made for something else.
    #[error("the token is for {buys}, not for {asked}")]
    OtherPurpose {
        /// What it is for.
        buys: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// A newer weft made it.
    #[error("the token's record has version {0}, which this weft does not read")]
    Version(u32),
}

impl Token {
    /// Reads what somebody typed or sent.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(text: &str) -> Result<Token, TokenError> {
        let (id, secret) = text.split_once('.').ok_or(TokenError::Malformed)?;
        let good = |part: &str, length| {
            part.len() == length && part.bytes().all(|byte| ALPHABET.contains(&byte))
        };
        if !good(id, ID_LENGTH) || !good(secret, SECRET_LENGTH) {
            return Err(TokenError::Malformed);
        }
        Ok(Token {
            id: id.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
        })
    }

    /// What its record is found by. It is no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole token, to be shown to whoever asked for it, and to nobody else.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.id, self.secret.as_str()))
    }

    /// A hash is enough: 16 of 36 letters are 82 random bits.
    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"weft bootstrap token\0");
        hash.update(self.id.as_bytes());
        hash.update(b".");
        hash.update(self.secret.as_bytes());
        hex(&hash.finalize())
    }
}

/// A new token and what is to be stored under its id.
///
/// # Errors
/// See [`CreateError`].
pub fn create(
    buys: Buys,
    life_s: i64,
    uses: u32,
    now_s: i64,
) -> Result<(Token, Record), CreateError> {
    if !(1..=LONGEST_TOKEN_LIFE_S).contains(&life_s) {
        return Err(CreateError::Life(life_s));
    }
    if !(1..=MOST_USES).contains(&uses) {
        return Err(CreateError::Uses(uses));
    }
    match &buys {
        Buys::User { user, groups } => Subject::user(user, groups, 0).map(drop)?,
        Buys::Node { name: Some(name) } => Subject::node(name, 0).map(drop)?,
        Buys::Node { name: None } => {}
    }
    let token = Token {
        id: letters_of(ALPHABET, ID_LENGTH),
        secret: Zeroizing::new(letters_of(ALPHABET, SECRET_LENGTH)),
    };
    let record = Record {
        version: record::VERSION,
        id: token.id.clone(),
        secret_sha256: token.hash(),
        buys,
        created_s: now_s,
        expires_s: now_s.saturating_add(life_s),
        uses_left: uses,
    };
    Ok((token, record))
}

/// Whether `token` is the one `record` was made for, and still good.
///
/// # Errors
/// See [`TokenError`]. The secret is looked at first: who does not have it learns nothing else.
pub fn check(record: &Record, token: &Token, now_s: i64) -> Result<(), TokenError> {
    if record.version != record::VERSION {
        return Err(TokenError::Version(record.version));
    }
    if record.id != token.id {
        return Err(TokenError::OtherRecord);
    }
    let (expected, shown) = (record.secret_sha256.as_bytes(), token.hash());
    if !bool::from(expected.ct_eq(shown.as_bytes())) {
        return Err(TokenError::WrongSecret);
    }
    if now_s >= record.expires_s {
        return Err(TokenError::Expired);
    }
    if record.uses_left == 0 {
        return Err(TokenError::Spent);
    }
    Ok(())
}

/// What somebody wants for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// A user's certificate; the token says whose.
    User,
    /// A certificate for the node of this name.
    Node(&'a str),
}

/// The record with one use less, if `token` buys what is `asked`. Give nothing for it before this
/// record has replaced the one that was read.
///
/// # Errors
/// As [`check`], and [`TokenError::OtherPurpose`].
pub fn spend(
    record: &Record,
    token: &Token,
    asked: Asked<'_>,
    now_s: i64,
) -> Result<Record, TokenError> {
    check(record, token, now_s)?;
    let fits = match (&record.buys, asked) {
        (Buys::User { .. }, Asked::User) => true,
        (Buys::Node { name }, Asked::Node(node)) => name.as_deref().is_none_or(|name| name == node),
        _ => false,
    };
    if !fits {
        let asked = match asked {
            Asked::User => "a user",
            Asked::Node(_) => "this node",
        };
        let buys = record.buys.name();
        return Err(TokenError::OtherPurpose { buys, asked });
    }
    let mut spent = record.clone();
    spent.uses_left -= 1;
    Ok(spent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const NOW: i64 = 1_800_000_000;

    fn user() -> Buys {
        Buys::User {
            user: "alice".into(),
            groups: vec!["dev".into()],
        }
    }

    fn again(token: &Token) -> Token {
        Token::parse(&token.reveal()).unwrap()
    }

    #[test]
    fn the_id_finds_the_record_and_the_secret_authorises() {
        let (token, record) = create(user(), 60, 1, NOW).unwrap();
        let (other, _) = create(user(), 60, 1, NOW).unwrap();
        // As a store does it: by id, through the stored form.
        let stored = serde_json::to_string(&record).unwrap();
        let store = BTreeMap::from([(record.id.clone(), stored)]);
        let shown = again(&token);
        let found: Record = serde_json::from_str(&store[shown.id()]).unwrap();
        assert_eq!(found, record);
        assert_eq!(check(&found, &shown, NOW), Ok(()));
        // The id with another secret, and the secret with another id.
        let guess = Token::parse(&format!("{}.{}", token.id, other.secret.as_str())).unwrap();
        assert_eq!(check(&found, &guess, NOW), Err(TokenError::WrongSecret));
        let moved = Token::parse(&format!("{}.{}", other.id, token.secret.as_str())).unwrap();
        assert!(!store.contains_key(moved.id()));
        assert_eq!(check(&found, &moved, NOW), Err(TokenError::OtherRecord));
    }

    #[test]
    fn the_secret_is_stored_and_shown_nowhere() {
        let (token, record) = create(user(), 60, 1, NOW).unwrap();
        let stored = serde_json::to_string(&record).unwrap();
        let debug = format!("{token:?} {record:?}");
        for text in [stored, debug] {
            assert!(!text.contains(token.secret.as_str()), "{text}");
        }
    }

    #[test]
    fn a_token_is_used_up() {
        let (token, record) = create(user(), 60, 2, NOW).unwrap();
        let once = spend(&record, &token, Asked::User, NOW).unwrap();
        let twice = spend(&once, &token, Asked::User, NOW).unwrap();
        assert_eq!((once.uses_left, twice.uses_left), (1, 0));
        let replayed = spend(&twice, &token, Asked::User, NOW);
        assert_eq!(replayed, Err(TokenError::Spent));
    }

    #[test]
    fn a_token_expires() {
        let (token, record) = create(user(), 60, 1, NOW).unwrap();
        assert_eq!(check(&record, &token, NOW + 59), Ok(()));
        assert_eq!(check(&record, &token, NOW + 60), Err(TokenError::Expired));
        // Who does not have the secret is not told that it has.
        let (mut guess, _) = create(user(), 60, 1, NOW).unwrap();
        guess.id.clone_from(&token.id);
        let refused = check(&record, &guess, NOW + 60);
        assert_eq!(refused, Err(TokenError::WrongSecret));
    }

    #[test]
    fn it_buys_what_it_was_made_for() {
        let spend_for = |buys: Buys, asked| {
            let (token, record) = create(buys, 60, 1, NOW).unwrap();
            spend(&record, &token, asked, NOW).map(|record| record.uses_left)
        };
        let node = |name: Option<&str>| Buys::Node {
            name: name.map(str::to_owned),
        };
        assert_eq!(spend_for(user(), Asked::User), Ok(0));
        assert_eq!(spend_for(node(None), Asked::Node("n1")), Ok(0));
        assert_eq!(spend_for(node(Some("n1")), Asked::Node("n1")), Ok(0));
        for (buys, asked) in [
            (user(), Asked::Node("n1")),
            (node(None), Asked::User),
            (node(Some("n2")), Asked::Node("n1")),
        ] {
            let refused = spend_for(buys, asked);
            let other = matches!(refused, Err(TokenError::OtherPurpose { .. }));
            assert!(other, "{refused:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [
            "",
            ".",
            "abcdef",
            "abcdef.0123456789abcde",
            "abcdef.0123456789abcdefg",
            "abcde.0123456789abcdef",
            "ABCDEF.0123456789abcdef",
            "abcdef.0123456789abcde\n",
            " abcdef.0123456789abcdef",
            "abcdef.01234567.9abcdef",
            "abcdéf.0123456789abcdef",
        ] {
            let refused = Token::parse(text).map(|token| token.id);
            assert_eq!(refused, Err(TokenError::Malformed), "{text}");
        }
        assert!(Token::parse("abcdef.0123456789abcdef").is_ok());
    }

    #[test]
    fn what_is_made_has_bounds_and_is_random() {
        let made = |life, uses| create(user(), life, uses, NOW).map(drop);
        assert_eq!(made(0, 1), Err(CreateError::Life(0)));
        let long = LONGEST_TOKEN_LIFE_S + 1;
        assert_eq!(made(long, 1), Err(CreateError::Life(long)));
        assert_eq!(made(60, 0), Err(CreateError::Uses(0)));
        assert_eq!(made(60, 10_001), Err(CreateError::Uses(10_001)));
        let node = Buys::Node {
            name: Some("../x".into()),
        };
        assert!(matches!(
            create(node, 60, 1, NOW),
            Err(CreateError::Name(_))
        ));
        let all: String = (0..200).map(|_| letters_of(ALPHABET, 32)).collect();
        for letter in ALPHABET {
            assert!(all.contains(char::from(*letter)));
        }
    }

    #[test]
    fn a_record_of_a_newer_weft_is_refused() {
        let (token, mut record) = create(user(), 60, 1, NOW).unwrap();
        record.version = 2;
        assert_eq!(check(&record, &token, NOW), Err(TokenError::Version(2)));
    }
}
