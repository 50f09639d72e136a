"""Build hooks: the project's address, and the napari manifest on systems without symlinks."""

import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class AddressHook(MetadataHookInterface):
    """Add the address of the repository that builds the package to the package's metadata.

    The address comes from the environment of the release workflow, so a fork names itself, and a
    build from a folder names nothing.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``urls`` in the metadata."""
        server = os.environ.get("GITHUB_SERVER_URL")
        repository = os.environ.get("GITHUB_REPOSITORY")
        pages = {"Source": "", "Issues": "/issues", "Changelog": "/blob/main/CHANGELOG.md"}
        known = server and repository
        home = f"{server}/{repository}"
        metadata["urls"] = {name: home + page for name, page in pages.items()} if known else {}


class ManifestHook(BuildHookInterface[Any]):
    """Put the manifest into the package that napari looks into.

    `napari_recolor/napari.yaml` is a symlink to `napari.yaml` at the top. Git on Windows without
    the right to make symlinks checks it out as a text file that holds the path. Neither a wheel nor
    an editable install can use that file, so the hook replaces it with a copy.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before a wheel, an editable wheel, or an sdist is put together."""
        link = Path(self.root, "napari_recolor", "napari.yaml")
        if not link.is_symlink():
            shutil.copyfile(Path(self.root, "napari.yaml"), link)
