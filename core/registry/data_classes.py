"""The data classes, as the registry names them: where a model runs limits what it may be shown."""

from core.kit.data_classes import DataClass

__all__ = ["DataClass"]
