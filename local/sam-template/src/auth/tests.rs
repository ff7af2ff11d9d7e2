use super::*;
use crate::Context;

/// An API with this `Auth`, and a function whose one route has this one.
fn read(api: &str, route: &str) -> Result<Stack, TemplateError> {
    let yaml = format!(
        "
Parameters:
  Issuer: {{Type: String}}
  Audience: {{Type: CommaDelimitedList}}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: f
      Runtime: provided.al2023
      Events:
        E:
          Type: HttpApi
          Properties: {{ApiId: !Ref Api, Method: GET, Path: /a, {route}}}
  Api:
    Type: AWS::Serverless::HttpApi
    Properties: {{{api}}}
"
    );
    let mut context = Context::default();
    let given = [("Issuer", "https://issuer"), ("Audience", "web,app")];
    for (name, value) in given {
        let key = format!("parameter:{name}");
        context.local.insert(key, value.to_owned());
    }
    Stack::from_yaml(&yaml, &context)
}

const JWT: &str = "Tokens: {AuthorizationScopes: [s], JwtConfiguration: {issuer: !Ref Issuer, audience: !Ref Audience}}";

fn default_jwt() -> String {
    format!("Auth: {{DefaultAuthorizer: Tokens, Authorizers: {{{JWT}}}}}")
}

#[track_caller]
fn assert_refused(api: &str, route: &str, problem: &str) {
    let message = read(api, route).unwrap_err().to_string();
    assert!(message.contains(problem), "{message}");
}

#[test]
fn a_route_has_the_apis_authorizer_and_its_own_scopes() {
    let stack = read(&default_jwt(), "Auth: {AuthorizationScopes: [a, b]}").unwrap();
    let needed = stack.authorization(&stack.routes[0]).unwrap();
    assert_eq!(needed.scopes, ["a", "b"]);
    assert_eq!(needed.authorizer.issuer, "https://issuer");
    assert_eq!(needed.authorizer.audience, ["web", "app"]);
    let header = IdentitySource::Header("authorization".to_owned());
    assert_eq!(needed.authorizer.identity_source, header);
}

#[test]
fn a_route_that_names_no_scopes_has_those_of_the_authorizer() {
    for route in ["", "Auth: {Authorizer: Tokens}"] {
        let stack = read(&default_jwt(), route).unwrap();
        assert_eq!(stack.authorization(&stack.routes[0]).unwrap().scopes, ["s"]);
    }
}

#[test]
fn a_route_without_authorizer_takes_anybody() {
    let stack = read(&default_jwt(), "Auth: {Authorizer: NONE}").unwrap();
    assert_eq!(stack.authorization(&stack.routes[0]), None);
    let stack = read(&format!("Auth: {{Authorizers: {{{JWT}}}}}"), "").unwrap();
    assert_eq!(stack.authorization(&stack.routes[0]), None);
    let stack = read("", "").unwrap();
    assert_eq!(stack.authorization(&stack.routes[0]), None);
}

#[test]
fn a_token_may_be_in_a_header_or_in_the_query() {
    let parse = IdentitySource::parse;
    let header = IdentitySource::Header("x-token".to_owned());
    assert_eq!(parse("$request.header.X-Token"), Some(header));
    let query = IdentitySource::Query("Token".to_owned());
    assert_eq!(parse("$request.querystring.Token"), Some(query));
    assert_eq!(parse("$request.header."), None);
    assert_eq!(parse("$context.token"), None);
}

#[test]
fn what_is_no_jwt_authorizer_or_none_that_there_is_is_refused() {
    let auth = |inner: &str| format!("Auth: {{{inner}}}");
    assert_refused(
        &auth("DefaultAuthorizer: Token"),
        "",
        "Auth.DefaultAuthorizer `Token`, which is none",
    );
    assert_refused(
        &auth("EnableIamAuthorizer: true"),
        "",
        "JWT authorizers only",
    );
    assert_refused(
        &auth("Authorizers: {A: {FunctionArn: x}}"),
        "",
        "A.JwtConfiguration is missing",
    );
    assert_refused(
        &auth("Authorizers: {A: {JwtConfiguration: {issuer: x}}}"),
        "",
        "audience is missing",
    );
    assert_refused(
        &default_jwt(),
        "Auth: {Authorizer: Other}",
        "(GET /a) has the authorizer `Other`",
    );
    assert_refused(
        &default_jwt(),
        "Auth: {Authorizer: NONE, AuthorizationScopes: [a]}",
        "needs an authorizer",
    );
    assert_refused(
        "",
        "Auth: {AuthorizationScopes: [a]}",
        "names an authorizer",
    );
    assert_refused(&default_jwt(), "Auth: {Scopes: [a]}", "Auth.Scopes");
}
