"""The domain of Waybill. Imports neither FastAPI nor an agent framework."""
