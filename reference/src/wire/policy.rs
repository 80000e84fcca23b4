//! Policy: which operation takes which role, and which roles a request has. Zaqar v2, Policy.
//!
//! There is no Keystone, so roles are what the request says they are, as with Zaqar without one:
//! whoever can reach the service can be its operator.

use http::{HeaderMap, Method};

use super::headers::latin_1;
use super::refusal::Refusal;
use super::route::Route;

const ADMIN: &str = "admin";

/// Refuses what takes a role that the request does not have.
pub(crate) fn check(route: &Route, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    match admin_operation(route, method) {
        Some(operation) if !has_role(headers, ADMIN) => Err(Refusal::RoleMissing {
            operation,
            role: ADMIN,
        }),
        Some(_) | None => Ok(()),
    }
}

/// The name of an operation that takes the role admin; `None`: it takes none. The method is one
/// that the route has.
fn admin_operation(route: &Route, method: &Method) -> Option<&'static str> {
    match route {
        Route::Health => Some("health:get"),
        Route::Pools => Some("pools:get_all"),
        Route::Pool { .. } => Some(match *method {
            Method::PUT => "pools:create",
            Method::PATCH => "pools:update",
            Method::DELETE => "pools:delete",
            _ => "pools:get",
        }),
        Route::Drain { .. } => Some("pools:drain"),
        Route::Flavor { .. } => match *method {
            Method::PUT => Some("flavors:create"),
            Method::PATCH => Some("flavors:update"),
            Method::DELETE => Some("flavors:delete"),
            _ => None,
        },
        Route::Root
        | Route::Home
        | Route::Ping
        | Route::Flavors
        | Route::Queues
        | Route::Queue { .. }
        | Route::Stats { .. }
        | Route::Purge { .. }
        | Route::Share { .. }
        | Route::Messages { .. }
        | Route::Message { .. }
        | Route::Claims { .. }
        | Route::Claim { .. }
        | Route::Subscriptions { .. }
        | Route::Subscription { .. }
        | Route::Confirmation { .. } => None,
    }
}

fn has_role(headers: &HeaderMap, role: &str) -> bool {
    headers.get_all("x-roles").iter().any(|value| {
        let roles = latin_1(value);
        let mut roles = roles.split(',').map(str::trim);
        roles.any(|other| other.eq_ignore_ascii_case(role))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn roles_are_separated_by_commas_and_have_no_case() {
        let with = |values: &[&'static str]| {
            let named = |value: &&'static str| {
                let name = http::HeaderName::from_static("x-roles");
                (name, HeaderValue::from_static(value))
            };
            let mut headers = HeaderMap::new();
            for (name, value) in values.iter().map(named) {
                headers.append(name, value);
            }
            has_role(&headers, ADMIN)
        };
        for values in [
            &["admin"][..],
            &["member,ADMIN"],
            &[" reader , Admin "],
            &["member", "admin"],
        ] {
            assert!(with(values), "{values:?}");
        }
        for values in [
            &[][..],
            &[""],
            &["administrator"],
            &["admin reader"],
            &["member;admin"],
            &["adm", "in"],
        ] {
            assert!(!with(values), "{values:?}");
        }
    }

    /// Zaqar v2, Policy: all of pools, what changes flavors, and the health; nothing else.
    #[test]
    fn operators_do_what_concerns_everybody_and_all_else_is_open() {
        let (mut closed, mut open) = (Vec::new(), Vec::new());
        for path in [
            "/",
            "/v2/",
            "/v2/ping",
            "/v2/health",
            "/v2/queues",
            "/v2/queues/q",
            "/v2/queues/q/stats",
            "/v2/queues/q/purge",
            "/v2/queues/q/share",
            "/v2/queues/q/messages",
            "/v2/queues/q/messages/m",
            "/v2/queues/q/claims",
            "/v2/queues/q/claims/c",
            "/v2/queues/q/subscriptions",
            "/v2/queues/q/subscriptions/s",
            "/v2/queues/q/subscriptions/s/confirm",
            "/v2/pools",
            "/v2/pools/p",
            "/v2/pools/p/drain",
            "/v2/flavors",
            "/v2/flavors/f",
        ] {
            let route = Route::of(path).unwrap();
            for method in ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                if route.allows(&method) {
                    match admin_operation(&route, &method) {
                        Some(operation) => closed.push(operation),
                        None => open.push((path, method)),
                    }
                }
            }
        }
        assert_eq!(
            closed,
            [
                "health:get",
                "pools:get_all",
                "pools:delete",
                "pools:get",
                "pools:update",
                "pools:create",
                "pools:drain",
                "flavors:delete",
                "flavors:update",
                "flavors:create",
            ]
        );
        let concerns_flavors = |(path, _): &&(&str, Method)| path.starts_with("/v2/flavors");
        let flavors: Vec<_> = open.iter().filter(concerns_flavors).collect();
        let expected = [("/v2/flavors", Method::GET), ("/v2/flavors/f", Method::GET)];
        assert_eq!(flavors, expected.iter().collect::<Vec<_>>());
    }
}
