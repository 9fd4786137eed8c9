"""The only door to model providers. Importing this package loads no model runtime; `core.gateway.service` opens it."""
