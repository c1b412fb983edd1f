//! Every route, in one table.
//!
//! Docker's clients may put `/v1.43` before any path; that is taken off before it comes here.

use std::future::Future;
use std::pin::Pin;

use http::Method;
use weft_engine::Engine;

use crate::error::ApiError;
use crate::transport::body::Answer;
use crate::transport::call::Call;
use crate::transport::route::{Params, matches};
use crate::{containers, events, exec, images, networks, system, volumes};

type Handling = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;

/// One line of the table.
pub struct Route {
    method: &'static str,
    /// Path with `{names}`.
    pub pattern: &'static str,
    /// Answers without knowing who asks.
    pub open: bool,
    /// What answers.
    pub handler: fn(Engine, Call) -> Handling,
}

macro_rules! routes {
    ($($method:ident $pattern:literal $($handler:ident)::+ $($open:ident)?;)*) => {
        &[$(Route {
            method: stringify!($method),
            pattern: $pattern,
            open: false $(|| stringify!($open).len() > 0)?,
            handler: |engine, call| Box::pin($($handler)::+(engine, call)),
        },)*]
    };
}

/// First match wins: a literal stands before the `{name}` it would match.
const ROUTES: &[Route] = routes! {
    GET    "/_ping" system::ping open;
    HEAD   "/_ping" system::ping open;
    GET    "/version" system::version;
    GET    "/info" system::info;
    GET    "/system/df" system::disk_usage;
    POST   "/auth" system::auth;
    GET    "/events" events::stream;
    POST   "/build/prune" system::build_prune;
    GET    "/plugins" system::plugins;

    GET    "/containers/json" containers::list::list;
    POST   "/containers/create" containers::create::create;
    POST   "/containers/prune" containers::remove::prune;
    GET    "/containers/{id}/json" containers::inspect::inspect;
    GET    "/containers/{id}/top" containers::inspect::top;
    GET    "/containers/{id}/changes" containers::inspect::changes;
    GET    "/containers/{id}/logs" containers::logs::logs;
    GET    "/containers/{id}/stats" containers::stats::stats;
    POST   "/containers/{id}/start" containers::lifecycle::start;
    POST   "/containers/{id}/stop" containers::lifecycle::stop;
    POST   "/containers/{id}/restart" containers::lifecycle::restart;
    POST   "/containers/{id}/kill" containers::lifecycle::kill;
    POST   "/containers/{id}/pause" containers::lifecycle::pause;
    POST   "/containers/{id}/unpause" containers::lifecycle::unpause;
    POST   "/containers/{id}/rename" containers::lifecycle::rename;
    POST   "/containers/{id}/update" containers::lifecycle::update;
    POST   "/containers/{id}/wait" containers::wait::wait;
    POST   "/containers/{id}/resize" containers::attach::resize;
    POST   "/containers/{id}/attach" containers::attach::attach;
    GET    "/containers/{id}/archive" containers::archive::get;
    HEAD   "/containers/{id}/archive" containers::archive::stat;
    PUT    "/containers/{id}/archive" containers::archive::put;
    GET    "/containers/{id}/export" containers::archive::export;
    POST   "/containers/{id}/exec" exec::create;
    DELETE "/containers/{id}" containers::remove::remove;
    POST   "/commit" containers::remove::commit;

    POST   "/exec/{id}/start" exec::start;
    POST   "/exec/{id}/resize" exec::resize;
    GET    "/exec/{id}/json" exec::inspect;

    GET    "/images/json" images::list::list;
    POST   "/images/create" images::transfer::create;
    POST   "/images/load" images::transfer::load;
    GET    "/images/get" images::transfer::save;
    POST   "/images/prune" images::remove::prune;
    GET    "/images/search" images::list::search;
    GET    "/images/{name*}/get" images::transfer::save_one;
    GET    "/images/{name*}/json" images::list::inspect;
    GET    "/images/{name*}/history" images::list::history;
    POST   "/images/{name*}/tag" images::remove::tag;
    POST   "/images/{name*}/push" images::transfer::push;
    DELETE "/images/{name*}" images::remove::remove;

    GET    "/networks" networks::list;
    POST   "/networks/create" networks::create;
    POST   "/networks/prune" networks::prune;
    GET    "/networks/{id}" networks::inspect;
    DELETE "/networks/{id}" networks::remove;
    POST   "/networks/{id}/connect" networks::connect;
    POST   "/networks/{id}/disconnect" networks::disconnect;

    GET    "/volumes" volumes::list;
    POST   "/volumes/create" volumes::create;
    POST   "/volumes/prune" volumes::prune;
    GET    "/volumes/{name}" volumes::inspect;
    DELETE "/volumes/{name}" volumes::remove;
};

/// The route of a request, with the values in its path.
pub fn find(method: &Method, path: &str) -> Option<(&'static Route, Params)> {
    ROUTES
        .iter()
        .filter(|route| route.method == method.as_str())
        .find_map(|route| Some((route, matches(route.pattern, path)?)))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::find;

    #[test]
    fn literals_win_over_names() {
        let pattern = |method, path| find(&method, path).map(|(route, _)| route.pattern);
        assert_eq!(
            pattern(Method::GET, "/containers/json"),
            Some("/containers/json")
        );
        assert_eq!(
            pattern(Method::GET, "/containers/json/json"),
            Some("/containers/{id}/json")
        );
        assert_eq!(
            pattern(Method::GET, "/images/a/b:c/json"),
            Some("/images/{name*}/json")
        );
        assert_eq!(pattern(Method::GET, "/images/get"), Some("/images/get"));
        assert_eq!(
            pattern(Method::POST, "/images/h:5/a/push"),
            Some("/images/{name*}/push")
        );
        assert_eq!(pattern(Method::GET, "/containers/a/start"), None);
        assert_eq!(pattern(Method::GET, "/swarm"), None);
        assert_eq!(pattern(Method::GET, ""), None);
    }
}
