"""The API of an annotation tool over HTTP: a secret that stays here, safe retries, plain errors.

The secret goes into the header of a request to the address that was given, and nowhere else:
redirects are not followed, errors are raised without the request that they came of, and what a
server says is shown without it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from polymux.errors import PolymuxError, UsageError, WorkError

# A server that takes in a hundred tasks may think for a while; one that is there answers the call.
_TIMEOUT = httpx2.Timeout(60.0, connect=10.0)
_PAUSES = (1.0, 3.0, 9.0)
_LONGEST_PAUSE = 60.0
_TOO_MANY = 429
_SHOWN = 300
_SUCH = "give one such as http://localhost:8080"
# A JSON Web Token is three parts of base64; a legacy token is a word of hexadecimal digits.
_JWT_DOTS = 2


class _Token(httpx2.Auth):
    """A legacy token as it is; a personal access token is exchanged for one that lives minutes."""

    requires_response_body = True

    def __init__(self, secret: str, exchange: str) -> None:
        self._secret = secret
        self._exchange = exchange
        self._access: str | None = None

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._secret.count(".") != _JWT_DOTS:
            request.headers["Authorization"] = f"Token {self._secret}"
            yield request
            return
        for _ in range(2):
            if self._access is None:
                told = yield httpx2.Request("POST", self._exchange, json={"refresh": self._secret})
                self._access = _access(told)
                if self._access is None:
                    return
            request.headers["Authorization"] = f"Bearer {self._access}"
            answer = yield request
            if answer.status_code != httpx2.codes.UNAUTHORIZED:
                return
            self._access = None

    def hide(self, text: str) -> str:
        """A text without any secret in it."""
        for secret in (self._secret, self._access):
            text = text.replace(secret, "***") if secret else text
        return text


def _access(answer: httpx2.Response) -> str | None:
    told = _json(answer)
    access = told.get("access") if isinstance(told, dict) else None
    return access if isinstance(access, str) else None


def _json(answer: httpx2.Response) -> Any:
    """What an answer tells, or None where it is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


