"""The policy tables, and the rules that decide by them."""
