"""The processes that schedule and run jobs: the dispatcher and the worker pools."""
