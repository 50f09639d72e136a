"""Rules for every test: no network, no settings of a user, a display if a test opens windows."""

import gc
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import hypothesis
import pytest

CI = os.environ.get("CI", "").lower() == "true"

# napari reads this when it is imported. It keeps the tests away from the settings of the user.
os.environ["NAPARI_CONFIG"] = ""

# No test depends on the speed of the machine. On CI every run tries the same examples.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if CI else "local")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Fail a test that reaches beyond this machine, since Recolor has to work offline."""

    def guard(connect: Any) -> Any:
        def guarded(sock: socket.socket, address: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                raise RuntimeError(f"a test tried to connect to {address}; tests use no network")
            return connect(sock, address)

        return guarded

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guard(getattr(socket.socket, name)))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_garbage_among_what_was_imported() -> Iterator[None]:
    """Keep the garbage collector from looking through all modules after each window.

    napari's fixture runs it for every test to find viewers that leak. The objects of a million
    lines of libraries are no such viewers.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def shipped_weights_are_read_once() -> Iterator[None]:
    """Read and hash the 60 MB that come with the package once, not for each colorizer.

    Files elsewhere, such as damaged copies, are read each time.
    """
    from recolor_core import weights
    from recolor_core.runtime import compiled

    shipped = Path(weights.__file__).parent / "data"

    def once(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
        kept = cache(read)
        return lambda path: (kept if Path(path).parent == shipped else read)(path)

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((weights, "sha256_of"), (compiled, "read_quantized")):
            patch.setattr(module, name, once(getattr(module, name)))
        yield


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why_no_display() -> str:
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return os.environ.get("RECOLOR_NO_DISPLAY", "")  # set by tasks.py, which looks closer
    return "no display: `make test` sets one up"


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gui = [item for item in items if _opens_windows(item)]
    reason = _why_no_display()
    if gui and reason and CI:
        raise pytest.UsageError(f"the tests of windows cannot run here: {reason}")
    for item in gui:
        item.add_marker("gui")
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    # The longest first, so that no process works alone at the end. What is slow counts as ten.
    work = Counter[str]()
    for item in items:
        work[_group(item)] += 10 if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: work[_group(item)], reverse=True)


def _group(item: pytest.Item) -> str:
    """What runs in one process, for xdist.

    Windows of two processes on one screen take the focus from each other. The tests of a file stay
    in one process, so that what a file's fixtures make is made once.
    """
    return "windows" if item.get_closest_marker("gui") else item.nodeid.partition("::")[0]


def _opens_windows(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    uses_qt = fixtures & {"qapp", "qtbot", "make_napari_viewer", "make_napari_viewer_proxy"}
    return bool(uses_qt) or item.get_closest_marker("gui") is not None
