//! Reviews: who somebody is and what they may do, asked and answered in one request; and bindings, which
//! are sent likewise.
//!
//! Never: stored; the answer is made elsewhere.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenReview};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use k8s_openapi::api::core::v1::Binding;
use k8s_openapi::api::policy::v1::Eviction;

use super::document;
use crate::kind::{Document, Kind};

const WHO: &str = "authentication.k8s.io";
const MAY: &str = "authorization.k8s.io";

pub(super) fn kinds() -> Vec<Kind> {
    let local = review(
        MAY,
        [
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
            "localsubjectaccessreview",
        ],
        document::<LocalSubjectAccessReview>(),
    );
    vec![
        Kind {
            is_namespaced: true,
            ..binding()
        },
        review(
            WHO,
            [
                "SelfSubjectReview",
                "selfsubjectreviews",
                "selfsubjectreview",
            ],
            document::<SelfSubjectReview>(),
        ),
        review(
            WHO,
            ["TokenReview", "tokenreviews", "tokenreview"],
            document::<TokenReview>(),
        ),
        Kind {
            is_namespaced: true,
            ..local
        },
        review(
            MAY,
            [
                "SelfSubjectAccessReview",
                "selfsubjectaccessreviews",
                "selfsubjectaccessreview",
            ],
            document::<SelfSubjectAccessReview>(),
        ),
        review(
            MAY,
            [
                "SelfSubjectRulesReview",
                "selfsubjectrulesreviews",
                "selfsubjectrulesreview",
            ],
            document::<SelfSubjectRulesReview>(),
        ),
        review(
            MAY,
            [
                "SubjectAccessReview",
                "subjectaccessreviews",
                "subjectaccessreview",
            ],
            document::<SubjectAccessReview>(),
        ),
    ]
}

/// What is sent to `serviceaccounts/NAME/token`. It is no kind of its own place.
pub fn token_request() -> Kind {
    review(
        WHO,
        ["TokenRequest", "tokenrequests", "tokenrequest"],
        document::<TokenRequest>(),
    )
}

/// What is sent to `pods/NAME/eviction`, in this version.
pub fn eviction(version: &str) -> Kind {
    let eviction = review(
        "policy",
        ["Eviction", "evictions", "eviction"],
        document::<Eviction>(),
    );
    Kind {
        version: version.to_owned().into(),
        ..eviction
    }
}

/// What is sent to `pods/NAME/binding`, and to `bindings` of the pod's namespace.
pub fn binding() -> Kind {
    review(
        "",
        ["Binding", "bindings", "binding"],
        document::<Binding>(),
    )
}

fn review(
    group: &'static str,
    [kind, plural, singular]: [&'static str; 3],
    document: Document,
) -> Kind {
    Kind {
        is_namespaced: false,
        is_carried_out: true,
        is_question: true,
        document,
        ..Kind::of(group, "v1", kind, plural, singular)
    }
}
