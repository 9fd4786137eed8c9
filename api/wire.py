"""The base of everything that the API's documents describe."""

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A model that is built when it is first used: most of them only describe answers, and a start waits for none."""

    model_config = ConfigDict(defer_build=True)
