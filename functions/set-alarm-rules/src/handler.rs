//! What operators want alarms for.

use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use domain::ids::RuleName;
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use serde_json::{Map, Value, json};
use streaming_analytics::alarms::Rule;
use streaming_analytics::insights_table::{RuleTable, TableError};

/// Most rules: each is judged every minute.
pub const MAX_RULES: usize = 100;

/// Reads, writes and removes rules.
#[derive(Debug)]
pub struct Handler<R> {
    /// Where they are.
    pub rules: R,
}

impl<R: RuleTable> Handler<R> {
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let caller = request.caller()?;
        caller.operates()?;
        match request.route() {
            "GET /alarm-rules" => {
                let rules = retrying(|| self.rules.rules()).await.map_err(failed)?;
                Ok(HttpResponse::json(200, json!({ "rules": rules })))
            }
            "PUT /alarm-rules/{name}" => self.put(request, caller.subject()).await,
            "DELETE /alarm-rules/{name}" => self.remove(request, caller.subject()).await,
            route => Err(Problem::not_found(&format!(
                "{route} is no route of this function"
            ))),
        }
    }

    async fn put(&self, request: &HttpRequest, by: &str) -> Result<HttpResponse, Problem> {
        let name = request.path("name", RuleName::parse)?;
        let rule = accept(&name, request.body()?)?;
        let is_kept = retrying(|| self.rules.put_rule(&rule, MAX_RULES)).await;
        if !is_kept.map_err(failed)? {
            return Err(Problem::new(
                409,
                "too-many-rules",
                "There are too many rules",
                format!("{MAX_RULES} rules are judged at most; remove one first"),
            ));
        }
        tracing::info!(rule = %name, by, "alarm rule set");
        Ok(HttpResponse::json(200, json!(rule)))
    }

    async fn remove(&self, request: &HttpRequest, by: &str) -> Result<HttpResponse, Problem> {
        let name = request.path("name", RuleName::parse)?;
        let was_there = retrying(|| self.rules.remove_rule(&name)).await;
        if !was_there.map_err(failed)? {
            return Err(Problem::not_found(&format!("no rule is called {name}")));
        }
        tracing::info!(rule = %name, by, "alarm rule removed");
        Ok(HttpResponse::json(200, json!({"removed": name})))
    }
}

/// The rule of a body `{metric, condition, forWindows}`; its name is the path's.
fn accept(name: &RuleName, mut body: Map<String, Value>) -> Result<Rule, Problem> {
    if let Some(other) = body.get("name").filter(|other| **other != name.as_str()) {
        let reason = format!("must be that of the path, {name}, or absent; is {other}");
        return Err(Problem::invalid("name", reason));
    }
    body.insert("name".to_owned(), json!(name));
    let text = Value::Object(body).to_string();
    HttpRequest::parsed(&text)
}

fn failed(error: TableError) -> Problem {
    Failure::from_error(&error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use streaming_analytics::insights_table::InMemoryInsights;

    fn request(route: &str, name: &str, body: &Value, scope: &str) -> HttpRequest {
        HttpRequest::from_payload(json!({"version": "2.0", "routeKey": route, "headers": {},
            "pathParameters": {"name": name}, "isBase64Encoded": false, "body": body.to_string(),
            "requestContext": {"http": {"method": "PUT"},
                "authorizer": {"jwt": {"claims": {"sub": "op", "scope": scope}, "scopes": null}}}}))
        .unwrap()
    }

    fn a_rule() -> Value {
        json!({"metric": {"kind": "orders", "figure": "failureRatio"}, "forWindows": 3,
            "condition": {"kind": "above", "threshold": 0.2, "clear": 0.1}})
    }

    async fn asked(
        handler: &Handler<InMemoryInsights>,
        route: &str,
        name: &str,
        body: &Value,
    ) -> Result<Value, Problem> {
        let request = request(route, name, body, "orders:operate");
        let answer = handler.handle(&request).await?.into_payload();
        Ok(serde_json::from_str(answer["body"].as_str().unwrap()).unwrap())
    }

    const PUT: &str = "PUT /alarm-rules/{name}";
    const DELETE: &str = "DELETE /alarm-rules/{name}";
    const LIST: &str = "GET /alarm-rules";

    fn a_handler() -> Handler<InMemoryInsights> {
        Handler {
            rules: InMemoryInsights::default(),
        }
    }

    #[tokio::test]
    async fn a_rule_is_set_listed_changed_and_removed() {
        let handler = a_handler();
        let mut expected = a_rule();
        expected["name"] = json!("failures");
        assert_eq!(
            asked(&handler, PUT, "failures", &a_rule()).await.unwrap(),
            expected
        );
        expected["forWindows"] = json!(5);
        assert_eq!(
            asked(&handler, PUT, "failures", &expected).await.unwrap(),
            expected
        );
        let listed = asked(&handler, LIST, "", &Value::Null).await.unwrap();
        assert_eq!(listed, json!({"rules": [expected]}));
        let removed = asked(&handler, DELETE, "failures", &Value::Null)
            .await
            .unwrap();
        assert_eq!(removed, json!({"removed": "failures"}));
        let again = asked(&handler, DELETE, "failures", &Value::Null)
            .await
            .unwrap_err();
        assert_eq!(again.status, 404);
    }

    #[tokio::test]
    async fn a_rule_that_cannot_be_is_refused_by_the_name_of_its_field() {
        let handler = a_handler();
        let changed = |path: &str, value: Value| {
            let mut rule = a_rule();
            *rule.pointer_mut(path).unwrap() = value;
            rule
        };
        for (body, part) in [
            (changed("/metric/figure", json!("happiness")), "happiness"),
            (changed("/metric", json!(7)), "metric"),
            (changed("/condition/clear", json!(0.3)), "clear"),
            (changed("/forWindows", json!(0)), "forWindows"),
            (json!({"name": "other"}), "name"),
        ] {
            let problem = asked(&handler, PUT, "failures", &body).await.unwrap_err();
            assert_eq!(problem.status, 400);
            let said = format!("{:?} {}", problem.field, problem.detail);
            assert!(said.contains(part), "{said}");
        }
        let problem = asked(&handler, PUT, "", &a_rule()).await.unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("name"));
    }

    #[tokio::test]
    async fn there_are_so_many_rules_and_no_more() {
        let handler = a_handler();
        for number in 0..MAX_RULES {
            asked(&handler, PUT, &format!("rule-{number}"), &a_rule())
                .await
                .unwrap();
        }
        let problem = asked(&handler, PUT, "one-more", &a_rule())
            .await
            .unwrap_err();
        assert_eq!((problem.status, problem.kind), (409, "too-many-rules"));
        assert!(asked(&handler, PUT, "rule-0", &a_rule()).await.is_ok());
    }

    #[tokio::test]
    async fn only_operators_set_rules() {
        let handler = a_handler();
        for route in [PUT, DELETE, LIST] {
            let request = request(route, "failures", &a_rule(), "orders:read orders:write");
            assert_eq!(handler.handle(&request).await.unwrap_err().status, 403);
        }
    }
}
