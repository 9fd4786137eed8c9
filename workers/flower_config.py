"""Flower's options. Flower reads them from this file, so the password is in no argument and no environment variable."""

from celery import current_app

from core.kit.settings import get_settings

# Flower knows brokers by the scheme of their address, and our transport hides it.
current_app.conf.broker_transport = None
_password = get_settings().flower_password
assert _password is not None, "WAYBILL_FLOWER_PASSWORD is not set"
basic_auth = [f"waybill:{_password.get_secret_value()}"]
read_only = True
persistent = False
max_tasks = 10_000
purge_offline_workers = 60
