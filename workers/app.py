"""The Celery application. Celery moves job ids; everything that must not be lost is in Postgres."""

from celery import Celery
from kombu.entity import Queue

from core.kit.errors import Unavailable
from core.kit.redis import tls_options
from core.kit.settings import Settings, get_settings
from workers.pools import queue_name

TASK = "waybill.run_job"


def create_app(settings: Settings) -> Celery:
    """The application for `settings`. Opens no connection."""
    if settings.redis_url is None:
        raise Unavailable(
            "REDIS_URL is not set and no embedded stack is running; start one with `waybill up`, or set it",
            code="redis_not_configured",
        )
    url = settings.redis_url.get_secret_value()
    app = Celery("waybill", broker=url, include=["workers.tasks.run_job"])
    app.conf.update(
        # Delivery. A message is only a hint to claim a row, so it may come twice, late or never.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_acks_on_failure_or_timeout=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        result_backend=None,
        accept_content=["json"],
        task_serializer="json",
        task_create_missing_queues=True,
        # Connections. Timeouts on everything: a half-open socket must not silence a worker.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport="workers.transport:Transport",
        broker_connection_timeout=settings.redis_timeout_seconds,
        # Without it, Celery connects to rediss:// and verifies nothing.
        broker_use_ssl=tls_options(url),
        broker_transport_options={
            "global_keyprefix": f"{{{settings.key_prefix}}}:",
            # No note in Redis of messages that are being worked on, four commands a message: the dispatcher notices a
            # job that no one has claimed, and a lease watches over one that was.
            "ack_emulation": False,
            "socket_timeout": 30.0,
            "socket_connect_timeout": settings.redis_timeout_seconds,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": True,
            "queue_order_strategy": "round_robin",
        },
        # Gossip, mingle and remote results leave keys behind that no one reads.
        event_queue_expires=60.0,
        control_queue_expires=60.0,
        worker_send_task_events=True,
        worker_consumer="workers.consumer:EventBatchingConsumer",
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_heartbeat=0,
        timezone="UTC",
        enable_utc=True,
    )
    return app


def queue(pool: str) -> Queue:
    """The Celery queue of a pool."""
    name = queue_name(pool)
    return Queue(name, routing_key=name)  # type: ignore[no-untyped-call]


app = create_app(get_settings()) if get_settings().redis_url else Celery("waybill")
