"""``/v1/models``, ``/v1/aliases`` and ``/v1/deployments``."""
