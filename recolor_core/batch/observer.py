"""What is told while a file is being made."""


class Observer:
    """Is told how the work on a file goes on. This one does nothing."""

    def page(self, page: int, pages: int, megapixels: float) -> None:
        """A page begins; its megapixels count every coloring that is made of it."""

    def advance(self, megapixels: float) -> None:
        """A strip of the page is done."""

    def warn(self, text: str) -> None:
        """Something has to be said about the file."""
