"""HTTP requests that are repeated with patience, and not more often than a server likes."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests

from training.prepare.errors import PrepareError

Result = TypeVar("Result")

_AGENT = "recolor-prepare (research data; a few connections at a time)"
_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_BACKOFF = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """How to treat a server.

    Attributes
    ----------
    connections : int
        Number of connections at a time.
    chunk : int
        Bytes asked for in one request where the server sends ranges; what a killed run loses per
        connection.
    timeout : float
        Seconds without a byte after which a connection counts as stalled.
    attempts : int
        Failures in a row, without a byte in between, after which a request is given up.
    backoff : float
        Seconds waited after the first failure, doubled with each further one up to a minute, and
        shortened by up to a half at random so that connections do not come back all at once.
    longest_wait : float
        Seconds; a server that asks (``Retry-After``) for a longer pause ends the run.
    """

    connections: int = 8
    chunk: int = 8 << 20
    timeout: float = 30.0
    attempts: int = 6
    backoff: float = 1.0
    longest_wait: float = 300.0


class TryAgain(Exception):
    """A request failed in a way that may pass, perhaps after `wait` seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Stopped(Exception):
    """Another thread has failed or the user has interrupted: no need to go on."""


@dataclass
class Client:
    """Requests of several threads to one server; a context manager that closes connections."""

    retry_policy: RetryPolicy
    stop: threading.Event = field(default_factory=threading.Event)
    _local: threading.local = field(default_factory=threading.local)
    _sessions: list[requests.Session] = field(default_factory=list)
    _not_before: float = 0.0  # a pause that the server asked for holds for all threads

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()

    def get(self, url: str, **headers: str) -> requests.Response:
        """Send one GET request, the body not yet read.

        Raises
        ------
        TryAgain
            The server is busy.
        PrepareError
            It refuses for good. An unsatisfiable range (416) is returned as an answer.
        """
        if not hasattr(self._local, "session"):  # sessions are not safe to share among threads
            self._local.session = requests.Session()
            self._sessions.append(self._local.session)
            # A compressed transfer could be neither resumed nor counted.
            self._local.session.headers.update(
                {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
            )
        response: requests.Response = self._local.session.get(
            url, headers=headers, stream=True, timeout=self.retry_policy.timeout
        )
        status = f"{response.status_code} {response.reason}"
        if response.status_code in _MAY_PASS:
            wait = _seconds(response.headers.get("Retry-After"))
            response.close()
            raise TryAgain(f"the server answers {status}", wait)
        if response.status_code >= 400 and response.status_code != 416:
            response.close()
            raise PrepareError(f"{url} answers {status}: check the address, or try again later.")
        return response

    def persist(
        self, url: str, action: Callable[[], Result], received: Callable[[], int] = lambda: 0
    ) -> Result:
        """Repeat `action` until it succeeds; failures count only while nothing is received.

        Parameters
        ----------
        url : str
            For messages.
        action : callable
            Raises `TryAgain` or any error of requests where it may be repeated.
        received : callable
            Number of bytes that need not be asked for again.

        Raises
        ------
        PrepareError
            It has failed too often in a row, or the server asks for too long a pause.
        Stopped
            `stop` was set.
        """
        failures, before = 0, received()
        while True:
            pause = self._not_before - time.monotonic()
            if self.stop.wait(max(0.0, pause)):
                raise Stopped
            try:
                return action()
            except (TryAgain, requests.RequestException) as error:
                now = received()
                failures = 1 if now > before else failures + 1
                before = now
                if failures >= self.retry_policy.attempts:
                    raise PrepareError(
                        f"{url} failed {failures} times in a row, the last time with: {error}. "
                        "Run the same command again to go on from here."
                    ) from error
                self._pause(url, failures, getattr(error, "wait", None))

    def _pause(self, url: str, failures: int, asked: float | None) -> None:
        if asked is None:
            longest = min(_LONGEST_BACKOFF, self.retry_policy.backoff * 2 ** (failures - 1))
            if self.stop.wait(longest * random.uniform(0.5, 1)):
                raise Stopped
        elif asked > self.retry_policy.longest_wait:
            raise PrepareError(
                f"{url} asks to come back in {asked / 60:.0f} minutes: run the same command then."
            )
        else:
            self._not_before = max(self._not_before, time.monotonic() + asked)


def _seconds(retry_after: str | None) -> float | None:
    """Seconds to wait by a ``Retry-After`` header, a number or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
