//! Who may call a route: `Auth` of an HTTP API and of its routes. JWT authorizers only.
//!
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-httpapi-httpapiauth.html>,
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-httpapifunctionauth.html>

use std::collections::BTreeMap;

use crate::error::{Place, TemplateError, hint};
use crate::intrinsic::Resolver;
use crate::properties::Properties;
use crate::route::Route;
use crate::stack::Stack;

/// By this name a route says that it has no authorizer.
const NO_AUTHORIZER: &str = "NONE";

/// `Auth` of an API.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiAuth {
    /// The authorizers by name.
    pub authorizers: BTreeMap<String, JwtAuthorizer>,
    /// Name of the authorizer of every route that names none.
    pub default: Option<String>,
}

/// An authorizer that verifies JSON Web Tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtAuthorizer {
    /// Who must have issued a token: its `iss`, and where the keys are found.
    pub issuer: String,
    /// For whom a token must be: one of these is its `aud`, or its `client_id`.
    pub audience: Vec<String>,
    /// Where in a request the token is.
    pub identity_source: IdentitySource,
    /// Scopes of routes that name none.
    pub scopes: Vec<String>,
}

/// Where in a request a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// In this header, in lower case.
    Header(String),
    /// In this parameter of the query.
    Query(String),
}

/// `Auth` of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteAuth {
    /// Name of its authorizer, or `NONE`; the API's default where it names none.
    pub authorizer: Option<String>,
    /// One of these must be a scope of the token; the authorizer's where it names none.
    pub scopes: Option<Vec<String>>,
}

/// What a request to a route has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorization<'s> {
    /// Who verifies its token.
    pub authorizer: &'s JwtAuthorizer,
    /// One of these must be a scope of the token; none are asked for where this is empty.
    pub scopes: &'s [String],
}

impl Stack {
    /// What a request to this route has to have; none where anybody may call it.
    #[must_use]
    pub fn authorization<'s>(&'s self, route: &'s Route) -> Option<Authorization<'s>> {
        let api = self.apis.iter().find(|api| api.logical_id == route.api)?;
        let named = route.auth.authorizer.as_ref().or(api.auth.default.as_ref());
        let name = named.filter(|name| *name != NO_AUTHORIZER)?;
        let authorizer = api.auth.authorizers.get(name)?;
        let scopes = route.auth.scopes.as_deref();
        Some(Authorization {
            authorizer,
            scopes: scopes.unwrap_or(&authorizer.scopes),
        })
    }
}

impl ApiAuth {
    pub(crate) fn read(properties: &mut Properties<'_>) -> Result<Self, TemplateError> {
        let Some(mut auth) = properties.map("Auth")? else {
            return Ok(Self::default());
        };
        if auth.boolean("EnableIamAuthorizer")? == Some(true) {
            let problem = "is true; the local run has JWT authorizers only";
            return Err(auth.invalid("EnableIamAuthorizer", problem));
        }
        let mut authorizers = BTreeMap::new();
        for (name, authorizer) in auth.named_maps("Authorizers")? {
            authorizers.insert(name.to_owned(), JwtAuthorizer::read(authorizer)?);
        }
        let default = auth.text("DefaultAuthorizer")?;
        if let Some(name) = default
            .as_ref()
            .filter(|name| !authorizers.contains_key(*name))
        {
            let problem = unknown(name, &authorizers);
            return Err(auth.invalid("DefaultAuthorizer", problem));
        }
        auth.finish()?;
        Ok(Self {
            authorizers,
            default,
        })
    }
}

impl JwtAuthorizer {
    fn read(mut properties: Properties<'_>) -> Result<Self, TemplateError> {
        let place = properties.place("JwtConfiguration");
        let Some(mut jwt) = properties.map("JwtConfiguration")? else {
            return Err(TemplateError::Missing { place });
        };
        // SAM takes both spellings.
        let issuer = match jwt.text("Issuer")? {
            Some(issuer) => issuer,
            None => jwt.required_text("issuer")?,
        };
        let mut audience = jwt.texts("Audience")?;
        if audience.is_empty() {
            jwt.required("audience")?;
            audience = jwt.texts("audience")?;
        }
        jwt.finish()?;
        let source = properties.text("IdentitySource")?;
        let identity_source = match source.as_deref() {
            None => IdentitySource::Header("authorization".to_owned()),
            Some(text) => IdentitySource::parse(text).ok_or_else(|| {
                let problem = format!(
                    "is `{text}`; it must be $request.header.NAME or $request.querystring.NAME"
                );
                properties.invalid("IdentitySource", problem)
            })?,
        };
        let scopes = properties.texts("AuthorizationScopes")?;
        properties.finish()?;
        Ok(Self {
            issuer,
            audience,
            identity_source,
            scopes,
        })
    }
}

impl IdentitySource {
    fn parse(text: &str) -> Option<Self> {
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        if let Some(name) = text.strip_prefix("$request.header.") {
            return named(&name.to_ascii_lowercase()).map(Self::Header);
        }
        named(text.strip_prefix("$request.querystring.")?).map(Self::Query)
    }
}

impl RouteAuth {
    pub(crate) fn read(event: &mut Properties<'_>) -> Result<Self, TemplateError> {
        let Some(mut auth) = event.map("Auth")? else {
            return Ok(Self::default());
        };
        let authorizer = auth.text("Authorizer")?;
        let given = auth.list("AuthorizationScopes")?.is_some();
        let scopes = auth.texts("AuthorizationScopes")?;
        if given && authorizer.as_deref() == Some(NO_AUTHORIZER) {
            let problem = "needs an authorizer, and this route has none";
            return Err(auth.invalid("AuthorizationScopes", problem));
        }
        auth.finish()?;
        Ok(Self {
            authorizer,
            scopes: given.then_some(scopes),
        })
    }
}

/// Every authorizer that a route names is one of its API.
pub(crate) fn check_names(stack: &Stack, resolver: &Resolver<'_>) -> Result<(), TemplateError> {
    for route in &stack.routes {
        let api = stack.apis.iter().find(|api| api.logical_id == route.api);
        let Some(api) = api else { continue };
        let problem = match route.auth.authorizer.as_deref() {
            Some(NO_AUTHORIZER) => continue,
            Some(name) if api.auth.authorizers.contains_key(name) => continue,
            Some(name) => format!(
                "has the authorizer {}",
                unknown(name, &api.auth.authorizers)
            ),
            None if route.auth.scopes.is_some() && api.auth.default.is_none() => {
                "has AuthorizationScopes, but neither it nor its API names an authorizer".to_owned()
            }
            None => continue,
        };
        let mut resources = resolver.resources.iter();
        let line = resources.find(|one| one.logical_id == route.function);
        let place = Place::new(
            &route.function,
            &format!("Properties.Events ({})", route.key()),
            line.map_or(0, |one| one.line),
        );
        return Err(TemplateError::Invalid { place, problem });
    }
    Ok(())
}

fn unknown(name: &str, authorizers: &BTreeMap<String, JwtAuthorizer>) -> String {
    let hint = hint(name, authorizers.keys().map(String::as_str));
    format!("`{name}`, which is none of the API's Authorizers{hint}")
}

#[cfg(test)]
mod tests;
