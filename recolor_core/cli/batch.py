"""Colorizing the images of a call, one after the other."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from recolor_core.cli.plan import STREAM, Destination, Input, Inputs, beside
from recolor_core.cli.report import Outcome, Report, bug, one_line, show_traceback
from recolor_core.colorizer import Colorization, Colorizer
from recolor_core.errors import ImageError, OutputExistsError, RecolorError
from recolor_core.gray import Levels, read_gray
from recolor_core.hints import Hint
from recolor_core.images import ImageFile, ImageWriter, open_image, write_stage
from recolor_core.palette import Palette, palette_of_colors, palette_of_image
from recolor_core.settings import Settings

_STAGES: tuple[tuple[str, str, Callable[[Colorization], NDArray[Any]]], ...] = (
    ("ab-coarse", "a* and b* of the generator, Lab units", lambda r: r.ab_coarse),
    ("ab-refined", "a* and b* of the refiner, Lab units", lambda r: r.ab_refined),
    ("uncertainty", "standard deviation of the color, Lab units", lambda r: r.uncertainty),
)


@dataclass(frozen=True)
class Order:
    """How the images of a call are to be colorized and written.

    Parameters
    ----------
    settings, hints, palette, levels
        As in a call of `Colorizer`.
    stages
        Write the stages as TIFF beside the result.
    overwrite
        Replace results that are there.
    sidecar
        Write a JSON file beside the result.
    max_pixels
        Refuse larger images.
    """

    settings: Settings
    hints: Sequence[Hint]
    palette: Palette | None
    levels: Levels | str | None
    stages: bool
    overwrite: bool
    sidecar: bool
    max_pixels: int


@dataclass
class Batch:
    """The work of one call."""

    colorizer: Colorizer
    destination: Destination
    order: Order
    report: Report
    _results: dict[Path, str] = field(default_factory=dict)  # and whose result each one is

    def run(self, inputs: Inputs) -> None:
        """Colorize every image; one that fails does not keep the others from being done."""
        for word, problem in inputs.problems:
            self.report.finish(Outcome(word, "failed", problem))
        for image in inputs.images:
            self.report.finish(self._tried(image))

    def _tried(self, image: Input) -> Outcome:
        self.report.file(image.name)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = self._show_warning
                return self._colorize(image)
        except RecolorError as error:
            show_traceback()
            return Outcome(image.name, "failed", one_line(error))
        except MemoryError:
            show_traceback()
            return Outcome(
                image.name, "failed", "the image does not fit into memory; give a smaller one"
            )
        except Exception as error:  # a bug: of 40,000 images it shall cost this one alone
            show_traceback()
            self.report.bugs += 1
            return Outcome(image.name, "failed", bug(error))

    def _show_warning(self, message: Warning | str, *_: object, **__: object) -> None:
        self.report.warn(one_line(message))

    def _colorize(self, image: Input) -> Outcome:
        source = image.path or sys.stdin.buffer
        outcome = Outcome(image.name)
        with open_image(source, max_pixels=self.order.max_pixels) as file:
            output = self.destination.path(image, file.output_name())
            outcome.output = str(output or STREAM)
            if output:
                self._claim(output, image)
                if not self.order.overwrite and self._is_done(output):
                    return _skipped(outcome)
                _make_folder(output.parent)
            try:
                self._write(file, output, outcome)
            except OutputExistsError:
                # Two calls may share the work on a folder, and the other one was faster.
                if output is None or self.destination.file or not output.exists():
                    raise
                return _skipped(Outcome(image.name, output=str(output)))
        outcome.seconds = self.report.file_seconds
        return outcome

    def _claim(self, output: Path, image: Input) -> None:
        other = self._results.setdefault(output, image.name)
        if other != image.name:
            raise RecolorError(
                f"expected a result of its own, got {output}, which is that of {other}; colorize "
                "it in a call of its own with -o, or name the folder of both with --recursive"
            )

    def _is_done(self, output: Path) -> bool:
        """Whether everything is there that the call asks for."""
        if not output.exists():
            return False
        if self.destination.file:
            raise OutputExistsError(f"{output} is there already; --overwrite replaces it")
        for path in self._alternatives(output):
            if not path.exists():
                raise OutputExistsError(
                    f"{output} is there already, but {path.name} is not; --overwrite makes both"
                )
        return True

    def _alternatives(self, output: Path | None) -> list[Path]:
        if output is None:
            return []
        return [beside(output, f"alt{i + 1}") for i in range(self.order.settings.alternatives)]

    def _write(self, file: ImageFile, output: Path | None, outcome: Outcome) -> None:
        """Colorize page by page into all results of an image; all of them appear, or none."""
        order = self.order

        def writer(target: Any) -> ImageWriter:
            return ImageWriter(target, like=file, overwrite=order.overwrite, sidecar=order.sidecar)

        made: list[Path] = []
        stages: list[tuple[Path, NDArray[Any], str]] = []
        with ExitStack() as stack:
            stack.push(_removing_on_error(made))
            # What is entered first is put into its place last: the main result stands for all.
            main = stack.enter_context(writer(output or sys.stdout.buffer))
            alternatives = [writer(path) for path in self._alternatives(output)]
            for alternative in alternatives:
                stack.push(_noting(made, alternative))
                stack.enter_context(alternative)
            if not main.exact_gray:
                self.report.warn("JPEG cannot keep the gray exactly; name a .png or .tif for that")
            for number, page in enumerate(file, 1):
                height, width = page.codes.shape[:2]
                megapixels = height * width / 1e6
                self.report.page(number, len(file), megapixels * (1 + len(alternatives)))
                coarse = self.colorizer.generate(
                    read_gray(page.codes, page.space, order.levels), order.settings
                )
                result = self.colorizer.refine(coarse, order.settings, order.hints, order.palette)
                facts = result.provenance | {
                    "source": Path(file.name).name,
                    "levels": order.levels,
                }
                main.write(page, self._counted(result.strips()), facts)
                for i, alternative in enumerate(alternatives):
                    strips = self._counted(result.strips(result.ab_alternatives[i]))
                    alternative.write(page, strips, facts | {"alternative": i + 1})
                if order.stages and output:
                    tag = f"page{number}." if len(file) > 1 else ""
                    stages += [
                        (beside(output, tag + name, ".tif"), of(result), description)
                        for name, description, of in _STAGES
                    ]
                outcome.pages = number
                outcome.megapixels += megapixels
                outcome.reading.append(page.reading)
            for path, array, description in stages:
                write_stage(path, array, description=description, overwrite=order.overwrite)
                made.append(path)
        outcome.exact_gray = main.exact_gray and order.levels is None
        outcome.sidecar = str(main.sidecar_path) if main.sidecar_path else None
        outcome.alternatives = [alternative.name for alternative in alternatives]
        outcome.stages = [str(path) for path, _, _ in stages]

    def _counted(self, strips: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        for strip in strips:
            yield strip
            self.report.advance(strip.shape[0] * strip.shape[1] / 1e6)


def read_palette(text: str) -> Palette:
    """The palette of a list of colors, ``"#5b3a1e,#6ca0dc"``, or of the file of an image."""
    if text.startswith("#"):
        return palette_of_colors([color.strip() for color in text.split(",")])
    with open_image(Path(text)) as file:
        page = next(iter(file))
        return palette_of_image(page.codes, page.space)


def _skipped(outcome: Outcome) -> Outcome:
    outcome.status = "skipped"
    outcome.message = f"{outcome.output} is there already; --overwrite makes it again"
    return outcome


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(
            f"the folder {folder} cannot be made ({error.strerror}); name another with -o"
        ) from error


def _noting(made: list[Path], writer: ImageWriter) -> Callable[..., None]:
    """What to do after a writer was left: note the files that it made."""

    def left(kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            made.extend(path for path in (writer.path, writer.sidecar_path) if path)

    return left


def _removing_on_error(made: list[Path]) -> Callable[..., None]:
    def left(kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for path in made:
                path.unlink(missing_ok=True)

    return left
