"""Build hook: the napari manifest, also where git cannot make symlinks."""

import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManifestHook(BuildHookInterface[Any]):
    """Put the manifest into the package that napari looks into.

    `napari_recolor/napari.yaml` is a symlink to `napari.yaml` at the top. Git on Windows without
    the right to make symlinks checks it out as a text file that holds the path, which neither a
    wheel nor an editable install could use, so that one is replaced by a copy.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before a wheel, an editable wheel or an sdist is put together."""
        link = Path(self.root, "napari_recolor", "napari.yaml")
        if not link.is_symlink():
            shutil.copyfile(Path(self.root, "napari.yaml"), link)
