"""Errors about experiments."""

from core.kit.errors import Conflict, NotFound


class ExperimentNotFound(NotFound):
    """No such experiment in the caller's organization."""

    default_code = "experiment_not_found"


class ExperimentNameTaken(Conflict):
    """The organization already has an experiment of that name."""

    default_code = "experiment_name_taken"


class ExperimentState(Conflict):
    """The experiment is in a state that does not allow this."""

    default_code = "experiment_state"


class AudienceTaken(Conflict):
    """Another experiment on the same capability and audience is running, paused, or promoted and still served."""

    default_code = "experiment_audience_taken"
