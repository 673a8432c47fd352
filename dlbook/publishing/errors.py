"""The one kind of error that this package raises."""

from __future__ import annotations


class BookError(ValueError):
    """A mistake in the book: where it stands, what it is, how to mend it.

    Parameters
    ----------
    file : str
        Path from the root of the repository.
    line : int
        Line in that file, counted from 1.
    problem, remedy : str
        What is wrong, and what to do about it.

    Examples
    --------
    >>> print(BookError("book/neuron.md", 57, "a figure has no alt text", "say what is to be seen"))
    book/neuron.md:57: a figure has no alt text: say what is to be seen
    """

    def __init__(self, file: str, line: int, problem: str, remedy: str) -> None:
        super().__init__(f"{file}:{line}: {problem}: {remedy}")
        self.file, self.line, self.problem, self.remedy = file, line, problem, remedy


class UnplacedError(ValueError):
    """The same, raised where the file is not known; ``line`` is given where it is."""

    def __init__(self, problem: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem, self.remedy, self.line = problem, remedy, line

    def at(self, file: str, line: int) -> BookError:
        """Return the error with its place; ``line`` counts where no better one is known."""
        return BookError(file, self.line or line, self.problem, self.remedy)
