//! Why something was not done, in Kubernetes' words (`Status`).

use std::fmt;

/// Kinds of failure, with their HTTP codes (apimachinery, meta/v1, `StatusReason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 406
    NotAcceptable,
    /// 409
    AlreadyExists,
    /// 409
    Conflict,
    /// 410: what was asked about is no longer kept.
    Expired,
    /// 413
    RequestEntityTooLarge,
    /// 415
    UnsupportedMediaType,
    /// 422
    Invalid,
    /// 429
    TooManyRequests,
    /// 500
    InternalError,
    /// 503
    ServiceUnavailable,
    /// 504
    Timeout,
}

impl Reason {
    /// Its HTTP code.
    pub fn code(self) -> u16 {
        match self {
            Reason::BadRequest => 400,
            Reason::Unauthorized => 401,
            Reason::Forbidden => 403,
            Reason::NotFound => 404,
            Reason::MethodNotAllowed => 405,
            Reason::NotAcceptable => 406,
            Reason::AlreadyExists | Reason::Conflict => 409,
            Reason::Expired => 410,
            Reason::RequestEntityTooLarge => 413,
            Reason::UnsupportedMediaType => 415,
            Reason::Invalid => 422,
            Reason::TooManyRequests => 429,
            Reason::InternalError => 500,
            Reason::ServiceUnavailable => 503,
            Reason::Timeout => 504,
        }
    }

    /// Its name on the wire.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

const TYPE_INVALID: &str = "FieldValueTypeInvalid";

/// One thing that is wrong with an object (`StatusCause`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid` and its kin.
    pub reason: &'static str,
    /// Where: `spec.containers[0].name`.
    pub field: String,
    /// What.
    pub message: String,
}

impl Cause {
    fn new(reason: &'static str, field: impl Into<String>, message: String) -> Cause {
        Cause {
            reason,
            field: field.into(),
            message,
        }
    }

    /// The value cannot be meant.
    pub fn invalid(field: impl Into<String>, value: impl fmt::Debug, why: &str) -> Cause {
        let message = format!("Invalid value: {value:?}: {why}");
        Cause::new("FieldValueInvalid", field, message)
    }

    /// The value is missing.
    pub fn required(field: impl Into<String>, why: &str) -> Cause {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        Cause::new("FieldValueRequired", field, message)
    }

    /// It may not be set, or not be changed.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Cause {
        Cause::new("FieldValueForbidden", field, format!("Forbidden: {why}"))
    }

    /// The value is of the wrong type.
    pub fn type_invalid(field: impl Into<String>, found: &str, wanted: &str) -> Cause {
        let message = format!("Invalid value: {found}: must be of type {wanted}");
        Cause::new(TYPE_INVALID, field, message)
    }

    /// It stands there twice.
    pub fn duplicate(field: impl Into<String>, value: impl fmt::Debug) -> Cause {
        let message = format!("Duplicate value: {value:?}");
        Cause::new("FieldValueDuplicate", field, message)
    }

    /// A list has more elements than it may.
    pub fn too_many(field: impl Into<String>, found: usize, most: usize) -> Cause {
        let message = format!("Too many: {found}: must have at most {most} items");
        Cause::new("FieldValueTooMany", field, message)
    }

    /// Whether the value is of the wrong type.
    pub fn is_wrong_type(&self) -> bool {
        self.reason == TYPE_INVALID
    }

    /// It is none of those there are.
    pub fn unsupported(field: impl Into<String>, value: &str, known: &[&str]) -> Cause {
        let known: Vec<String> = known.iter().map(|one| format!("{one:?}")).collect();
        let known = known.join(", ");
        let message = format!("Unsupported value: {value:?}: supported values: {known}");
        Cause::new("FieldValueNotSupported", field, message)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// All of them, as a message has them.
pub(crate) fn told(causes: &[Cause]) -> String {
    match causes {
        [one] => one.to_string(),
        all => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("[{}]", all.join(", "))
        }
    }
}

/// A failure, and of what.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What kind.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// Of which object.
    pub about: Box<About>,
}

/// What a failure is about; all empty, if it is about no object.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The object's name.
    pub name: String,
    /// Its API group.
    pub group: String,
    /// Its kind, or resource.
    pub kind: String,
    /// All that is wrong with it.
    pub causes: Vec<Cause>,
}

impl Failure {
    /// One that is about no object.
    pub fn new(reason: Reason, message: impl Into<String>) -> Failure {
        Failure {
            reason,
            message: message.into(),
            about: Box::default(),
        }
    }

    /// The request cannot be meant.
    pub fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(Reason::BadRequest, message)
    }

    /// The body of a request is none of `kind`, of which this is the `version`: upstream's words,
    /// with every mistake instead of the first.
    pub fn undecodable(kind: &str, version: &str, causes: Vec<Cause>) -> Failure {
        let version = version.rsplit('/').next().unwrap_or(version);
        let message = format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {}",
            told(&causes)
        );
        let mut failure = Failure::bad_request(message);
        failure.about.causes = causes;
        failure
    }

    /// It is our own fault.
    pub fn internal(error: impl fmt::Display) -> Failure {
        Failure::new(
            Reason::InternalError,
            format!("Internal error occurred: {error}"),
        )
    }

    /// Whether nothing can be made any more because the namespace goes.
    pub(crate) fn is_of_ending(&self) -> bool {
        let mut causes = self.about.causes.iter();
        causes.any(|cause| cause.reason == "NamespaceTerminating")
    }

    /// About the object `name` of `group` and `kind`.
    #[must_use]
    pub fn about(mut self, group: &str, kind: &str, name: &str) -> Failure {
        self.about.group = group.to_owned();
        self.about.kind = kind.to_owned();
        self.about.name = name.to_owned();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
