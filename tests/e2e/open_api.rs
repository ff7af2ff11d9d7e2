//! The `OpenAPI` document is that of the template's routes. What their answers look like is held by
//! `tests/http-api/run`.

use crate::repository::{read, stack};
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn document() -> Value {
    serde_json::from_str(&read("docs/openapi.json")).unwrap()
}

#[test]
fn the_open_api_document_has_every_route_with_its_scopes_and_no_other() {
    let stack = stack(&[]);
    let routes: BTreeSet<_> = stack
        .routes
        .iter()
        .map(|route| {
            let scopes = stack
                .authorization(route)
                .map(|needed| needed.scopes.to_vec());
            (route.key(), scopes.unwrap_or_default())
        })
        .collect();
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let told: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, operations)| {
            let methods = METHODS.iter().filter(|one| operations.get(**one).is_some());
            methods.map(move |method| {
                let scopes = operations[method]["security"][0]["Tokens"].as_array();
                let scopes = scopes.into_iter().flatten();
                let scopes: Vec<_> = scopes.map(|one| one.as_str().unwrap().to_owned()).collect();
                (format!("{} {path}", method.to_uppercase()), scopes)
            })
        })
        .collect();
    assert_eq!(told, routes);
}
