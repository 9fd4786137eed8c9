"""One file per provider of chat models. Each loads its library when it is first used, never at import."""
