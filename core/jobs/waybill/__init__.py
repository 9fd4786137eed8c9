"""The waybill: one signed document that says what a job was asked, what ran, what it cost, and how to prove it."""
