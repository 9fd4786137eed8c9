"""A sample of what Waybill is attached to: the customer system of Veldhaven, a parcel company that was made up.

It stands for a company's own system and knows nothing of Waybill: a database of its own, tools over MCP, and rules that
hold whoever calls. Nothing else of Waybill imports it.
"""
