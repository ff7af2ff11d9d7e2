//! The OpenAPI document is that of the template's routes. What their answers look like is held by
//! `tests/http-api/run`.

use crate::system::workspace;
use sam_template::{Context, Stack};
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn document() -> Value {
    let path = workspace().join("docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_open_api_document_has_every_route_and_no_other() {
    let template = std::fs::read_to_string(workspace().join("template.yaml")).unwrap();
    let stack = Stack::from_yaml(&template, &Context::default()).unwrap();
    let routes: BTreeSet<_> = stack.routes.iter().map(sam_template::Route::key).collect();
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let told: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, operations)| {
            let methods = METHODS.iter().filter(|one| operations.get(**one).is_some());
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(told, routes);
}
