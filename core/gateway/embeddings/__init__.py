"""One file per embedding model. Each loads its runtime on first use, never at import."""
