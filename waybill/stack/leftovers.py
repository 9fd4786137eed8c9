"""Ignores the run file of a crashed stack."""

from pydantic import SecretStr

from core.kit.settings import Settings
from waybill.stack.home import Home
from waybill.stack.plan import is_in_environment


def without_leftovers(settings: Settings, home: Home) -> Settings:
    """`settings` without values from the run file of a stack that is no longer running."""
    leftovers = home.read_run_file().get("settings", {})
    kept = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        if name not in leftovers or leftovers[name] != plain or is_in_environment(name):
            kept[name] = value
    fresh = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    return Settings.model_construct(_fields_set=set(kept), **{**fresh, **kept})
