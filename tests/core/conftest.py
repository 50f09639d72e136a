# Imports of seconds are in the fixtures: pytest reads this file before it starts its processes.
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from recolor_core import Colorizer


@pytest.fixture(scope="session")
def film_colorizer(tmp_path_factory: pytest.TempPathFactory) -> Colorizer:
    """Small networks whose color memory keeps much of the frame before."""
    from .steady import small_colorizer

    return small_colorizer(tmp_path_factory.mktemp("weights"))
