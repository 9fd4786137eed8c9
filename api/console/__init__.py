"""The web console: pages for people, rendered by the API under ``/console``. README.md says how to add one."""
