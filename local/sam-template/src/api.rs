//! `AWS::Serverless::HttpApi` and the `HttpApi` events of functions.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::auth::{ApiAuth, RouteAuth};
use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::properties::Properties;
use crate::route::Route;

/// An HTTP API. Its routes are in [`crate::Stack::routes`].
#[derive(Debug, Clone, PartialEq)]
pub struct HttpApi {
    /// Logical id; `ServerlessHttpApi` for the API that SAM makes for events without `ApiId`.
    pub logical_id: String,
    /// What `Ref` gives.
    pub id: String,
    /// `StageName`, `$default` if not said. Another stage's name is the first part of the path.
    pub stage: String,
    /// `CorsConfiguration`, resolved, as written.
    pub cors: Option<Value>,
    /// `Auth`: its authorizers.
    pub auth: ApiAuth,
    /// `StageVariables`, resolved, as written.
    pub stage_variables: Option<Value>,
    /// `DefaultRouteSettings`: the throttle of every route that has none of its own.
    pub default_throttle: Option<Throttle>,
    /// `RouteSettings`: the throttles of single routes, by route key.
    pub route_throttles: BTreeMap<String, Throttle>,
}

impl HttpApi {
    /// The throttle of one of its routes.
    #[must_use]
    pub fn throttle_of(&self, route: &Route) -> Option<Throttle> {
        route
            .throttle
            .or_else(|| self.route_throttles.get(&route.key()).copied())
            .or(self.default_throttle)
    }
}

/// How many requests a route takes: a bucket of `burst` tokens, filled at `rate`.
///
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// `ThrottlingRateLimit`, requests per second; the account's 10,000 if not said.
    pub rate: f64,
    /// `ThrottlingBurstLimit`, requests; the account's 5,000 if not said.
    pub burst: u32,
}

impl Throttle {
    /// What an account has in a region.
    const ACCOUNT: Self = Self {
        rate: 10_000.0,
        burst: 5_000,
    };

    /// Reads route settings; none where they do not throttle.
    fn read(mut settings: Properties<'_>) -> Result<Option<Self>, TemplateError> {
        settings.without_local_effect(&[
            "DataTraceEnabled",
            "DetailedMetricsEnabled",
            "LoggingLevel",
        ]);
        let rate = settings.number("ThrottlingRateLimit")?;
        let burst = settings.unsigned("ThrottlingBurstLimit", (0, u32::MAX))?;
        settings.finish()?;
        Ok((rate.is_some() || burst.is_some()).then_some(Self {
            rate: rate.unwrap_or(Self::ACCOUNT.rate),
            burst: burst.unwrap_or(Self::ACCOUNT.burst),
        }))
    }

    /// Reads the settings under this name.
    fn under(
        properties: &mut Properties<'_>,
        name: &'static str,
    ) -> Result<Option<Self>, TemplateError> {
        let settings = properties.map(name)?;
        Ok(settings.map(Self::read).transpose()?.flatten())
    }
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<HttpApi, TemplateError> {
    properties.without_local_effect(&[
        "AccessLogSettings",
        "Description",
        "DisableExecuteApiEndpoint",
        "Domain",
        "FailOnWarnings",
        "Name",
        "PropagateTags",
        "Tags",
    ]);
    let mut route_throttles = BTreeMap::new();
    for (key, settings) in properties.named_maps("RouteSettings")? {
        if let Some(throttle) = Throttle::read(settings)? {
            route_throttles.insert(key.to_owned(), throttle);
        }
    }
    Ok(HttpApi {
        logical_id: declaration.logical_id.clone(),
        id: resolver.physical_name(declaration)?,
        stage: properties
            .text("StageName")?
            .unwrap_or_else(|| "$default".to_owned()),
        cors: properties.json("CorsConfiguration"),
        auth: ApiAuth::read(properties)?,
        stage_variables: properties.json("StageVariables"),
        default_throttle: Throttle::under(properties, "DefaultRouteSettings")?,
        route_throttles,
    })
}

/// Reads an event of type `HttpApi`: its route.
pub(crate) fn route(
    resolver: &Resolver<'_>,
    function: &str,
    event: &mut Properties<'_>,
) -> Result<Route, TemplateError> {
    let throttle = Throttle::under(event, "RouteSettings")?;
    let mut api = "ServerlessHttpApi".to_owned();
    if let Some(id) = event.text("ApiId")? {
        let owner = resolver.owner_of_type(&id, "AWS::Serverless::HttpApi")?;
        let owner = owner.ok_or_else(|| {
            let problem = format!("is `{id}`, which is no HttpApi of this template");
            event.invalid("ApiId", problem)
        })?;
        api.clone_from(&owner.logical_id);
    }
    let (method, path) = match (event.text("Method")?, event.text("Path")?) {
        (None, None) => ("ANY".to_owned(), "$default".to_owned()),
        (Some(method), Some(path)) => (method, path),
        (None, Some(_)) => {
            let place = event.place("Method");
            return Err(TemplateError::Missing { place });
        }
        (Some(_), None) => {
            let place = event.place("Path");
            return Err(TemplateError::Missing { place });
        }
    };
    let method = match method.to_ascii_uppercase().as_str() {
        "X-AMAZON-APIGATEWAY-ANY-METHOD" | "*" => "ANY".to_owned(),
        known @ ("ANY" | "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => {
            known.to_owned()
        }
        _ => {
            let problem = format!("is `{method}`, which is no HTTP method or ANY");
            return Err(event.invalid("Method", problem));
        }
    };
    Route::check_path(&path).map_err(|problem| event.invalid("Path", problem))?;
    let payload_format = event.choice("PayloadFormatVersion", &["1.0", "2.0"])?;
    if payload_format.as_deref() == Some("1.0") {
        let problem = "is 1.0; the local run sends payload format 2.0 only";
        return Err(event.invalid("PayloadFormatVersion", problem));
    }
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
    let timeout = event.unsigned("TimeoutInMillis", (50, 30_000))?;
    Ok(Route {
        api,
        method,
        path,
        function: function.to_owned(),
        timeout: Duration::from_millis(u64::from(timeout.unwrap_or(30_000))),
        auth: RouteAuth::read(event)?,
        throttle,
    })
}
