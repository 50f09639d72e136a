"""Messages while a file is being made."""

from recolor_core.batch.outcome import Outcome


class Observer:
    """Is told how the work on a file goes on. This one does nothing."""

    def page(self, page: int, pages: int, megapixels: float) -> None:
        """A page begins; its megapixels count every coloring that is made of it."""

    def advance(self, megapixels: float) -> None:
        """A strip of the page is done."""

    def warn(self, text: str) -> None:
        """Something has to be said about the file."""


class BatchObserver(Observer):
    """Is told how a batch goes on, too. This one does nothing."""

    def expect(self, files: int) -> None:
        """So many files are to be done."""

    def file(self, name: str) -> None:
        """A file is begun."""

    def finish(self, outcome: Outcome) -> None:
        """A file is done, kept as it is, or failed."""
