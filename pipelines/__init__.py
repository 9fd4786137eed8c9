"""What capabilities run. Empty, since a child that only opens a file imports it, too: see `capabilities`."""
