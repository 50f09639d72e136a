"""Send HTTP requests, retry failed ones, and respect the limits of the server."""

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
    """Limits on connections, waiting and retries for one server.

    Attributes
    ----------
    connections : int
        Maximum number of simultaneous connections.
    chunk : int
        Number of bytes in one request if the server supports ranges. A killed run loses at most
        this much for each connection.
    timeout : float
        Seconds without data after which a connection counts as stalled.
    attempts : int
        Number of consecutive failures without new data after which a request fails.
    backoff : float
        Seconds to wait after the first failure. The wait doubles with each further failure, up to
        one minute, and is reduced by up to half at random to spread out the connections.
    longest_wait : float
        Seconds. If the server asks (``Retry-After``) for a longer wait, the run ends.
    """

    connections: int = 8
    chunk: int = 8 << 20
    timeout: float = 30.0
    attempts: int = 6
    backoff: float = 1.0
    longest_wait: float = 300.0


class TryAgain(Exception):
    """A request failed for a possibly temporary reason; retry it, perhaps after `wait` seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Stopped(Exception):
    """Another thread has failed or the user has interrupted the run."""


@dataclass
class Client:
    """Requests of several threads to one server. As a context manager, it closes connections."""

    retry_policy: RetryPolicy
    stop: threading.Event = field(default_factory=threading.Event)
    _local: threading.local = field(default_factory=threading.local)
    _sessions: list[requests.Session] = field(default_factory=list)
    _not_before: float = 0.0  # a wait that the server asked for applies to all threads

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()

    def get(self, url: str, **headers: str) -> requests.Response:
        """Send one GET request without reading the body.

        Raises
        ------
        TryAgain
            If the server is busy.
        PrepareError
            If the server refuses permanently. An unsatisfiable range (416) is returned.
        """
        if not hasattr(self._local, "session"):  # threads cannot share a session safely
            self._local.session = requests.Session()
            self._sessions.append(self._local.session)
            # A compressed transfer could not be resumed or counted.
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
            raise PrepareError(f"{url} answers {status}: check the URL, or try again later.")
        return response

    def persist(
        self, url: str, action: Callable[[], Result], received: Callable[[], int] = lambda: 0
    ) -> Result:
        """Repeat `action` until it succeeds. Failures count only if no data is received.

        Parameters
        ----------
        url : str
            URL for messages.
        action : callable
            Function that raises `TryAgain` or an error of requests if it may be repeated.
        received : callable
            Returns the number of bytes that need not be requested again.

        Raises
        ------
        PrepareError
            If it failed too often in a row, or the server asks for too long a wait.
        Stopped
            If `stop` was set.
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
                        "Run the same command again to resume."
                    ) from error
                self._pause(url, failures, getattr(error, "wait", None))

    def _pause(self, url: str, failures: int, asked: float | None) -> None:
        if asked is None:
            longest = min(_LONGEST_BACKOFF, self.retry_policy.backoff * 2 ** (failures - 1))
            if self.stop.wait(longest * random.uniform(0.5, 1)):
                raise Stopped
        elif asked > self.retry_policy.longest_wait:
            raise PrepareError(
                f"{url} asks to wait {asked / 60:.0f} minutes: run the same command again then."
            )
        else:
            self._not_before = max(self._not_before, time.monotonic() + asked)


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds to wait from a ``Retry-After`` header (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
