from tests.pipelines.customer_operations.conftest import desk, open_desk

__all__ = ["desk", "open_desk"]
