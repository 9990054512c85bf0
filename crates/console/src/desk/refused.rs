//! What a person is told when a request is refused.

use auth::error::{AdminError, FieldProblem};
use auth::operator::OperatorError;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::form::Entered;
use crate::pages::refused::{Refusal, refused};

/// A request that came to nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is a better place to be.
    Elsewhere(String),
    /// A page that says why.
    Page { status: StatusCode, code: &'static str, sentence: String, retry_after_seconds: Option<u32> },
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Refused>;

impl Refused {
    pub(crate) fn page(status: StatusCode, code: &'static str, sentence: impl Into<String>) -> Self {
        Self::Page { status, code, sentence: sentence.into(), retry_after_seconds: None }
    }

    pub(crate) fn not_found() -> Self {
        Self::page(StatusCode::NOT_FOUND, "not_found", "There is nothing here, or nothing that you may see.")
    }

    /// The scope that the person's role does not hold.
    pub(crate) fn forbidden(scope: &str) -> Self {
        let sentence = format!("This needs the scope {scope}, which your role does not hold.");
        Self::page(StatusCode::FORBIDDEN, "insufficient_scope", sentence)
    }

    pub(crate) fn unavailable(seconds: u32) -> Self {
        Self::Page {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "temporarily_unavailable",
            sentence: "The server cannot answer now. Try again shortly.".to_owned(),
            retry_after_seconds: Some(seconds),
        }
    }

    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(code = "internal_error", %error, "a page could not be made");
        Self::page(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on the server.")
    }

    /// The sentence, for an answer to a script.
    pub(crate) fn sentence(&self) -> (StatusCode, &str) {
        match self {
            Self::Elsewhere(_) => (StatusCode::UNAUTHORIZED, "Sign in first."),
            Self::Page { status, sentence, .. } => (*status, sentence),
        }
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        AdminError::from(error).into()
    }
}

impl From<AdminError> for Refused {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound(_) => Self::not_found(),
            AdminError::Forbidden(scope) => Self::forbidden(scope),
            AdminError::Invalid(problems) => {
                let sentences: Vec<String> = problems.into_iter().map(|problem| problem.detail).collect();
                Self::page(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", sentences.join(". "))
            }
            AdminError::Taken(code, sentence) | AdminError::TooMany(code, sentence) => {
                Self::page(StatusCode::CONFLICT, code, sentence)
            }
            AdminError::Illegal { detail, .. } => Self::page(StatusCode::CONFLICT, "illegal_transition", detail),
            AdminError::State(sentence) => Self::page(StatusCode::CONFLICT, "conflict", sentence),
            AdminError::Stale => Self::page(
                StatusCode::CONFLICT,
                "conflict",
                "Somebody changed this while you had it open. Go back, look at it again and repeat your change.",
            ),
            AdminError::Store(store::Error::Conflict(_)) => {
                Self::page(StatusCode::CONFLICT, "conflict", "Somebody changed this at the same moment. Try again.")
            }
            AdminError::Store(store::Error::Unavailable(_) | store::Error::NoSpace | store::Error::Unknown(_)) => {
                Self::unavailable(1)
            }
            AdminError::Store(error) => Self::internal(&error),
            AdminError::Jose(error) => Self::internal(&error),
        }
    }
}

impl From<record::Error> for Refused {
    fn from(error: record::Error) -> Self {
        match error {
            record::Error::Store(error) => error.into(),
            record::Error::Cursor => Self::page(StatusCode::BAD_REQUEST, "invalid_cursor", "This page does not exist."),
            other => Self::internal(&other),
        }
    }
}

impl From<OperatorError> for Refused {
    fn from(error: OperatorError) -> Self {
        let sentence = capitalized(&error.to_string());
        let code = error.code();
        match error {
            OperatorError::Refused | OperatorError::PassphraseOff => Self::page(StatusCode::FORBIDDEN, code, sentence),
            // Pages ask for a fresh sign-in before they offer what needs it; the moment between the two is all that is left.
            OperatorError::NotFresh => Self::page(StatusCode::FORBIDDEN, "conflict", sentence),
            OperatorError::Wait { retry_after_seconds } => Self::Page {
                status: StatusCode::TOO_MANY_REQUESTS,
                code,
                sentence,
                retry_after_seconds: Some(retry_after_seconds),
            },
            OperatorError::Expired => Self::page(StatusCode::CONFLICT, code, sentence),
            OperatorError::LinkGone => Self::page(StatusCode::GONE, code, sentence),
            OperatorError::Busy => Self::unavailable(1),
            OperatorError::Admin(error) => error.into(),
        }
    }
}

fn capitalized(text: &str) -> String {
    format!("{}.", capitalized_word(text))
}

/// The text with a capital at its beginning.
pub(crate) fn capitalized_word(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", characters.as_str())
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Elsewhere(path) => Redirect::to(&path).into_response(),
            Self::Page { status, code, sentence, retry_after_seconds } => {
                let page = refused(&Refusal { status: status.as_u16(), code, sentence: &sentence });
                let mut response = (status, page).into_response();
                if let Some(seconds) = retry_after_seconds {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
        }
    }
}

/// The problems of a form that comes back, at their fields.
pub(crate) fn problems(list: Vec<FieldProblem>) -> Vec<(String, String)> {
    list.into_iter()
        .map(|problem| {
            let field = problem.pointer.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
            (field, capitalized(problem.detail.trim_end_matches('.')))
        })
        .collect()
}

/// Whether an error is one of the form, which then comes back with what was typed.
pub(crate) fn back(error: OperatorError, entered: &mut Entered) -> Result<(), Refused> {
    match error {
        OperatorError::Admin(AdminError::Invalid(list)) => entered.problems = problems(list),
        OperatorError::Admin(AdminError::Taken(_, sentence) | AdminError::State(sentence)) => {
            entered.problems = vec![(String::new(), capitalized(sentence.trim_end_matches('.')))];
        }
        error @ (OperatorError::Refused | OperatorError::Wait { .. } | OperatorError::PassphraseOff) => {
            entered.problems = vec![(String::new(), capitalized(&error.to_string()))];
        }
        other => return Err(other.into()),
    }
    Ok(())
}
