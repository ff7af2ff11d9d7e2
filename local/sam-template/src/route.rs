//! Which route of an HTTP API takes a request, by API Gateway's precedence.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::Throttle;
use crate::auth::RouteAuth;

/// One route of an HTTP API: a method and path, and the function that answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Logical id of the API.
    pub api: String,
    /// Upper-case HTTP method, or `ANY`.
    pub method: String,
    /// The path with `{parameter}` and `{proxy+}` parts, or `$default`.
    pub path: String,
    /// Logical id of the function.
    pub function: String,
    /// Longest time of the integration, 50 ms to 30 s; 30 s if the template does not say.
    pub timeout: Duration,
    /// `Auth` of the event; see [`crate::Stack::authorization`].
    pub auth: RouteAuth,
    /// `RouteSettings` of the event; see [`crate::HttpApi::throttle_of`].
    pub throttle: Option<Throttle>,
}

/// The route that takes a request.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteMatch<'r> {
    /// The route.
    pub route: &'r Route,
    /// The values of the path's parameters, percent-decoded; the greedy one without its `+`.
    pub path_parameters: BTreeMap<String, String>,
}

impl Route {
    /// The route key as API Gateway puts it into the event: `GET /orders/{id}` or `$default`.
    #[must_use]
    pub fn key(&self) -> String {
        if self.path == "$default" {
            self.path.clone()
        } else {
            format!("{} {}", self.method, self.path)
        }
    }

