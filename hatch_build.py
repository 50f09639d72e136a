"""Build hooks: the project's address, the napari manifest, and the compiled kernel.

``python hatch_build.py`` builds the kernel of full resolution in place, to work on a checkout.
"""

import importlib
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

KERNEL = Path("recolor_core", "full_resolution", "kernel.c")
"""Source of the kernel, from the top of the project."""

REQUIRE = "RECOLOR_REQUIRE_KERNEL"
"""Environment variable: if it is 1, a build without a C compiler fails."""


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
    """Put the manifest where napari looks for it, and the compiled kernel into the wheel.

    `napari_recolor/napari.yaml` is a symlink to `napari.yaml` at the top. Git on Windows without
    the right to make symlinks checks it out as a text file that holds the path. Neither a wheel nor
    an editable install can use that file, so the hook replaces it with a copy.

    The kernel is plain C without Python's headers. A wheel with it is for one platform and fits
    every Python. A build without a C compiler makes a pure wheel, with which NumPy does the
    kernel's work more slowly.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before a wheel, an editable wheel, or an sdist is put together."""
        link = Path(self.root, "napari_recolor", "napari.yaml")
        if not link.is_symlink():
            shutil.copyfile(Path(self.root, "napari.yaml"), link)
        if self.target_name != "wheel":
            return
        library = self._kernel()
        if library is not None and version != "editable":
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"
            build_data["artifacts"].append(library.relative_to(self.root).as_posix())

    def _kernel(self) -> Path | None:
        try:
            return build_kernel(Path(self.root))
        except Exception as error:
            if os.environ.get(REQUIRE) == "1":
                raise
            library_path(Path(self.root)).unlink(missing_ok=True)  # perhaps of an older source
            self.app.display_warning(
                f"full resolution is not compiled, NumPy will do its work more slowly: {error}"
            )
            return None


def library_path(root: Path) -> Path:
    """Return the path of the compiled kernel in the package."""
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    return (root / KERNEL).with_name(f"compiled{suffix}")


def build_kernel(root: Path) -> Path:
    """Compile the kernel into the package with the C compiler of the platform; give its path.

    No option depends on the machine that compiles. `-ffp-contract=off`: fused multiply-add would
    give other bits on other processors. `-fno-math-errno` and `-fno-trapping-math` only let square
    roots and comparisons be vector instructions; they change no result.
    """
    # Importing setuptools brings `distutils`, which finds the compiler on any system.
    importlib.import_module("setuptools")
    new_compiler = importlib.import_module("distutils.ccompiler").new_compiler
    customize_compiler = importlib.import_module("distutils.sysconfig").customize_compiler

    compiler = new_compiler()
    customize_compiler(compiler)
    if compiler.compiler_type == "msvc":
        options, libraries = ["/O2", "/fp:precise", "/std:c11"], []
    else:
        options = [
            *("-std=c11", "-O3", "-fvisibility=hidden"),
            *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
        ]
        libraries = ["m"]
    target = library_path(root)
    with tempfile.TemporaryDirectory() as folder:
        objects = compiler.compile([str(root / KERNEL)], folder, extra_postargs=options)
        linked = Path(folder, target.name)
        compiler.link_shared_object(
            objects,
            str(linked),
            libraries=libraries,
            export_symbols=["recolor_interface", "recolor_rows"],
        )
        # Renamed, not overwritten: a process may be using the old one.
        partial = target.with_name(target.name + ".part")
        shutil.copyfile(linked, partial)
        partial.replace(target)
    return target


if __name__ == "__main__":
    print(build_kernel(Path(__file__).resolve().parent))
