//! The `OpenAPI` document is that of the template's routes. What their answers look like is held by
//! `tests/http-api/run`.

use crate::system::workspace;
use local::template::context_to_read;
use sam_template::Stack;
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn document() -> Value {
    let path = workspace().join("docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_open_api_document_has_every_route_with_its_scopes_and_no_other() {
    let template = std::fs::read_to_string(workspace().join("template.yaml")).unwrap();
    let stack = Stack::from_yaml(&template, &context_to_read()).unwrap();
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