class Connection:
    """What is asked of one server. `variable` names where the secret is: in the environment."""

    def __init__(self, url: str, variable: str, *, exchange: str) -> None:
        self.url = _address(url, variable)
        self._variable = variable
        self._token = _Token(_secret(variable), f"{self.url}/{exchange}")
        self._client = httpx2.Client(auth=self._token, timeout=_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
        has: str | None = None,
        absent: PolymuxError | None = None,
    ) -> Any:
        """What the server answers, as JSON. `absent` is raised where there is nothing (404).

        `has` is a key that the answer of this tool has, and another server's has not.

        Asked again, after a pause, is what the server refused for being too much (429), and what
        only reads if it failed on the way. What may have been done is never done again.

        Raises:
            UsageError: the address or the secret is a wrong one.
            WorkError: the server does not answer, or refuses.
        """
        for pause in (*_PAUSES, None):
            answer = self._once(method, path, params, body)
            if pause is None or not _may_ask_again(method, answer):
                break
            time.sleep(_wait(answer, pause))
        if isinstance(answer, httpx2.Response):
            if absent is not None and answer.status_code == httpx2.codes.NOT_FOUND:
                raise absent
            if not answer.is_success:
                raise self._refusal(answer, f"{method} {self.url}/{path}")
            told = _json(answer)
            if told is not None and (has is None or (isinstance(told, dict) and has in told)):
                return told
            answer = self._no_tool()
        raise answer

    def _once(
        self, method: str, path: str, params: Mapping[str, str | int] | None, body: Any
    ) -> httpx2.Response | PolymuxError:
        """An answer or the error to raise, which is raised elsewhere: it would hold the request."""
        try:
            return self._client.request(method, f"{self.url}/{path}", params=params, json=body)
        except (httpx2.InvalidURL, UnicodeError):
            return UsageError(f"{self.url} is no address of a server", _SUCH)
        except httpx2.ConnectError as error:
            return UsageError(
                f"{self.url} cannot be reached: {self._token.hide(str(error))}",
                "look whether the server runs, and whether --url is its address",
            )
        except httpx2.TimeoutException:
            return WorkError(
                f"{self.url} did not answer in time",
                "look whether the server is well, and run this again: nothing is done twice",
            )
        except httpx2.HTTPError as error:
            return WorkError(
                f"{self.url} broke off: {self._token.hide(str(error))}",
                "look whether the server is well, and run this again: nothing is done twice",
            )

    def _refusal(self, answer: httpx2.Response, asked: str) -> PolymuxError:
        status, said = answer.status_code, self._said(answer)
        if status == httpx2.codes.UNAUTHORIZED:
            return UsageError(
                f"{self.url} does not take the token of {self._variable}: {said}",
                "copy the token of your account there once more; a legacy token has to be allowed "
                "by the organization",
            )
        if status == httpx2.codes.FORBIDDEN:
            return UsageError(
                f"the account of the token may not do this at {self.url}: {said}",
                "take the token of an account that may, or have it allowed there",
            )
        if answer.has_redirect_location:
            goal = urlsplit(str(answer.url.join(answer.headers["location"])))
            return UsageError(
                f"{self.url} sends on to {goal.scheme}://{goal.netloc.rpartition('@')[2]}, where "
                "the token does not go by itself",
                "give --url the address where the server is",
            )
        if status == httpx2.codes.NOT_FOUND:
            return self._no_tool()
        return WorkError(
            f"{asked}: {status}: {said}",
            "look into the server's log; once it is well, run this again: nothing is done twice",
        )

    def _no_tool(self) -> PolymuxError:
        return UsageError(
            f"{self.url} does not answer as the tool's API does",
            "give --url the address alone, such as http://localhost:8080",
        )

    def _said(self, answer: httpx2.Response) -> str:
        """What the server says of a refusal, on one line."""
        told = _json(answer)
        if told is None:
            told = answer.reason_phrase
        if isinstance(told, dict):
            told = told.get("validation_errors") or told.get("detail") or told
        return self._token.hide(" ".join(str(told).split()))[:_SHOWN]


def _secret(variable: str) -> str:
    secret = os.environ.get(variable, "").strip()
    if not secret:
        raise UsageError(
            f"there is no token in the environment variable {variable}",
            "copy it from your account's settings there; it is taken from nowhere else",
        )
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise UsageError(f"what {variable} holds is no token", "copy it once more, nothing else")
    return secret


def _address(url: str, variable: str) -> str:
    """A server's address without a slash at its end. One with a secret in it is not shown."""
    if "@" in url:
        raise UsageError(
            "the address of --url carries a name or a password",
            f"give it without; the token is taken from {variable}",
        )
    try:
        parts = urlsplit(url)
        host, fits = parts.hostname, parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        host, fits = None, False
    if not fits or not host or parts.query or parts.fragment:
        raise UsageError("--url is no address of a server", _SUCH)
    if os.environ.get("POLYMUX_OFFLINE") == "1" and not _here(host):
        raise UsageError(
            f"{host} is another machine, and POLYMUX_OFFLINE is 1", "unset it, or export to a file"
        )
    return url.rstrip("/")


def _here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _may_ask_again(method: str, answer: httpx2.Response | PolymuxError) -> bool:
    if isinstance(answer, PolymuxError):
        # An address where nobody listens will not be better in a moment.
        return method == "GET" and isinstance(answer, WorkError)
    return answer.status_code == _TOO_MANY or (method == "GET" and answer.is_server_error)


def _wait(answer: httpx2.Response | PolymuxError, pause: float) -> float:
    asked = "" if isinstance(answer, PolymuxError) else answer.headers.get("retry-after", "")
    return min(float(asked) if asked.isdecimal() else pause, _LONGEST_PAUSE)
