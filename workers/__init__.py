"""The processes that decide and do: dispatcher and worker pools."""
