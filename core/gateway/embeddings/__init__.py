"""One file per embedding model. Each loads its runtime when it is first used, never at import."""
