"""A sample of a system that Waybill is attached to: the customer system of Veldhaven, a fictional parcel company.

It stands in for a company's own system and knows nothing of Waybill: it has its own database, tools over MCP, and rules
that apply to every caller. Nothing else of Waybill imports it.
"""
