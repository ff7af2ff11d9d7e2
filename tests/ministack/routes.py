"""The routes of the API that the SAM transform writes as an OpenAPI document.

API Gateway imports that document; MiniStack does not read it, so its routes, integrations and
authorizers are made one by one here, from what the transform wrote and from nothing else."""

import copy
import os
import re

from samtranslator.translator.transform import transform

from emulator import REGION

METHODS = {"get", "put", "post", "delete", "patch", "options", "head"}


class _NoManagedPolicies:
    def load(self):
        return {}


def document(template, api):
    """The OpenAPI document that the transform writes for an API."""
    os.environ["AWS_DEFAULT_REGION"] = REGION
    translated = transform(copy.deepcopy(template), {}, _NoManagedPolicies())
    return translated["Resources"][api]["Properties"]["Body"]


def create(gateway, api_id, body, resources, parameters):
    """Creates what the document says; gives the routes' keys."""
    schemes = body.get("components", {}).get("securitySchemes", {})
    authorizers = {
        name: gateway.create_authorizer(
            ApiId=api_id,
            Name=name,
            AuthorizerType="JWT",
            IdentitySource=[scheme["x-amazon-apigateway-authorizer"]["identitySource"]],
            JwtConfiguration=_jwt(scheme["x-amazon-apigateway-authorizer"], parameters),
        )["AuthorizerId"]
        for name, scheme in schemes.items()
    }
    keys = []
    for path, operations in sorted(body["paths"].items()):
        for method, operation in sorted(operations.items()):
            if method not in METHODS:
                continue
            key = f"{method.upper()} {path}"
            integration = gateway.create_integration(
                ApiId=api_id,
                IntegrationType="AWS_PROXY",
                IntegrationUri=_function_arn(operation, resources),
                PayloadFormatVersion="2.0",
            )["IntegrationId"]
            gateway.create_route(
                ApiId=api_id,
                RouteKey=key,
                Target=f"integrations/{integration}",
                **_security(operation, authorizers),
            )
            keys.append(key)
    return keys


def _jwt(authorizer, parameters):
    told = authorizer["jwtConfiguration"]
    # A list of one parameter is that parameter, for it is a list itself.
    return {
        "Issuer": parameters[told["issuer"]["Ref"]],
        "Audience": parameters[told["audience"]["Ref"]].split(","),
    }


def _security(operation, authorizers):
    for requirement in operation.get("security", []):
        for name, scopes in requirement.items():
            if name in authorizers:
                return {
                    "AuthorizationType": "JWT",
                    "AuthorizerId": authorizers[name],
                    "AuthorizationScopes": scopes,
                }
    return {"AuthorizationType": "NONE"}


def _function_arn(operation, resources):
    uri = str(operation["x-amazon-apigateway-integration"]["uri"])
    logical_id = re.search(r"\$\{(\w+?)(?:Alias\w*|\.Arn)\}", uri).group(1)
    return f"arn:aws:lambda:{REGION}:000000000000:function:{resources[logical_id]}"
