"""The gateway to model providers. Importing this package loads no model runtime; `core.gateway.service` opens it."""
