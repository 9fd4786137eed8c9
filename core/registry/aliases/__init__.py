"""Aliases: names that an organisation, a project or one capability of it gives to a model."""
