"""Data classes in order of sensitivity, which decides where data may go and who may read what was made from it."""

from enum import StrEnum


class DataClass(StrEnum):
    """The sensitivity of data, from the lowest to the highest. Postgres has the same enum, in the same order."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"

    @property
    def rank(self) -> int:
        """The position in the order; a class may go where the ceiling's rank is not lower."""
        return list(DataClass).index(self)

    def is_within(self, ceiling: "DataClass") -> bool:
        """Whether data of this class may be shown where `ceiling` is the highest class allowed."""
        return self.rank <= ceiling.rank
