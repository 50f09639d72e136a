"""All tasks of this project, from a bare checkout: ``python tasks.py test``.

This file needs only Python and git. It makes ``.venv`` beside itself and installs into it what the
task needs, in the versions of ``constraints.txt``. `make TASK` is the same. It uses only the
standard library, so that it starts on any machine.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.json"  # what the last set-up installed, and from which files
SAMPLES = ROOT / "recolor_core" / "data" / "samples"
DEMO = ROOT / "demo"
WINDOWS = sys.platform == "win32"
LINUX = sys.platform.startswith("linux")
CI = os.environ.get("CI", "").lower() == "true"
# What `quick` looks at: all but training, whose libraries take seconds to import.
QUICK = ["tests/core", "tests/napari", "tests/test_house.py"]
QUICK += ["--ignore-glob=tests/core/test_trainer*.py"]

# Packages of Debian and Ubuntu that Qt and OpenGL need to draw into a virtual screen.
DISPLAY_PACKAGES = [
    *("xvfb", "xauth"),
    *("libegl1", "libgl1", "libopengl0", "libglx-mesa0", "libgl1-mesa-dri"),
    *("libdbus-1-3", "libfontconfig1", "libglib2.0-0", "libxkbcommon-x11-0"),
    *("libxcb-cursor0", "libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1", "libxcb-randr0"),
    *("libxcb-render-util0", "libxcb-shape0", "libxcb-xinerama0", "libxcb-xkb1"),
]


# --- running things ---------------------------------------------------------------------------


def say(text: str) -> None:
    """Print at once, also into a pipe, so that our lines and a command's stay in order."""
    print(text, flush=True)


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command and stream its output; exit with its exit code if that is not 0."""
    words = [str(word) for word in command]
    say(f"$ {shlex.join(words)}")
    code = subprocess.run(words, cwd=cwd, env={**os.environ, **(env or {})}).returncode
    if code:
        sys.exit(code)


def bin_of(venv: Path, name: str) -> Path:
    """Path of a program in a virtual environment."""
    return venv / "Scripts" / f"{name}.exe" if WINDOWS else venv / "bin" / name


def tool(name: str) -> Path:
    """Path of a program in this project's virtual environment."""
    return bin_of(VENV, name)


# --- system packages (Debian, Ubuntu) ---------------------------------------------------------


def apt_missing(packages: Sequence[str]) -> list[str]:
    """List the packages that are not installed, neither as themselves nor under a newer name."""
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package} ${Provides}\n"]
    listing = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    lines = [line.replace(",", " ").split() for line in listing.splitlines()]
    present = {word for line in lines if line[0] == "installed" for word in line[1:]}
    return [package for package in packages if package not in present]


def apt_install(packages: Sequence[str], why: str) -> bool:
    """Install system packages if that needs no password; otherwise say what to run."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    sudo = ["sudo", "-n"]  # -n: fail rather than ask for a password
    if sys.platform != "win32" and os.geteuid() == 0:
        become_root = []
    elif (
        shutil.which("sudo") and not subprocess.run([*sudo, "true"], capture_output=True).returncode
    ):
        become_root = sudo
    else:
        say(f"{why} To install them: sudo apt-get update && sudo {shlex.join(command)}")
        return False
    say(f"{why} Installing them.")
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    for words in (["apt-get", "update", "-qq"], [*command, "-qq"]):
        say(f"$ {shlex.join([*become_root, *words])}")
        if subprocess.run([*become_root, *quiet, *words]).returncode:
            return False
    return True


# --- the virtual environment ------------------------------------------------------------------


def make_venv(path: Path) -> None:
    """Make a virtual environment, or exit with a message that says what is missing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older Python gets to see
        newer = "python3.12 tasks.py ..., or make PYTHON=python3.12 ..."
        sys.exit(
            f"Recolor needs Python 3.11 or newer; this is {platform.python_version()} "
            f"({sys.executable}). Run it with a newer one: {newer}"
        )
    # Debian and Ubuntu ship Python without the part of its standard library that makes virtual
    # environments, and one virtual environment cannot make another.
    if not importlib.util.find_spec("ensurepip"):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        why = f"Python's own venv and ensurepip are not installed ({sys.executable})."
        if not (shutil.which("apt-get") and apt_install([package], why)):
            sys.exit(f"{why} Install them, then run this again.")
    run(sys.executable, "-m", "venv", "--clear", path)


