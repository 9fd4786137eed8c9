"""Pictures of the console's pages: ``make console-shots``."""
