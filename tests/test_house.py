"""The house as a whole: packaging, imports, manifest."""

import ast
import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManager, PluginManifest

ROOT = Path(__file__).parents[1]

# An sdist is no clone: who packages Recolor for a distribution runs the tests from there.
in_a_clone = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="asks git which files belong to the project"
)


def python(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )


def test_one_version_everywhere():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d[^]]*)\]", changelog, re.MULTILINE)

    import recolor_core

    assert newest
    assert newest[1] == declared
    assert version("napari-recolor") == declared
    assert recolor_core.__version__ == declared


def test_importing_the_library_loads_nothing_heavy():
    code = "import json, sys, recolor_core; print(json.dumps(sorted(sys.modules)))"
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    loaded = {name.partition(".")[0] for name in json.loads(result.stdout)}
    heavy = {"torch", "napari", "napari_recolor", "qtpy", "PyQt6", "PySide6", "numpy", "PIL"}
    assert "recolor_core" in loaded
    assert not loaded & heavy


def test_importing_the_plugin_loads_no_torch():
    result = python("-c", "import sys, napari_recolor; sys.exit('torch' in sys.modules)")
    assert result.returncode == 0, result.stderr


def test_manifest_is_found_as_napari_finds_it():
    (entry,) = (e for e in entry_points(group="napari.manifest") if e.name == "napari-recolor")
    assert entry.value == "napari_recolor:napari.yaml"
    plugins = PluginManager()
    plugins.discover()
    found = plugins.get_manifest("napari-recolor")
    assert found.contributions == PluginManifest.from_file(ROOT / "napari.yaml").contributions
    assert found.package_version == version("napari-recolor")


def test_network_guard_refuses_other_machines_and_lets_this_one_through():
    with socket.socket() as away, pytest.raises(RuntimeError, match="no network"):
        away.connect(("192.0.2.1", 80))  # RFC 5737: an address nobody has
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CODE = ("recolor_core", "napari_recolor", "training", "tools", "docs", "tasks.py", "hatch_build.py")


def unpickling(source: str) -> list[str]:
    """What in a module may unpickle a file, and with it run code of whoever wrote the file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            found += [f"import {name}" for name in names & UNPICKLERS]
        elif isinstance(node, ast.ImportFrom):
            found += [f"import {node.module}"] * ((node.module or "").split(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            safe = {"torch.load": options.get("weights_only") == "True"}
            if not safe.get(call, "read_pickle" not in call):
                found.append(call)
            if options.get("allow_pickle", "False") != "False":
                found.append(f"{call} with allow_pickle")
    return found


@in_a_clone
def test_nothing_is_unpickled():
    listing = subprocess.run(["git", "ls-files", *CODE], cwd=ROOT, capture_output=True, text=True)
    paths = [ROOT / name for name in listing.stdout.splitlines() if name.endswith(".py")]
    assert len(paths) > 200
    found = {path: unpickling(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import os, dill.detect",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pandas.read_pickle(path)",
    ],
)
def test_what_unpickles_is_found(line: str):
    assert len(unpickling(line)) == 1
    assert unpickling("torch.load(path, weights_only=True); np.load(path); import json") == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    result = python("-m", "hatchling", "build", "--target", "wheel", "--directory", out)
    assert result.returncode == 0, result.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


@in_a_clone
@pytest.mark.slow
def test_wheel_holds_the_two_packages_and_their_data(wheel: zipfile.ZipFile):
    names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"recolor_core", "napari_recolor", f"{wheel_stem()}.dist-info"}
    for package in ("recolor_core", "napari_recolor"):
        tracked = subprocess.run(
            ["git", "ls-files", package], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        assert tracked
        assert set(tracked) <= set(names)
    # These tests need a C compiler, as every build of a release does.
    assert [name for name in names if name.startswith("recolor_core/full_resolution/compiled.")]


def requirements(names: list[str]) -> set[str]:
    """Requirements as ``name>=version``, without spaces, extras and markers."""
    return {re.sub(r"\s|;.*|\[.*?\]", "", name) for name in names}


def test_conda_recipe_needs_what_the_package_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8"))
    # The one name that differs between the indexes.
    ours = requirements([re.sub("^torch>", "pytorch>", name) for name in project["dependencies"]])
    theirs = requirements(recipe["requirements"]["run"])
    assert theirs == ours | {f"python{project['requires-python']}"}
    assert recipe["package"]["version"] == project["version"]


def test_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version("napari-recolor")


@pytest.mark.parametrize(
    ("server", "repository", "expected"),
    [("https://example.org", "a/recolor", "https://example.org/a/recolor"), ("", "", None)],
)
def test_metadata_names_the_repository_that_builds_it(
    monkeypatch: pytest.MonkeyPatch, server: str, repository: str, expected: str | None
):
    monkeypatch.setenv("GITHUB_SERVER_URL", server)
    monkeypatch.setenv("GITHUB_REPOSITORY", repository)
    result = python("-m", "hatchling", "metadata")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout).get("urls", {}).get("Source") == expected


@pytest.mark.slow
def test_wheel_manifest_is_the_manifest_and_no_link(wheel: zipfile.ZipFile):
    text = wheel.read("napari_recolor/napari.yaml").decode()
    assert text.splitlines() == (ROOT / "napari.yaml").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_wheel_manifest_is_right_where_git_makes_no_symlinks(tmp_path: Path):
    # What Git for Windows leaves: a text file that holds the target's path.
    for name in ("pyproject.toml", "hatch_build.py", "napari.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for package in ("recolor_core", "napari_recolor"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "napari_recolor" / "napari.yaml").write_text("../napari.yaml")
    result = python("-m", "hatchling", "build", "--target", "wheel", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (path,) = (tmp_path / "dist").glob("*.whl")
    text = zipfile.ZipFile(path).read("napari_recolor/napari.yaml")
    assert text == (ROOT / "napari.yaml").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "bad_import", "contract"),
    [
        ("recolor_core/lab.py", "recolor_core.models.generator", "who may import whom"),
        ("recolor_core/models/generator.py", "recolor_core.weights", "who may import whom"),
        ("recolor_core/odds_and_ends.py", "recolor_core.lab", "who may import whom"),
        ("recolor_core/lab.py", "qtpy", "any GUI"),
        ("recolor_core/colorizer.py", "napari_recolor", "the plugin"),
        ("napari_recolor/__init__.py", "training", "do not meet"),
    ],
)
def test_import_contracts_catch_what_they_are_for(
    tmp_path: Path, module: str, bad_import: str, contract: str
):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("recolor_core", "napari_recolor", "training"):
        ignore = shutil.ignore_patterns("data", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    lint = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert lint

    def broken() -> list[str]:
        result = subprocess.run([lint, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
        assert "Contracts:" in result.stdout
        return [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]

    assert broken() == []
    with (tmp_path / module).open("a") as file:
        file.write(f"\nimport {bad_import}\n")
    assert any(contract in line for line in broken())


def wheel_stem() -> str:
    return f"napari_recolor-{version('napari-recolor')}"
