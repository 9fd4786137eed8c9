"""Who may read results of classified data: a key's clearance is the highest class of results it may read."""

from core.keys.errors import ClearanceExceeded
from core.keys.principal import Principal
from core.kit.data_classes import DataClass


def is_cleared(principal: Principal, data_class: DataClass) -> bool:
    """Whether the caller may read content of this class."""
    return data_class.is_within(principal.clearance)


def require_cleared(principal: Principal, data_class: DataClass, what: str = "this job") -> None:
    """Raise `ClearanceExceeded` unless the caller may read content of this class. `what` starts the message."""
    if not is_cleared(principal, data_class):
        raise ClearanceExceeded(
            f"{what} is {data_class}, and your key may read up to {principal.clearance}",
            data_class=data_class,
            clearance=principal.clearance,
        )
