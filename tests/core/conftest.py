import pytest

from recolor_core import Colorizer

from .steady import small_colorizer


@pytest.fixture(scope="session")
def film_colorizer(tmp_path_factory: pytest.TempPathFactory) -> Colorizer:
    """Small networks whose color memory keeps much of the frame before."""
    return small_colorizer(tmp_path_factory.mktemp("weights"))
