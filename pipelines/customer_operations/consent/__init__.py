"""Whether the customer asks, here and now and for themselves, for what would be done."""
