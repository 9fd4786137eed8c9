"""Query parameters by route. Unknown ones are refused by name: a misspelled filter must not be ignored."""

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params, get_validation_alias
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute

from api.problem import FieldProblem, invalid

_NAME_SHOWN_MAX = 100
_PROBLEMS_MAX = 20


class QueryParameters:
    """The names that `route` declares: in its signature, or in ``openapi_extra`` for those it parses itself."""

    def __init__(self, route: APIRoute) -> None:
        fields = get_flat_params(route.dependant)
        names = {get_validation_alias(field) for field in fields if _is_query(field.field_info)}
        extra = [each for each in (route.openapi_extra or {}).get("parameters", ()) if each["in"] == "query"]
        groups = {each["name"] for each in extra if each.get("style") == "deepObject"}
        self._names = frozenset(names | {each["name"] for each in extra} - groups)
        self._groups = frozenset(groups)
        # As they are written, for messages.
        self.known = (*sorted(self._names), *sorted(f"{each}[…]" for each in groups))

    def require_known(self, request: Request) -> None:
        """Raise `Unprocessable` naming each parameter that this route does not support, and those that it does."""
        if not request.scope["query_string"]:
            return
        unknown = [name for name in request.query_params if not self._is_known(name)]
        if unknown:
            takes = f"its parameters are {', '.join(self.known)}" if self.known else "it has no parameters"
            message = f"is not a query parameter of this route; {takes}"
            problems = [
                FieldProblem(path=f"query.{name[:_NAME_SHOWN_MAX]}", code="extra_forbidden", message=message)
                for name in unknown[:_PROBLEMS_MAX]
            ]
            raise invalid([each.model_dump() for each in problems])

    def _is_known(self, name: str) -> bool:
        if name in self._names:
            return True
        # The two forms of `api.jobs.metadata`: metadata[name] and metadata.name.
        group, bracket, rest = name.replace(".", "[", 1).partition("[")
        return group in self._groups and bool(bracket) and (name[len(group)] == "." or rest.endswith("]"))


def _is_query(info: object) -> bool:
    return getattr(info, "in_", None) is ParamTypes.query
