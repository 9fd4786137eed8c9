"""The code that runs capabilities. Empty, since a child that only opens a file also imports it: see `capabilities`."""
