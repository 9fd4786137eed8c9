"""The client for programs that work without `await`; all but `waiting` is generated from `waybill.client.aio`."""
