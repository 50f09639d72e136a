"""The finished parts of a film, and how to continue after an interruption.

A folder beside the output holds them. A part is done when its record exists; the state to continue
from is written before the record. Nothing is ever half written.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from recolor_core.files import explained, write_file
from recolor_core.film.errors import FilmError
from recolor_core.frames import FrameState
from recolor_core.guides.shots import Shots, read_shots
from recolor_core.hints import Hint
from recolor_core.models.memory import MemoryState

FOLDER_ENDING = ".recolor-part"
"""The ending of the name of the folder with the parts of an output."""

_JOB, _JOINING, _SHOTS = "job.json", "joining", "shots.json"


@dataclass(frozen=True)
class FrameRecord:
    """The record of a finished frame.

    Parameters
    ----------
    number : int
        Its number in the film.
    pts, duration : int
        In the time base of the film.
    first : bool
        Whether nothing was carried over from the frame before.
    uncertainty : float
        Mean standard deviation of its predicted color, in Lab units.
    gray_sha256 : str
        SHA-256 of the gray that the result keeps (`recolor_core.digest.digest_codes`).
    cut : int
        Number of luma codes of the source beyond black and white that the result cannot hold.
    """

    number: int
    pts: int
    duration: int
    first: bool
    uncertainty: float
    gray_sha256: str = ""
    cut: int = 0


class Parts:
    """The parts of one output.

    Parameters
    ----------
    target : Path
        The output; the folder is beside it.
    job : Mapping
        Everything that the result depends on, in JSON types.
    overwrite : bool
        Whether to remove the parts of another job.

    Raises
    ------
    FilmError
        If there are parts of another job.
    """

    def __init__(self, target: Path, job: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.target = target
        self.folder = folder_of(target)
        text = json.dumps(job, indent=1, sort_keys=True)
        if self.folder.exists() and self._read(_JOB) != text:
            if self._read(f"{0:06d}.json") and not overwrite:
                raise FilmError(
                    f"{self.folder}: this holds the parts of another call for this output; repeat "
                    "that call, remove the folder, or start again with --overwrite"
                )
            self.remove()
        with explained(str(self.folder)):
            self.folder.mkdir(exist_ok=True)
        self._write(_JOB, text.encode())
        self.frames: list[FrameRecord] = []
        self.count = 0
        while record := self._read(f"{self.count:06d}.json"):
            self.frames += [FrameRecord(*values) for values in json.loads(record)]
            self.count += 1

    def path(self, number: int) -> Path:
        """The file of a part's frames."""
        return self.folder / f"{number:06d}.mkv"

    def files(self) -> Iterator[Path]:
        """The files of all finished parts."""
        return map(self.path, range(self.count))

    def state(self) -> FrameState:
        """The state to continue from.

        Raises
        ------
        FilmError
            If it is damaged.
        """
        if self.count == 0:
            return FrameState()
        path = self._state(self.count)
        try:
            return unpack_state(path.read_bytes())
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise FilmError(
                f"{path} is damaged ({error}); remove the folder {self.folder} and start again"
            ) from error

    def shots(self, given: Shots | None) -> Shots | None:
        """The shots by which the parts are colored.

        Parameters
        ----------
        given : Shots or None
            Those of a file, if there is one.

        Returns
        -------
        Shots or None
            None if they have yet to be found.

        Raises
        ------
        FilmError
            If there are parts that were colored by other shots.
        """
        path = self.folder / _SHOTS
        kept = read_shots(path) if path.exists() else None
        if given is None or kept is None or kept.shots == given.shots:
            return given or kept
        if self.count:
            raise FilmError(
                f"{self.folder}: the parts in it were colored by other shots; restore the file of "
                "shots, or remove the folder to start again"
            )
        return given

    def keep_shots(self, shots: Shots) -> None:
        """Note the shots by which the parts are colored."""
        self._write(_SHOTS, shots.as_json().encode())

    def finish_part(self, frames: Sequence[FrameRecord], state: FrameState) -> None:
        """Record that the files of a part are complete."""
        self._write(self._state(self.count + 1).name, pack_state(state))
        records = json.dumps([list(asdict(frame).values()) for frame in frames])
        self._write(f"{self.count:06d}.json", records.encode())
        self._state(self.count).unlink(missing_ok=True)
        self.frames += frames
        self.count += 1

    def begin_joining(self) -> None:
        """Record that results are about to be moved into place."""
        self._write(_JOINING, b"")

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def _state(self, count: int) -> Path:
        return self.folder / f"{count:06d}.safetensors"

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _write(self, name: str, content: bytes) -> None:
        write_file(self.folder / name, content)


def folder_of(target: Path) -> Path:
    """The folder with the parts of an output."""
    return target.with_name(target.name + FOLDER_ENDING)


def is_joining(target: Path) -> bool:
    """Whether a call was interrupted while it moved results into place."""
    return (folder_of(target) / _JOINING).exists()


def pack_state(state: FrameState) -> bytes:
    """Write a state as a safetensors file."""
    facts = {
        "number": state.number,
        "hints": [asdict(hint) for hint in state.hints],
        "visible": state.visible,
    }
    tensors: dict[str, Tensor] = {}
    if state.memory is not None:
        memory = state.memory.to("cpu")
        tensors = {
            "lightness": memory.lightness,
            "ab": memory.ab,
            "hidden.0": memory.hidden[0],
            "hidden.1": memory.hidden[1],
            "first": memory.first,
        }
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return save(tensors, {"state": json.dumps(facts)})


def unpack_state(content: bytes) -> FrameState:
    """Read the state from a file that `pack_state` made."""
    tensors = load(content)
    length = int.from_bytes(content[:8], "little")  # safetensors: a JSON header of this length
    facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["state"])
    memory = None
    if "ab" in tensors:
        memory = MemoryState(
            tensors["lightness"],
            tensors["ab"],
            (tensors["hidden.0"], tensors["hidden.1"]),
            tensors["first"],
        )
    hints = tuple(Hint(**hint) for hint in facts["hints"])
    return FrameState(facts["number"], memory, hints, visible=facts["visible"])
