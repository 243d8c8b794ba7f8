"""Ask a server by HTTP, for sinks whose server has no client library that is kept well."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import requests

from dicomframe.sinks.plugin import InvalidOptionError, ServerBusy, SinkError, Target

__all__ = ["OPTIONS", "HttpServer"]

OPTIONS = {
    "user": "the name for HTTP Basic authentication",
    "password": "the password of that user",
    "ca_certs": "a file of certificates that the server's one is checked with",
    "timeout_seconds": "how long an answer is waited for, 60 by default",
}
"""The options of a target that `HttpServer` takes."""


class HttpServer:
    """Keep one connection to the server of a target, and speak JSON on it.

    Parameters
    ----------
    target
        Where the server is, with those of `OPTIONS`.

    Raises
    ------
    InvalidOptionError
        An option has a value that it cannot have.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        options = target.options
        self._timeout_seconds = options.get("timeout_seconds", 60)
        if not isinstance(self._timeout_seconds, int | float) or self._timeout_seconds <= 0:
            raise InvalidOptionError("the option 'timeout_seconds' must be a number above 0")
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        if ("user" in options) != ("password" in options):
            raise InvalidOptionError("the options 'user' and 'password' must be given together")
        if "user" in options:
            # Latin-1 is what requests itself would take.
            user, password = (str(options[name]).encode() for name in ("user", "password"))
            self._session.auth = (user, password)
        self._verify: bool | str = True
        if "ca_certs" in options:
            path = str(options["ca_certs"])
            if not Path(path).is_file():
                raise InvalidOptionError(
                    f"the option 'ca_certs' names no file here, found {path!r}"
                )
            self._verify = path

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        form: Mapping[str, Any] | None = None,
        may_answer: Collection[int] = (),
        shown_path: str | None = None,
    ) -> requests.Response:
        """Return the answer to one request, which is sent once.

        Parameters
        ----------
        method, path
            What is asked; the path begins with a slash.
        params
            Of the URL; a list is a parameter that comes more than once.
        body
            Sent as JSON.
        form
            Sent as a form, in place of `body`.
        may_answer
            Statuses besides those below 300 that are the caller's to understand.
        shown_path
            What messages show in place of a path that holds a value of a document.

        Raises
        ------
        ServerBusy
            It may answer later.
        SinkError
            It answered with another status.
        """
        # The text of an error of requests holds the whole URL, and that may hold values.
        try:
            answer = self._session.request(
                method,
                f"{self._target.server}{path}",
                params=params,
                json=body,
                data=form,
                timeout=self._timeout_seconds,
                # Of the session it would give way to REQUESTS_CA_BUNDLE.
                verify=self._verify,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError:
            raise SinkError(
                f"no TLS with {self._target.server!r}; name the file that checks its certificate "
                "as the option 'ca_certs', or write +http:// if it speaks no TLS"
            ) from None
        except requests.RequestException as error:
            raise ServerBusy(f"no answer, {type(error).__name__}") from None
        status = answer.status_code
        if status < 300 or status in may_answer:
            return answer
        if status in _BUSY:
            raise ServerBusy(f"the server answered {status}", _read_delay(answer))
        if status in (401, 403):
            raise SinkError(
                f"{self._target!r} refuses the credentials with {status}; give a 'user' and a "
                "'password' that may write there as options"
            )
        raise SinkError(
            f"{self._target.server!r} answered {status} to {method} {shown_path or path!r}"
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()


def _read_delay(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
