"""The waybill: one signed document of a job's request, what ran, what it cost, and how to prove it."""
