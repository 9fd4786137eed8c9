"""Checks that Redis responds, does not evict keys, and allows commands over several of our keys.

Celery and our own scripts name several keys in one command. A cluster allows that only for keys of one hash slot
(redis.io, cluster specification), which is why all our keys carry one hash tag; and a client that does not know of the
cluster cannot follow slots across servers. Managed services offer policies that hide the
cluster (Azure: "Enterprise" or non-clustered); with the open-source policy Celery does not work.
"""

import secrets
from collections.abc import Mapping
from typing import Any, cast

import redis
from redis.exceptions import AuthenticationError, MovedError, OutOfMemoryError, ResponseError

from core.kit.redis import connect
from core.kit.settings import Settings
from waybill.stack.doctor.check import Check, fail, is_this_machine, ok, one_line, warn

_VERSION_MIN = (6, 2)
_PROBE_SECONDS = 30
_POLICY_REMEDY = (
    "use a Redis that is not clustered, or one whose cluster policy hides the shards (Azure Managed Redis: "
    "Enterprise or non-clustered, not OSS)"
)
_TOUCH_TOGETHER = "for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[1], 'EX', ARGV[2]) end return #KEYS"


def check_redis(settings: Settings) -> list[Check]:
    """Check Redis over one connection; leaves no key behind."""
    name = "Redis"
    if settings.redis_url is None:
        return [ok(name, "REDIS_URL is not set; `waybill up` starts its own Valkey")]
    try:
        client = connect(settings)
    except ValueError as error:
        return [fail(name, one_line(error), "use the form redis://:password@host:6379/0, or rediss:// for TLS")]
    with client:
        try:
            info: dict[str, Any] = client.info()
        except AuthenticationError as error:
            return [fail(name, one_line(error), "check the user and the password in REDIS_URL")]
        except (redis.RedisError, OSError) as error:
            return [fail(name, one_line(error), _unreachable_remedy(settings, error))]
        checks = [
            _version(info, client),
            _tls(client),
            _database(client),
            check_eviction(str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))),
            _persistence(info, client),
        ]
        try:
            return [*checks, _cluster(info, client), _together(settings, client)]
        except (redis.RedisError, OSError) as error:
            return [*checks, fail("Redis keys", one_line(error), "check the server's log")]


def check_eviction(policy: str, maxmemory_bytes: int) -> Check:
    """Check the policy for full memory: ``noeviction`` refuses writes, any other evicts keys."""
    name = "Redis eviction"
    found = f"maxmemory-policy {policy}, " + (f"{maxmemory_bytes // 1024**2} MB" if maxmemory_bytes else "no limit")
    remedy = "set maxmemory-policy noeviction: otherwise waiting messages can be evicted"
    if policy == "noeviction":
        return ok(name, found)
    return fail(name, found, remedy) if policy.startswith("allkeys") and maxmemory_bytes else warn(name, found, remedy)


def _version(info: dict[str, Any], client: "redis.Redis") -> Check:
    valkey = info.get("valkey_version")
    version = str(valkey or info.get("redis_version", "0"))
    options = client.connection_pool.connection_kwargs
    found = f"{'Valkey' if valkey else 'Redis'} {version} at {options.get('host')}:{options.get('port')}"
    if tuple(int(part) for part in version.split(".")[:2]) >= _VERSION_MIN:
        return ok("Redis", found)
    return fail("Redis", found, "Waybill needs Redis 6.2 or newer, or any Valkey")


def check_tls(options: Mapping[str, Any] | None, *, is_local: bool) -> Check:
    """Check that the connection is encrypted and the server verified. `options` are redis-py's; None without TLS."""
    name, remedy = (
        "Redis TLS",
        "use rediss:// in REDIS_URL, and set a private certificate authority with ?ssl_ca_certs=FILE",
    )
    if options is not None and options.get("ssl_cert_reqs", "required") == "required":
        if options.get("ssl_check_hostname", True):
            return ok(name, "the server's certificate is verified")
        unverified = "host name"
    else:
        unverified = "certificate"
    if is_local:
        return ok(name, "the server is on this machine")
    if options is None:
        return warn(name, "not encrypted: everything, including the password, can be read on the network", remedy)
    return warn(
        name,
        f"encrypted, but the server's {unverified} is not verified",
        f"remove the option that disables it; {remedy}",
    )


