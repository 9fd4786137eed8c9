"""The data classes, as the registry names them: where a model runs limits which data it may receive."""

from core.kit.data_classes import DataClass

__all__ = ["DataClass"]
