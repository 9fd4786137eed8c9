"""The policy tables, and the rules that apply them."""
