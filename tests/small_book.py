"""A book of two pages in which everything is right, to plant errors in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markdown import Markdown

CHAPTER = r"""---
title: One neuron
---

# One \(\sigma\) neuron

A [[neuron]] is linear in its input \(x\) [@rosenblatt1958]. `\(x\)` is code.
The test accuracy was {{ digits:numpy.mean | .1% }}.

``` source
name: dlbook.small.double
notes:
  "2 * x": Twice \(x\).
```

$$
y = 2 x
$$ {#twice}

By [eq:twice], and as [fig:anatomy] shows, \(y\) grows.

```pycon
>>> from math import sqrt
>>> sqrt(2)
1.414
```

=== "In a tab"

    ```pycon
    >>> sqrt(2) * 2
    2.83
    ```

    $$ x = x $$ {#same exempt="true of everything"}

``` figure
name: dlbook.figures.neuron.anatomy
alt: Circles and arrows.
caption: What \(x\) meets.
```

``` quiz
- question: What is \(2 \cdot 3\)?
  choices:
    - text: "6"
      right: true
      why: Three and three.
    - text: "5"
      why: This adds.
```

``` references
```

- ok
"""

FILES = {
    "book/neuron.md": CHAPTER,
    "book/checks/neuron.md": "# Checks\n\n``` checks\nchapter: neuron\n```\n",
    "book/glossary.md": "# Glossary\n\n``` glossary\n```\n",
    "book/bibliography.md": "# Bibliography\n\n``` bibliography\n```\n",
    "book/glossary.yml": "neuron:\n  definition: Adds up to \\(y\\).\n  chapter: neuron\n",
    "book/references.yml": """\
rosenblatt1958:
  authors: [Frank Rosenblatt]
  title: The Perceptron
  year: 1958
  where: Psychological Review 65
  url: https://doi.org/10.1037/h0042519
  verified: First page of the article
""",
    "book/results/digits.json": """\
{"command": "nox -s bench", "machine": "two cores", "date": "2026-11-20",
 "values": {"numpy": {"mean": 0.9791, "seeds": [0.97, 0.98]}}}
""",
    "dlbook/small.py": '''\
"""Something to quote."""


def double(x):
    """Return twice ``x``."""
    return 2 * x  # a number
''',
    "tests/equations/neuron.py": r'''"""Checks."""

from tests.proof import numeric


def helper():
    return 100


@numeric(r"y = 2  x")
def twice(rng):
    """The function doubles."""
    for x in rng.normal(size=helper()):
        yield 2 * x, x + x
''',
}
EXTENSIONS = [
    "tables",
    "toc",
    "md_in_html",
    "pymdownx.highlight",
    "pymdownx.superfences",
    "pymdownx.tabbed",
    "dlbook.publishing",
]


def write(root: Path) -> Path:
    """Write the book below ``root``."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def plant(root: Path, file: str, old: str, new: str) -> None:
    """Replace ``old``, which stands there once."""
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def line_of(root: Path, file: str, text: str) -> int:
    """Return the line of a file at which ``text`` begins for the first time."""
    return (root / file).read_text(encoding="utf-8").partition(text)[0].count("\n") + 1


def converted(root: Path, file: str) -> tuple[str, Markdown]:
    """Convert a page as a site generator does: without its front matter and its name."""
    options: dict[str, dict[str, Any]] = {
        "dlbook.publishing": {"root": str(root)},
        "pymdownx.tabbed": {"alternate_style": True},
    }
    md = Markdown(extensions=EXTENSIONS, extension_configs=options)
    text = (root / file).read_text(encoding="utf-8")
    if text.startswith("---\n"):
        text = text.split("---\n", 2)[2].lstrip("\n")
    return md.convert(text), md


def html(root: Path, file: str) -> str:
    """Return a page as HTML."""
    return converted(root, file)[0]
