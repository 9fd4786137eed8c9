"""Aliases: names that an organization, a project or one of its capabilities gives to a model."""
