"""The runs whose layers a later run has taken over, so that undo can bring them back."""

from collections.abc import Iterable

from napari.layers import Image

from napari_recolor.runs.run import Run

KEPT = 2**30
"""Maximum number of bytes of the results kept for each layer; the last run is kept anyway."""


class ReplacedRuns:
    """The runs that each RGB layer has shown, oldest first, with the one that it shows."""

    def __init__(self) -> None:
        self._of: dict[Image, list[Run]] = {}
        self._shown: dict[Image, Run] = {}

    def replace(self, rgb: Image, before: Run, after: Run) -> None:
        """Note that a layer shows another run. Runs that were undone are forgotten."""
        known = self._of.get(rgb, [before])
        known = [*known[: known.index(before) + 1], after]
        kept, size = 2, after.request.result_bytes + before.request.result_bytes
        for run in reversed(known[:-2]):
            size += run.request.result_bytes
            if size > KEPT:
                break
            kept += 1
        self._of[rgb] = known[-kept:]
        self._shown[rgb] = after

    def show(self, rgb: Image, run: Run) -> None:
        """Note that a layer shows one of its runs again."""
        self._shown[rgb] = run

    def before(self, rgb: Image, run: Run) -> Run | None:
        """Return the run that a layer showed before another one."""
        runs = self._of.get(rgb, [])
        return runs[runs.index(run) - 1] if run in runs[1:] else None

    def drop(self, rgb: Image, run: Run) -> None:
        """Forget the newest run of a layer, which came to nothing."""
        self._of[rgb].remove(run)
        self._shown[rgb] = self._of[rgb][-1]
        if len(self._of[rgb]) == 1:
            self.forget([rgb])

    def forget(self, layers: Iterable[Image]) -> None:
        """Forget the runs of layers that are gone."""
        for layer in layers:
            self._of.pop(layer, None)
            self._shown.pop(layer, None)

    @property
    def layers(self) -> list[Image]:
        """The layers of which runs are kept."""
        return list(self._of)

    def states(self) -> dict[Image, str]:
        """Return the ID of the run that each layer shows, for layers that can show another one."""
        return {rgb: run.id for rgb, run in self._shown.items()}

    def changes(self, states: dict[Image, str]) -> list[tuple[Image, Run, Run]]:
        """Return what is to be done to get to other states.

        Parameters
        ----------
        states : dict
            As `states` returned it. A layer that is missing shows its oldest run.

        Returns
        -------
        list of (Image, Run, Run)
            Layers, the run that each shows, and the run that it is to show.
        """
        found = []
        for rgb, runs in self._of.items():
            shown = self._shown[rgb]
            wanted = states.get(rgb, runs[0].id)
            found += [(rgb, shown, run) for run in runs if run.id == wanted and run is not shown]
        return found
