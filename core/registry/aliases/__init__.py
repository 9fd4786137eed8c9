"""Aliases: names that an organization, a project or one capability of it gives to a model."""
