"""Whether the release before runs on the newest schema: ``make compat``."""
