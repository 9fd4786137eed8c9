"""Decides whether the customer, in this message and for themselves, requests the action to be taken."""
