"""The client for programs that work with `await`; the source of the other one (`python -m waybill.client.generate`)."""
