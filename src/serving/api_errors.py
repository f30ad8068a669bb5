"""Why the API does not start, or refuses a request: then a sentence in the form of OpenAI's errors, with its status.

Covers what a client can do wrong, and what can be wrong here. Does not check anything: the modules beside it do.
"""

from src.errors import DamagedFileError, UserError

RETRY_SECONDS = 5  # after which the line has moved on
INVALID, LIMITED, FAILED = "invalid_request_error", "rate_limit_error", "server_error"  # OpenAI's types


class RequestError(UserError):
    """A request that gets no answer.

    Args:
        status: of HTTP.
        message: the sentence.
        code: OpenAI's word for it, or one in its style.
        param: the field of the request that is at fault.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, headers

    @property
    def body(self) -> dict[str, dict[str, str | None]]:
        """The error as OpenAI's clients read it."""
        kind = FAILED if self.status >= 500 else LIMITED if self.status == 429 else INVALID
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def explain(error: Exception) -> RequestError:
    """What a client is told of an error; nothing of one that should not be."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, UserError) and not isinstance(error, DamagedFileError):
        return RequestError(400, str(error), "invalid_prompt", "messages")
    return RequestError(500, "The server failed at this request: its log names the place.", "internal_error")


def wrong_host() -> RequestError:
    """The request was meant for another machine, or a web page has it sent here under its own name."""
    return RequestError(
        403,
        "The Host header names another machine: ask for 127.0.0.1 or localhost, or start the server with --host.",
        "wrong_host",
    )


def wrong_key() -> RequestError:
    """The key is missing or another one."""
    return RequestError(
        401,
        "The key is missing or wrong: send the server's own as `Authorization: Bearer KEY`.",
        "invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


def wrong_type() -> RequestError:
    """The body is not announced as JSON, as a form of a web page is not."""
    return RequestError(
        415, "The body has to be JSON: send the header `Content-Type: application/json`.", "unsupported_media_type"
    )


def long_body(most: int) -> RequestError:
    """The body has more bytes than are read."""
    # The connection stays open, and the rest of the body is thrown away: closed, it might take this message along.
    return RequestError(413, f"The body has more than {most:,} bytes: shorten the messages.", "request_too_large")


def slow_body(seconds: float) -> RequestError:
    """The body does not arrive."""
    return RequestError(
        408,
        f"The body has not arrived within {seconds:g} seconds: send it at once.",
        "request_timeout",
        headers={"Connection": "close"},
    )


def wrong_address() -> RequestError:
    """There is nothing at this address."""
    return RequestError(
        404,
        "There is nothing at this address: ask for POST /v1/chat/completions, GET /v1/models or GET /health.",
        "unknown_url",
    )


def wrong_method() -> RequestError:
    """The address is asked for in another way."""
    return RequestError(
        405,
        "This address is asked for in another way: POST /v1/chat/completions, GET /v1/models, GET /health.",
        "method_not_allowed",
    )


def unreadable_body(reason: str) -> RequestError:
    """The body is no JSON object."""
    return RequestError(400, f"The body is not a JSON object ({reason}): correct it.", "invalid_json")


def unknown_model(known: list[str], model: str) -> RequestError:
    """There is no model of this name.

    Args:
        known: the names there are.
        model: as it was asked for, shown in the sentence.
    """
    message = f"There is no model {model}: choose {' or '.join(known)}."
    return RequestError(404, message, "model_not_found", "model")


def wrong_value(param: str, message: str) -> RequestError:
    """A field has a value that cannot be.

    Args:
        param: the field.
        message: the sentence about it.
    """
    return RequestError(400, message, "invalid_value", param)


def full_line(slots: int, waiting: int) -> RequestError:
    """Too many wait already.

    Args:
        slots: answers at once.
        waiting: who may wait beside them.
    """
    return RequestError(
        429,
        f"All {slots} slots are taken and {waiting} requests wait already: try again in {RETRY_SECONDS} seconds.",
        "queue_full",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def client_gone() -> RequestError:
    """Whoever asked has closed the connection; nobody reads this."""
    return RequestError(499, "The client has gone away.", "client_gone")


def stopping() -> RequestError:
    """The server is being stopped."""
    return RequestError(503, "The server is stopping: ask again once it has been started.", "server_stopping")


def odd_api_key(variable: str, shortest: int) -> UserError:
    """The key of the API can be guessed, or cannot be sent.

    Args:
        variable: of the environment, which holds it.
        shortest: characters.
    """
    return UserError(
        f"{variable} holds a key that is shorter than {shortest} characters, or has others than letters, digits and "
        "signs of ASCII: export one that `python -c 'import secrets; print(secrets.token_urlsafe())'` prints."
    )


def no_api_key(host: str, variable: str) -> UserError:
    """Other machines could ask without a key.

    Args:
        host: where the server was to listen.
        variable: of the environment, which holds no key.
    """
    return UserError(
        f"--host {host} lets other machines ask, and {variable} is not set: export a key, such as "
        "`python -c 'import secrets; print(secrets.token_urlsafe())'` prints, or leave --host out."
    )


def no_place(host: str, port: int, error: Exception) -> UserError:
    """The server cannot listen there.

    Args:
        host: as it was set.
        port: likewise.
        error: the system's.
    """
    reason = getattr(error, "strerror", None) or str(error)
    return UserError(f"--host {host} --port {port} cannot be listened on ({reason}): choose another --port or --host.")
