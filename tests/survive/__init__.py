"""``python -m tests.survive``: the failures this product must survive, in their long form, as a table."""
