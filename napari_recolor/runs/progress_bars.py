"""Progress in napari's activity dock: a bar for the images, one below for the steps of each."""

from napari.utils.progress import cancelable_progress, progress

from napari_recolor.runs.events import Step


class ProgressBars:
    """The bars of one run. To be made and used in the main thread.

    They are not nested by napari's `nest_under`: closing such a group ends napari 0.9.2 with a
    segmentation fault (a slot looks at the group while Qt deletes it).

    Parameters
    ----------
    name
        Of the image.
    images
        How many there are.
    """

    def __init__(self, name: str, images: int) -> None:
        self._images = cancelable_progress(total=images, desc=f"Colorize {name}")
        self._steps = progress(total=1, desc="   starting")

    @property
    def canceled(self) -> bool:
        """Whether the user pressed the dock's Cancel; napari tells it in no other way."""
        return self._images.is_canceled

    def show(self, step: Step) -> None:
        """Move the bars. napari handles events meanwhile, those of the worker among them."""
        if self._steps.total != step.total:
            self._steps.total = step.total
        if step.stage not in self._steps.desc:
            self._steps.set_description(f"   {step.stage}")
        self._steps.update(step.done - self._steps.n)
        done = step.image + (step.finished is not None)
        if done != self._images.n:
            self._images.update(done - self._images.n)

    def close(self) -> None:
        """Take the bars away."""
        self._steps.close()
        self._images.close()
