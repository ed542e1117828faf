"""The base of every options model: unknown keys are errors, values are checked when read and never written to."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A frozen pydantic model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
