"""Errors as OpenAI's clients know them."""

from typing import Any


class ApiError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: of HTTP.
        message: the value, what is allowed, and the remedy.
        param: the field at fault, if it is one.
        kind: OpenAI's ``type``.
        code: OpenAI's ``code``.
    """

    def __init__(self, status: int, message: str, param: str | None = None, kind: str = "invalid_request_error",
                 code: str | None = None) -> None:
        """See the class."""
        super().__init__(message)
        self.status, self.message, self.param, self.kind, self.code = status, message, param, kind, code

    def body(self) -> dict[str, Any]:
        """The answer's body."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def failed(error: Exception) -> ApiError:
    """What a client is told when its request failed on its way."""
    if isinstance(error, ValueError):
        return ApiError(400, str(error))
    return ApiError(500, f"decoding failed: {error}", kind="server_error", code="engine_error")