    /// Says what is wrong with a route's path, if anything.
    pub(crate) fn check_path(path: &str) -> Result<(), String> {
        if path == "$default" {
            return Ok(());
        }
        let Some(rest) = path.strip_prefix('/') else {
            return Err(format!("is `{path}`; a path starts with `/`"));
        };
        let parts: Vec<&str> = rest.split('/').collect();
        for (index, part) in parts.iter().enumerate() {
            let braced = part.contains('{') || part.contains('}');
            match Part::of(part) {
                Part::Literal(_) if braced => {
                    return Err(format!(
                        "has the part `{part}`; a parameter takes a whole part, as in `/{{id}}`"
                    ));
                }
                Part::Greedy(_) if index + 1 < parts.len() => {
                    return Err(format!(
                        "has `{part}` before its end; a greedy parameter must come last"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Finds the route for a request. `path` is the request's path as sent (percent-encoded, without
/// query and without the stage).
///
/// The order is API Gateway's: a full match of the path, then a greedy `{proxy+}`, then
/// `$default`. Among full matches a literal part beats a parameter, from the left; among greedy
/// ones the longest wins; on the same path the method itself beats `ANY`.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>
#[must_use]
pub fn find<'r>(
    routes: impl IntoIterator<Item = &'r Route>,
    method: &str,
    path: &str,
) -> Option<RouteMatch<'r>> {
    let takes_method = |route: &&Route| {
        route.path == "$default"
            || route.method == "ANY"
            || route.method.eq_ignore_ascii_case(method)
    };
    let candidates = routes.into_iter().filter(takes_method);
    let matching = candidates.filter_map(|route| {
        let (rank, path_parameters) = rank(&route.path, path)?;
        let found = RouteMatch {
            route,
            path_parameters,
        };
        Some(((rank, route.method == "ANY"), found))
    });
    // `min_by` keeps the first of equals, which is the first in the template.
    let best = matching.min_by(|(left, _), (right, _)| left.cmp(right));
    best.map(|(_, found)| found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'p> {
    Literal(&'p str),
    Parameter(&'p str),
    Greedy(&'p str),
}

impl<'p> Part<'p> {
    fn of(part: &'p str) -> Self {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
            .filter(|name| !name.is_empty() && !name.contains(['{', '}']));
        match name.map(|name| (name, name.strip_suffix('+'))) {
            None => Self::Literal(part),
            Some((_, Some(greedy))) => Self::Greedy(greedy),
            Some((name, None)) => Self::Parameter(name),
        }
    }
}

/// Smaller is better: full (0), greedy (1), default (2); then more parts before a greedy one;
/// then, part by part, literal before parameter.
type Rank = (u8, Reverse<usize>, Vec<bool>);

fn rank(route: &str, path: &str) -> Option<(Rank, BTreeMap<String, String>)> {
    let mut parameters = BTreeMap::new();
    if route == "$default" {
        return Some(((2, Reverse(0), Vec::new()), parameters));
    }
    let sent: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let parts: Vec<&str> = route
        .strip_prefix('/')
        .unwrap_or(route)
        .split('/')
        .collect();
    let mut is_parameter = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        match Part::of(part) {
            Part::Greedy(name) => {
                let rest = sent.get(index..)?.join("/");
                if rest.is_empty() {
                    return None;
                }
                parameters.insert(name.to_owned(), percent_decoded(&rest));
                let rank = (1, Reverse(index), is_parameter);
                return Some((rank, parameters));
            }
            Part::Parameter(name) => {
                let value = sent.get(index).filter(|value| !value.is_empty())?;
                parameters.insert(name.to_owned(), percent_decoded(value));
                is_parameter.push(true);
            }
            Part::Literal(literal) => {
                let value = sent.get(index)?;
                if *value != literal && percent_decoded(value) != literal {
                    return None;
                }
                is_parameter.push(false);
            }
        }
    }
    (parts.len() == sent.len()).then_some(((0, Reverse(0), is_parameter), parameters))
}

/// Decodes `%41`; what is not a valid escape stays, what is not UTF-8 becomes U+FFFD.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes.get(index + 1..index + 3);
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        let escape = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let escape = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) if bytes[index] == b'%' => {
                decoded.push(byte);
                index += 3;
            }
            _ => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(key: &str) -> Route {
        let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
        Route {
            api: "Api".to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            function: key.to_owned(),
            timeout: Duration::from_secs(30),
            auth: RouteAuth::default(),
            throttle: None,
        }
    }

    fn taken(routes: &[Route], method: &str, path: &str) -> Option<String> {
        find(routes, method, path).map(|found| found.route.key())
    }

    /// The routes and requests of API Gateway's own example.
    #[test]
    fn the_best_route_of_the_documented_example_wins() {
        let routes: Vec<Route> = [
            "$default",
            "ANY /{proxy+}",
            "GET /pets/{proxy+}",
            "GET /pets/dog/{id}",
            "GET /pets/dog/1",
        ]
        .map(route)
        .into();
        let taken = |method, path| taken(&routes, method, path).unwrap();
        assert_eq!(taken("GET", "/pets/dog/1"), "GET /pets/dog/1");
        assert_eq!(taken("GET", "/pets/dog/2"), "GET /pets/dog/{id}");
        assert_eq!(taken("GET", "/pets/cat/1"), "GET /pets/{proxy+}");
        assert_eq!(taken("POST", "/test/5"), "ANY /{proxy+}");
        assert_eq!(taken("GET", "/"), "$default");
    }

    #[test]
    fn a_request_without_a_route_is_not_taken() {
        let routes = [route("GET /orders/{id}"), route("POST /orders")];
        assert_eq!(taken(&routes, "DELETE", "/orders/1"), None);
        assert_eq!(taken(&routes, "GET", "/orders"), None);
        assert_eq!(taken(&routes, "GET", "/orders/"), None);
        assert_eq!(taken(&routes, "GET", "/orders/1/events"), None);
    }

    #[test]
    fn a_method_beats_any_and_a_literal_beats_a_parameter() {
        let routes = ["ANY /a/{x}", "GET /a/{y}", "ANY /a/b", "GET /{z}/b"].map(route);
        assert_eq!(taken(&routes, "GET", "/a/c").unwrap(), "GET /a/{y}");
        assert_eq!(taken(&routes, "PUT", "/a/c").unwrap(), "ANY /a/{x}");
        assert_eq!(taken(&routes, "GET", "/a/b").unwrap(), "ANY /a/b");
        assert_eq!(taken(&routes, "GET", "/q/b").unwrap(), "GET /{z}/b");
    }

    #[test]
    fn path_parameters_are_percent_decoded() {
        let routes = [route("GET /users/{id}/orders"), route("GET /files/{path+}")];
        let found = find(&routes, "GET", "/users/a%20b%2Fc%C3%A9%zz/orders").unwrap();
        assert_eq!(found.path_parameters["id"], "a b/cé%zz");
        let found = find(&routes, "GET", "/files/x/y%20z").unwrap();
        assert_eq!(found.path_parameters["path"], "x/y z");
    }

    #[test]
    fn a_path_that_api_gateway_would_refuse_is_named() {
        assert!(Route::check_path("orders").is_err());
        assert!(Route::check_path("/{proxy+}/x").is_err());
        assert!(Route::check_path("/a-{id}").is_err());
        assert!(Route::check_path("/orders/{id}/{proxy+}").is_ok());
    }
}
