"""An OpenID Connect issuer whose tokens are accepted, as an operator describes it in the settings."""

from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator


class OidcIssuer(BaseModel):
    """Which tokens are accepted, for which organization, and where the role comes from.

    The organization belongs to the issuer, so that one trusted issuer can never act for another's organization.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(description="Exactly what tokens carry as `iss`.")
    audience: str = Field(min_length=1, description="What tokens must carry as `aud`.")
    organization: str | None = Field(None, description="The name of the organisation all its subjects belong to.")
    organization_claim: str | None = Field(None, description="Or the claim that tells the organisation.")
    organizations: dict[str, str] = Field(default_factory=dict, description="From values of that claim to names.")
    subject_claim: str = Field("sub", min_length=1, description="The claim that identifies a person for good.")
    role_claim: str | None = Field(None, description="The claim that lists roles; unset: the members of Waybill.")
    roles: dict[str, str] = Field(default_factory=dict, description="From values of that claim to Waybill's roles.")
    console_client_id: str | None = Field(None, description="The console's client id; unset: no sign-in with it there.")
    console_client_secret: SecretStr | None = Field(None, description="The console's secret, unless it is public.")
    console_redirect_uri: str | None = Field(None, description="The console's address for the issuer's answer.")

    @field_validator("issuer", "console_redirect_uri")
    @classmethod
    def _is_secure(cls, value: str | None) -> str | None:
        if value is not None and not is_secure_url(value):
            raise ValueError("an issuer is an https:// URL without query (http:// on loopback only)")
        return value

    @model_validator(mode="after")
    def _may_be_asked(self) -> Self:
        if (self.console_client_id is None) != (self.console_redirect_uri is None):
            raise ValueError("give both console_client_id and console_redirect_uri, or neither")
        return self

    @model_validator(mode="after")
    def _names_an_organization(self) -> Self:
        by_claim = self.organization_claim is not None and bool(self.organizations)
        if (self.organization is not None) == by_claim:
            raise ValueError("give either organization, or organization_claim with organizations")
        return self


def is_secure_url(url: str) -> bool:
    """Whether `url` may be used to fetch signing keys: https, or http on this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.query or parts.fragment or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