def install(extra: str = "") -> None:
    """Install the package with an extra of pyproject.toml into `.venv`, unless that is done."""
    sources = [ROOT / name for name in ("pyproject.toml", "constraints.txt", "hatch_build.py")]
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    python = tool("python")
    if not python.exists():
        make_venv(VENV)
    done = json.loads(STAMP.read_text()) if STAMP.exists() else {}
    extras = done.get("extras", []) if done.get("key") == key else []
    if extra in extras or (extras and not extra):
        return
    if LINUX and not any(VENV.glob("lib/python*/site-packages/torch")):
        say("Note: on Linux pip takes PyTorch with CUDA, several GB; README.md has a smaller way.")
    wanted = f".[{extra}]" if extra else "."
    run(python, "-m", "pip", "install", "-c", "constraints.txt", "-e", wanted)
    STAMP.write_text(json.dumps({"key": key, "extras": [*extras, extra]}))


# --- a display for napari ---------------------------------------------------------------------


def with_display() -> tuple[list[str | Path], dict[str, str]]:
    """Return what to put before a command that opens windows, and the environment that it needs.

    On Linux without a screen, the command runs on a virtual one. If there can be none, the
    environment tells the tests to skip those that open windows; on CI that is a failure.
    """
    if not LINUX:
        return [], {}
    problem = ""
    if shutil.which("dpkg-query"):
        missing = apt_missing(DISPLAY_PACKAGES)
        if missing and not apt_install(missing, "Tests of the napari plugin need a few libraries."):
            problem = f"missing system packages: {' '.join(missing)}"
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not problem and not screen and not shutil.which("xvfb-run"):
        problem = "neither a screen nor xvfb-run; install your system's package of Xvfb"
    if problem and CI:
        sys.exit(f"No display: {problem}")
    if problem:
        line = f"!!! NOT TESTED: the napari plugin's windows ({problem}) !!!"
        say(f"\n{'!' * len(line)}\n{line}\n{'!' * len(line)}\n")
        return [], {"RECOLOR_NO_DISPLAY": problem}
    return ([] if screen else ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24"]), {}


# --- the tasks --------------------------------------------------------------------------------


def demo(args: list[str]) -> None:
    """Colorize the bundled photographs into demo/ and show them before and after in one image."""
    install()
    samples = sorted(path for path in SAMPLES.iterdir() if path.suffix in {".jpg", ".png", ".tif"})
    run(tool("recolor"), *samples, "-o", DEMO, "--overwrite", *args)
    sheet = DEMO / "before-after.png"
    run(tool("python"), "tools/before_after.py", sheet, DEMO, *samples)
    for path in sorted(DEMO.iterdir()):
        say(str(path))
    say(f"\nBefore and after on one screen: {sheet}")


def test(args: list[str]) -> None:
    """Run every check and every test on all cores; arguments go to pytest."""
    install("dev")
    lint([])
    run_tests(args)


def quick(args: list[str]) -> None:
    """Run the fast tests of library and plugin, for while you work; arguments go to pytest."""
    install("dev")
    named = any((ROOT / word.partition("::")[0]).exists() for word in args)
    run_tests(["-m", "not slow and not gui", *([] if named else QUICK), *args])


def run_tests(args: list[str]) -> None:
    """Run pytest with one process for each core and one thread in each process."""
    display, env = with_display()
    # tests/conftest.py makes the groups and puts them in order.
    words = ["-n", "auto", "--dist", "loadgroup", "--no-loadscope-reorder"]
    env |= {"OMP_NUM_THREADS": "1"}
    run(*display, tool("python"), "-m", "pytest", *words, *args, env=env)


def lint(args: list[str]) -> None:
    """Check style, types, the directions of imports and the napari manifest."""
    install("dev")
    run(tool("ruff"), "check")
    run(tool("ruff"), "format", "--check")
    run(tool("mypy"))
    run(tool("lint-imports"))
    run(tool("npe2"), "validate", "napari-recolor")


def format(args: list[str]) -> None:
    """Format the code."""
    install("dev")
    run(tool("ruff"), "check", "--fix")
    run(tool("ruff"), "format")


def bench(args: list[str]) -> None:
    """Measure speed and memory; arguments go to pytest."""
    install("dev")
    run(tool("python"), "-m", "pytest", "tests/benchmarks", "-s", *args)


def soak(args: list[str]) -> None:
    """Colorize generated scans while the batch is killed again and again; nothing may be lost."""
    install("dev")
    run(tool("python"), "tools/soak.py", *args)


def soak_window(args: list[str]) -> None:
    """Open, run and close the napari panel a hundred times; the process must survive."""
    install("dev")
    display, env = with_display()
    run(*display, tool("python"), "tools/soak_window.py", *args, env=env)


def fuzz(args: list[str]) -> None:
    """Feed every reader with mutated files for as long as you let it run."""
    install("fuzz")
    run(tool("python"), "tools/fuzz.py", *args)


def screenshots(args: list[str]) -> None:
    """Make the images of the documentation anew."""
    install("dev")
    display, env = with_display()
    run(*display, tool("python"), "tools/screenshots.py", *args, env=env)
    run(*display, tool("python"), "tools/tour.py", env=env)
    run(tool("python"), "tools/failures.py")


def train_smoke(args: list[str]) -> None:
    """Run the whole training chain for a few steps."""
    install("dev")
    run(tool("python"), "-m", "training.smoke", *args)


def docs(args: list[str]) -> None:
    """Build the documentation site into docs/_build/html; a warning is an error."""
    install("docs")
    run(tool("sphinx-build"), "-W", "--keep-going", "-q", "docs", "docs/_build/html", *args)
    say(f"The site: {ROOT / 'docs' / '_build' / 'html' / 'index.html'}")


def audit(args: list[str]) -> None:
    """Look up the installed packages in a database of known vulnerabilities."""
    install("dev")
    run(tool("pip-audit"), "--skip-editable", *args)


def wheel(args: list[str]) -> None:
    """Build the wheel and try it in a fresh environment with the network unplugged."""
    install("dev")
    dist, venv = ROOT / "dist", ROOT / "build" / "wheel-venv"
    shutil.rmtree(dist, ignore_errors=True)
    run(tool("python"), "-m", "hatchling", "build", "--target", "wheel", "--directory", dist)
    (built,) = dist.glob("*.whl")
    make_venv(venv)
    python = bin_of(venv, "python")
    run(python, "-m", "pip", "install", "-c", "constraints.txt", f"{built}[napari]")
    # From another folder, so that it is the wheel that runs and not the checkout.
    away, dead_proxy = venv.parent, "http://127.0.0.1:9"
    env = {"HTTP_PROXY": dead_proxy, "HTTPS_PROXY": dead_proxy, "HF_HUB_OFFLINE": "1"}
    recolor = bin_of(venv, "recolor")
    run(recolor, "--version", cwd=away, env=env)
    sample = min(SAMPLES.glob("*.jpg"))
    run(recolor, sample, "-o", away / "wheel-demo", "--overwrite", cwd=away, env=env)
    run(bin_of(venv, "npe2"), "validate", "napari-recolor", cwd=away, env=env)


def clean(args: list[str]) -> None:
    """Remove what the other tasks made."""
    for name in (".venv", "demo", "build", "dist", ".mypy_cache", ".pytest_cache", ".ruff_cache"):
        shutil.rmtree(ROOT / name, ignore_errors=True)


TASKS: dict[str, Callable[[list[str]], None]] = {
    task.__name__.replace("_", "-"): task
    for task in (
        *(demo, test, quick, lint, format, docs, bench, soak, soak_window, fuzz),
        *(screenshots, train_smoke, audit, wheel, clean),
    )
}


def main() -> None:
    """Run the task named on the command line."""
    lines = [f"  {name:12} {task.__doc__}" for name, task in TASKS.items()]
    parser = argparse.ArgumentParser(
        usage="python tasks.py TASK [ARGUMENT ...]",
        description="\n".join(["tasks:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    TASKS[options.task](options.arguments)


if __name__ == "__main__":
    main()