def _tls(client: "redis.Redis") -> Check:
    pool = client.connection_pool
    options = pool.connection_kwargs if issubclass(pool.connection_class, redis.SSLConnection) else None
    host = pool.connection_kwargs.get("host")
    return check_tls(options, is_local=host is None or is_this_machine(host))


def _database(client: "redis.Redis") -> Check:
    number = int(client.connection_pool.connection_kwargs.get("db") or 0)
    if number == 0:
        return ok("Redis database", "0")
    return warn(
        "Redis database",
        f"{number}; clusters and managed services have only database 0",
        "use database 0, and WAYBILL_KEY_PREFIX to separate installations",
    )


def _persistence(info: dict[str, Any], client: "redis.Redis") -> Check:
    name = "Redis persistence"
    if int(info.get("aof_enabled", 0)):
        return ok(name, "append-only file")
    try:
        snapshots = cast("dict[str, str]", client.config_get("save")).get("save", "")
    except ResponseError:
        return ok(name, "managed by the provider; this service does not show its configuration")
    if snapshots:
        return ok(name, f"snapshots ({snapshots})")
    return warn(
        name,
        "none: a restart loses waiting messages; their jobs are dispatched again from Postgres some seconds later",
        "set appendonly yes",
    )


def _cluster(info: dict[str, Any], client: "redis.Redis") -> Check:
    name = "Redis cluster"
    if not int(info.get("cluster_enabled", 0)):
        return ok(name, "not clustered")
    state = _cluster_state(client)
    shards = int(state.get("cluster_size", 0))
    if shards > 1:
        return fail(name, f"a cluster of {shards} shards, which Celery cannot use", _POLICY_REMEDY)
    if state.get("cluster_state") != "ok":
        return fail(name, f"cluster state {state.get('cluster_state', 'unknown')}", "run CLUSTER INFO on the server")
    return warn(name, "a cluster of one shard: works until a second shard is added", _POLICY_REMEDY)


def _cluster_state(client: "redis.Redis") -> dict[str, str]:
    answer: Any = client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    if isinstance(answer, dict):
        return {str(key): str(value) for key, value in answer.items()}
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    return dict(line.split(":", 1) for line in text.split() if ":" in line)


def _together(settings: Settings, client: "redis.Redis") -> Check:
    """Use keys such as those of queues, streams and counters in one transaction and one script."""
    name = "Redis keys"
    nonce = secrets.token_hex(4)
    keys = [settings.key("doctor", nonce, part) for part in ("queue", "unacked", "events")]
    try:
        with client.pipeline(transaction=True) as transaction:
            for key in keys:
                transaction.set(key, b"1", ex=_PROBE_SECONDS)
            transaction.execute()
        client.eval(_TOUCH_TOGETHER, len(keys), *keys, "1", str(_PROBE_SECONDS))
        client.delete(*keys)
    except OutOfMemoryError:
        return fail(
            name,
            "the server is full and takes no more keys",
            "give it more memory (maxmemory), or find what fills it: docs/runbooks/redis-full.md",
        )
    except MovedError as error:
        return fail(name, f"keys are on another server of a cluster ({one_line(error)})", _POLICY_REMEDY)
    except ResponseError as error:
        text = one_line(error)
        if "CROSSSLOT" in text.upper() or "same slot" in text:
            return fail(
                name,
                f"the cluster refuses to use our keys together (CROSSSLOT): the prefix {settings.key_prefix!r} does "
                "not make one hash tag",
                "set WAYBILL_KEY_PREFIX to a plain word without braces, or use a Redis that is not clustered",
            )
        return fail(name, text, _POLICY_REMEDY if "CLUSTERDOWN" in text else "allow this user scripts and transactions")
    return ok(name, f"transactions and scripts over several keys work, with the prefix {settings.key('')[:-1]}")


def _unreachable_remedy(settings: Settings, error: Exception) -> str:
    assert settings.redis_url is not None
    if "DB index" in str(error) or "SELECT" in str(error):
        return "this service has only database 0: end REDIS_URL with /0"
    if settings.redis_url.get_secret_value().startswith("redis://"):
        return "check that REDIS_URL names a running server; a service that wants TLS needs rediss://"
    return "check that REDIS_URL names a running server"
