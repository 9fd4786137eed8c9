"""What all answers have in common. Members this version does not know are kept, so that nothing is lost."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Resource(BaseModel):
    """Anything the API returns. Times are aware UTC, money is US dollars as `Decimal`."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    def as_json(self) -> dict[str, Any]:
        """The resource as plain JSON values, with every member the server sent and none it did not."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


class Page(Resource, Generic[Item]):
    """One page of a listing; `next_cursor` is None on the last."""

    data: list[Item]
    next_cursor: str | None = None
