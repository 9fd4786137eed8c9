"""Checking a draft: what it claims, whether the sources that it cites say so, and what becomes of the rest."""
