"""Labs: scripts in percent format, run by mkdocs-jupyter and turned into pages like all others.

A lab is a Python script whose cells begin with ``# %%``. mkdocs-jupyter runs it, keeps what its
cells answered, and through the templates beside this file hands the notebook over as it stands;
from there a lab is Markdown, with all that a chapter may hold. A cell that fails, or that writes to
stderr, stops the build. A cell that draws says what is to be seen in its first line:
``# %% alt="Two dots and the line through them."``
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from mkdocs_jupyter.config import settings

from dlbook.publishing import katex
from dlbook.publishing.drawings import fingerprint, themed
from dlbook.publishing.errors import BookError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
KERNEL = """
c.IPKernelApp.log_level = 40
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
c.InteractiveShellApp.exec_lines = [
    "import matplotlib, dlbook.figures.style",
    "matplotlib.rcParams.update(dlbook.figures.style.rc())",
    "del matplotlib, dlbook",
]
"""
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\w$])", re.DOTALL)


@dataclass(frozen=True)
class Lab:
    """A lab's script, and the same as a notebook with what its cells answered."""

    path: Path
    text: str
    ran: nbformat.NotebookNode

    @property
    def name(self) -> str:
        """The slug of the lab's chapter."""
        return self.path.stem


def prepare() -> Path:
    """Tell Jupyter how the book's labs are run; return the folder for what they answered.

    The folder's name depends on the package's code, so that no answer outlives what it came from.
    """
    settings.templates_dir = str(Path(__file__).with_name("templates"))
    profile = CACHE / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c = get_config()" + KERNEL, encoding="utf-8")
    os.environ["IPYTHONDIR"] = str(profile.parent)
    answers = CACHE / "labs" / fingerprint()[:16]
    for older in set((CACHE / "labs").glob("*")) - {answers}:
        shutil.rmtree(older)
    return answers


def read(path: Path, ran: str) -> Lab:
    """Return a lab from its script and the notebook, in JSON, that mkdocs-jupyter ran.

    Raises
    ------
    BookError
        A cell writes to stderr, or draws and does not say what is to be seen.
    """
    lab = Lab(path, path.read_text(encoding="utf-8"), nbformat.reads(ran, as_version=4))
    for cell in lab.ran.cells:
        for output in _outputs(cell):
            if output.get("name") == "stderr":
                raise _mistake(lab, cell, f"a cell writes to stderr: {output.text!r}", "avoid it")
            if _drawing(output) and not cell.metadata.get("alt"):
                remedy = 'say what is to be seen in its first line: # %% alt="…"'
                raise _mistake(lab, cell, "a cell draws and has no alt text", remedy)
    return lab


def _mistake(lab: Lab, cell: nbformat.NotebookNode, problem: str, remedy: str) -> BookError:
    line = lab.text[: lab.text.find(cell.source)].count("\n") + 1
    return BookError(lab.path.relative_to(ROOT).as_posix(), line, problem, remedy)


def _outputs(cell: nbformat.NotebookNode) -> list[Any]:
    return list(cell.get("outputs", []))


def _drawing(output: Any) -> str:
    return str(output.get("data", {}).get("image/svg+xml", ""))


def notebook(text: str) -> str:
    """Return a lab's script as a notebook that has not been run; the same text, the same bytes."""
    made = jupytext.reads(text, fmt="py:percent")
    for number, cell in enumerate(made.cells, start=1):
        cell["id"] = f"cell-{number}"
    return str(jupytext.writes(made, fmt="ipynb")) + "\n"


def page(lab: Lab) -> str:
    """Return the lab as Markdown: its text, its code and what the code answered."""
    cells = "\n\n".join(
        part for number, cell in enumerate(lab.ran.cells) for part in _cell(lab, number, cell)
    )
    downloads = (
        '<p class="downloads">'
        f'<a href="{lab.name}.ipynb" download>Download the notebook</a> '
        f'<a href="{lab.name}.py" download>Download the script</a></p>'
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
