"""Labs: scripts in percent format, run by Jupyter and turned into pages like all others.

A lab is a Python script whose cells begin with ``# %%``. The site shows it run, with the package's
figures in the colors of the page, and offers it as a script and as a notebook. A cell that fails,
or that writes to stderr, stops the build. A cell that draws says what is to be seen in its first
line: ``# %% alt="Two dots and the line through them."``
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from dlbook.publishing import katex
from dlbook.publishing.drawings import fingerprint, themed
from dlbook.publishing.errors import BookError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "labs"
SET_UP = """
%config InlineBackend.figure_formats = ["svg"]
%config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
import matplotlib, dlbook.figures.style
matplotlib.rcParams.update(dlbook.figures.style.rc())
"""
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\w$])", re.DOTALL)


@dataclass(frozen=True)
class Lab:
    """A lab's script, and the same as a notebook with what its cells answered."""

    name: str
    text: str
    ran: nbformat.NotebookNode


def read(path: Path) -> Lab:
    """Read a lab and run it, unless neither it nor the package has changed since the last time.

    Raises
    ------
    BookError
        A cell fails or writes to stderr.
    """
    text = path.read_text(encoding="utf-8")
    cached = CACHE / f"{path.stem}-{_digest(text)}.ipynb"
    if not cached.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = cached.with_suffix(".tmp")
        nbformat.write(_run(path, text), draft)
        draft.replace(cached)
    ran: nbformat.NotebookNode = nbformat.read(cached, as_version=4)
    return Lab(path.stem, text, ran)


def _digest(text: str) -> str:
    """Return a digest of the lab and of all code that it can depend on."""
    digest = hashlib.sha256((SET_UP + text + fingerprint()).encode())
    return digest.hexdigest()[:16]


def _run(path: Path, text: str) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = jupytext.reads(text, fmt="py:percent")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SET_UP))
    try:
        quiet = ["--log-level=ERROR"]
        client = NotebookClient(notebook, timeout=600, kernel_name="python3", extra_arguments=quiet)
        client.execute(cwd=str(ROOT))
    except CellExecutionError as error:
        cell = next(c for c in notebook.cells if any(o.output_type == "error" for o in _outputs(c)))
        reason = f"{error.ename}: {error.evalue}"
        raise _mistake(
            path, text, cell, f"a cell of the lab fails ({reason})", "mend it"
        ) from error
    del notebook.cells[0]
    for cell in notebook.cells:
        for output in _outputs(cell):
            if output.get("name") == "stderr":
                raise _mistake(
                    path, text, cell, f"a cell writes to stderr: {output.text!r}", "avoid it"
                )
            if _drawing(output) and not cell.metadata.get("alt"):
                remedy = 'say what is to be seen in its first line: # %% alt="…"'
                raise _mistake(path, text, cell, "a cell draws and has no alt text", remedy)
    return notebook


def _mistake(
    path: Path, text: str, cell: nbformat.NotebookNode, problem: str, remedy: str
) -> BookError:
    line = text[: text.find(cell.source)].count("\n") + 1
    return BookError(path.relative_to(ROOT).as_posix(), line, problem, remedy)


def _outputs(cell: nbformat.NotebookNode) -> list[Any]:
    return list(cell.get("outputs", []))


def _drawing(output: Any) -> str:
    return str(output.get("data", {}).get("image/svg+xml", ""))


def notebook(lab: Lab) -> str:
    """Return the lab as a notebook that has not been run."""
    return str(jupytext.writes(jupytext.reads(lab.text, fmt="py:percent"), fmt="ipynb")) + "\n"


def page(lab: Lab) -> str:
    """Return the lab as Markdown: its text, its code and what the code answered."""
    cells = "\n\n".join(
        part for number, cell in enumerate(lab.ran.cells) for part in _cell(lab, number, cell)
    )
    downloads = (
        '<p class="downloads">'
        f'<a href="files/{lab.name}.ipynb" download>Download the notebook</a> '
        f'<a href="files/{lab.name}.py" download>Download the script</a></p>'
    )
    title, _, rest = cells.partition("\n")
    return f"{title}\n\n{downloads}\n\n{rest}\n"


def _cell(lab: Lab, number: int, cell: nbformat.NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":
        pieces = CODE.split(cell.source)
        yield "".join(piece if i % 2 else MATH.sub(_math, piece) for i, piece in enumerate(pieces))
    elif cell.cell_type == "code":
        yield _fence("py", cell.source)
        for output in _outputs(cell):
            yield _output(output, f"{lab.name}-{number}", cell.metadata.get("alt", ""))


def _math(found: re.Match[str]) -> str:
    if found[1] is not None:
        return katex.display(found[1].strip(), "Equation")
    return rf"\({found[2]}\)"


def _fence(kind: str, text: str) -> str:
    mark = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{mark} {kind}\n{text}\n{mark}"


def _output(output: Any, prefix: str, alt: str) -> str:
    if drawing := _drawing(output):
        return f'<figure class="figure">{themed(drawing, prefix, alt)}</figure>'
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return _fence("{ .text .output }", text.rstrip("\n"))
