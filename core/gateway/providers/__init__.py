"""One file per provider of chat models. Each loads its library on first use, never at import."""
