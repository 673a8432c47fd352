"""Every mechanism of the build can fail: a planted error is seen, with file, line and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from dlbook.publishing.errors import BookError
from tests import small_book

CHAPTER, CHECK, PACKAGE = "book/neuron.md", "tests/equations/neuron.py", "dlbook/small.py"
REFERENCES, GLOSSARY = "book/references.yml", "book/glossary.yml"
RESULTS = "book/results/digits.json"


class Planted(NamedTuple):
    """An error: ``old`` becomes ``new``; the message names the line of ``at`` in ``reported``."""

    what: str
    old: str
    new: str
    at: str
    problem: str
    remedy: str
    file: str = CHAPTER
    page: str = CHAPTER
    reported: str = CHAPTER


LISTINGS = [
    Planted(
        "a stale listing name",
        *("name: dlbook.small.double", "name: dlbook.small.doubled"),
        at="name: dlbook.small.doubled",
        problem="dlbook/small.py has nothing named 'doubled'",
        remedy="use one of dlbook.small.double",
    ),
    Planted(
        "a function renamed in the package",
        *("def double(", "def twofold("),
        at="name: dlbook.small.double",
        problem="dlbook/small.py has nothing named 'double'",
        remedy="use one of dlbook.small.twofold",
        file=PACKAGE,
    ),
    Planted(
        "a listing of a module that is gone",
        *("dlbook.small.double", "dlbook.tiny.double"),
        at="dlbook.tiny.double",
        problem="there is no module for the listing 'dlbook.tiny.double'",
        remedy="give module and function",
    ),
    Planted(
        "a note on code that has changed",
        *('"2 * x"', '"3 * x"'),
        at="name: dlbook.small.double",
        problem="the note on '3 * x' fits 0 lines of dlbook.small.double",
        remedy="quote a piece of code that stands in exactly one line",
    ),
    Planted(
        "a note that fits several lines",
        *('"2 * x"', '"x"'),
        at="name: dlbook.small.double",
        problem="the note on 'x' fits 3 lines of dlbook.small.double",
        remedy="quote a piece of code that stands in exactly one line",
    ),
    Planted(
        "a listing with an unknown option",
        *("notes:", "note:"),
        at="name: dlbook.small.double",
        problem="a listing has an unknown field 'note'",
        remedy="the fields are name, doc, notes",
    ),
    Planted(
        "Python typed by hand",
        *("``` references\n", "```python\ndef double(x): ...\n"),
        at="```python",
        problem="Python is typed by hand",
        remedy="quote the package with ``` source",
    ),
    Planted(
        "a misspelt fence",
        *("``` source", "``` sorce"),
        at="``` sorce",
        problem="a fence is marked 'sorce'",
        remedy="use one of source, figure",
    ),
    Planted(
        "a fence of the book with an option behind its name",
        *("``` source", '``` source title="x"'),
        at="``` source",
        problem="the fence 'source title=\"x\"' is not understood",
        remedy="put everything else inside, as YAML",
    ),
    Planted(
        "a fence that is not closed",
        *("``` references\n```", "``` references"),
        at="``` references",
        problem="the fence ```references is never closed",
        remedy="end it with a line '```'",
    ),
    Planted(
        "a fence inside raw HTML",
        *("``` references\n```", "<div>\n\n``` references\n```\n\n</div>"),
        at="``` references",
        problem="a fence or an equation stands inside raw HTML",
        remedy="take it out of the HTML element",
    ),
]

SESSIONS = [
    Planted(
        "a session in a fence that is not run",
        *("```pycon\n>>> from", "```text\n>>> from"),
        at="```text",
        problem=">>> in a fence marked 'text' is never run",
        remedy="mark it ``` pycon",
    ),
    Planted(
        "a session outside any fence",
        *("By [eq:twice]", ">>> 1 + 1\n3\n\nBy [eq:twice]"),
        at=">>> 1 + 1",
        problem=">>> outside a fence is never run",
        remedy="put it in ``` pycon",
    ),
    Planted(
        "a session in a quotation",
        *("- ok", "> >>> 1 + 1\n> 3"),
        at="> >>> 1 + 1",
        problem=">>> outside a fence is never run",
        remedy="put it in ``` pycon",
    ),
    Planted(
        "a fence in a quotation",
        *("- ok", "> ```python\n> 1 + 1\n> ```"),
        at="> ```python",
        problem="code stands where it is not checked",
        remedy="begin a line of its own with ```",
    ),
    Planted(
        "a fence behind the mark of a list",
        *("- ok", "1. ```python"),
        at="1. ```python",
        problem="code stands where it is not checked",
        remedy="begin a line of its own with ```",
    ),
    Planted(
        "code in raw HTML",
        *("- ok", "<pre>1 + 1 == 3</pre>"),
        at="<pre>",
        problem="code stands where it is not checked",
        remedy="begin a line of its own with ```",
    ),
    Planted(
        "a pycon fence without a prompt",
        *("```pycon\n>>> from math import sqrt\n>>> sqrt(2)\n", "```pycon\nsqrt(2)\n"),
        at="```pycon\nsqrt",
        problem="a pycon fence without >>> is never run",
        remedy="begin its code with >>>",
    ),
]

FIGURES = [
    Planted(
        "a missing alt text",
        *("alt: Circles and arrows.\n", ""),
        at="name: dlbook.figures.neuron.anatomy",
        problem="the figure dlbook.figures.neuron.anatomy has no alt",
        remedy="add `alt: …`",
    ),
    Planted(
        "an empty alt text",
        *("alt: Circles and arrows.", "alt: ' '"),
        at="name: dlbook.figures.neuron.anatomy",
        problem="the alt of the figure dlbook.figures.neuron.anatomy is ' '",
        remedy="write it out",
    ),
    Planted(
        "a figure that no function draws",
        *("- ok\n", "- ok\n\n``` figure\nname: dlbook.figures.none.x\nalt: A.\ncaption: C.\n```\n"),
        at="name: dlbook.figures.none.x",
        problem="no function draws the figure 'dlbook.figures.none.x'",
        remedy="name a function of dlbook.figures",
    ),
    Planted(
        "an argument that the function does not take",
        *("alt: Circles", "arguments: {color: 1}\nalt: Circles"),
        at="name: dlbook.figures.neuron.anatomy",
        problem="unexpected keyword argument 'color'",
        remedy="mend the function or `arguments`",
    ),
    Planted(
        "a link to a figure that is not there",
        *("[fig:anatomy]", "[fig:anatomie]"),
        at="[fig:anatomie]",
        problem="this page has no figure 'anatomie'",
        remedy="those it has: anatomy",
    ),
]

EQUATIONS = [
    Planted(
        "a changed exponent in the chapter",
        *("y = 2 x\n", "y = 2 x^2\n"),
        at="$$\ny = 2 x^2",
        problem="the chapter says   y = 2 x^2\n  the check states   y = 2 x\n",
        remedy="make both the same",
    ),
    Planted(
        "a changed exponent in the check",
        *('r"y = 2  x"', 'r"y = 2  x^2"'),
        at="$$\ny = 2 x",
        problem="the chapter says   y = 2 x\n  the check states   y = 2 x^2\n",
        remedy="make both the same",
        file=CHECK,
    ),
    Planted(
        "an equation without an id",
        *("$$ {#twice}", "$$"),
        at="$$\ny = 2 x",
        problem="the equation 'y = 2 x' has no id, so nothing proves it",
        remedy="write a function of that name in tests/equations/neuron.py",
    ),
    Planted(
        "an equation without a check",
        *("{#twice}", "{#twicce}"),
        at="$$\ny = 2 x",
        problem="nothing proves the equation 'twicce' (there is 'twice')",
        remedy="write a function twicce in tests/equations/neuron.py",
    ),
    Planted(
        "a reason to be exempt that says nothing",
        *('exempt="true of everything"', 'exempt=" "'),
        at="$$ x = x",
        problem="nothing proves the equation 'same'",
        remedy="write a function same in tests/equations/neuron.py",
    ),
    Planted(
        "an id that stands twice",
        *("{#same exempt", "{#twice exempt"),
        at="$$ x = x",
        problem="the equation id 'twice' stands twice",
        remedy="rename one",
    ),
    Planted(
        "an id that is no Python name",
        *("{#same exempt", "{#same-one exempt"),
        at="$$ x = x",
        problem="the equation id 'same-one' is not a Python name",
        remedy="use letters, digits and underscores",
    ),
    Planted(
        "attributes that cannot be read",
        *("{#twice}", "{#twice .wide}"),
        at="$$\ny = 2 x",
        problem="cannot read '{#twice .wide}' behind an equation",
        remedy="write $$ {#id}",
    ),
    Planted(
        "LaTeX that KaTeX cannot read",
        *("$$ x = x $$", r"$$ \frac{x = x $$"),
        at=r"$$ \frac{x",
        problem=r"KaTeX cannot read \frac{x = x",
        remedy="mend the LaTeX",
    ),
    Planted(
        "inline LaTeX that KaTeX cannot read",
        *(r"its input \(x\)", r"its input \(\frac{x\)"),
        at=r"\(\frac{x\)",
        problem=r"KaTeX cannot read \frac{x (",
        remedy="mend the LaTeX",
    ),
    Planted(
        "inline math that is not closed",
        *(r"\(y\) grows", r"\(y grows"),
        at=r"\(y grows",
        problem=r"\( stands alone in a line of text",
        remedy="$$ on lines of their own",
    ),
    Planted(
        "a displayed equation within a paragraph",
        *(r"\(y\) grows", "$$y$$ grows"),
        at="$$y$$",
        problem="$$ stands alone in a line of text",
        remedy="$$ on lines of their own",
    ),
    Planted(
        "a displayed equation that is not closed",
        *("$$ {#twice}\n", "\n"),
        at="$$\ny = 2 x",
        problem="an equation opened with $$ is never closed",
        remedy="end it with $$ {#id}",
    ),
    Planted(
        "a link to an equation that is not there",
        *("[eq:twice]", "[eq:double]"),
        at="[eq:double]",
        problem="this page has no equation 'double'",
        remedy="those it has: twice, same",
    ),
    Planted(
        "a check that does not say in words what it does",
        *('    """The function doubles."""\n', ""),
        at="def twice",
        problem="the check twice has no docstring",
        remedy="say in one sentence what is compared with what",
        file=CHECK,
        reported=CHECK,
    ),
    Planted(
        "a check whose LaTeX is put together",
        *('@numeric(r"y = 2  x")', '@numeric("y = " + "2 x")'),
        at="@numeric",
        problem="the check twice does not state its LaTeX as one literal string",
        remedy='write @numeric(r"…")',
        file=CHECK,
        reported=CHECK,
    ),
]

QUIZZES = [
    Planted(
        "a choice that is not explained",
        *("      why: This adds.\n", ""),
        at='- text: "5"',
        problem=r"the choice “5” of the question “What is \(2 \cdot 3\)?” has no why",
        remedy="add `why: …`",
    ),
    Planted(
        "a question without a right choice",
        *("      right: true\n", ""),
        at="- question:",
        problem="has 0 right choices",
        remedy="set `right: true` on exactly one",
    ),
    Planted(
        "a question with two right choices",
        *("      why: This adds.", "      right: true\n      why: This adds."),
        at="- question:",
        problem="has 2 right choices",
        remedy="set `right: true` on exactly one",
    ),
    Planted(
        "a choice that YAML does not take for text",
        *('text: "5"', "text: no"),
        at="- text: no",
        problem="is False, which is no text",
        remedy="goes between quotes",
    ),
    Planted(
        "an explanation given twice",
        *("      why: This adds.", "      why: This adds.\n      why: It does."),
        at="why: It does.",
        problem="the key 'why' stands twice",
        remedy="put text that holds a colon",
    ),
]

NAMES = [
    Planted(
        "an unknown citation",
        *("[@rosenblatt1958]", "[@rosenblat1958]"),
        at="[@rosenblat1958]",
        problem="the work 'rosenblat1958' is cited and unknown",
        remedy="add it to book/references.yml",
    ),
    Planted(
        "a work without a year",
        *("  year: 1958\n", ""),
        at="  authors:",
        problem="the work 'rosenblatt1958' has no year",
        remedy="add `year: …`",
        file=REFERENCES,
        reported=REFERENCES,
    ),
    Planted(
        "a work that nobody verified",
        *("  verified: First page of the article\n", ""),
        at="  authors:",
        problem="the work 'rosenblatt1958' has no verified",
        remedy="add `verified: …`",
        file=REFERENCES,
        reported=REFERENCES,
    ),
    Planted(
        "an unknown term",
        *("[[neuron]]", "[[neurone]]"),
        at="[[neurone]]",
        problem="the term 'neurone' is not in the glossary",
        remedy="or mark one of neuron",
    ),
    Planted(
        "a term marked twice",
        *("The test accuracy", "The [[neuron]]"),
        at="The [[neuron]]",
        problem="the term 'neuron' is marked twice",
        remedy="mark only where it is defined",
    ),
    Planted(
        "a term of a chapter that is not there",
        *("chapter: neuron", "chapter: nerve"),
        at="  definition:",
        problem="the term 'neuron' belongs to 'nerve', which is no chapter",
        remedy="give the slug of a page of the book",
        file=GLOSSARY,
        reported=GLOSSARY,
    ),
    Planted(
        "a mistake in a definition",
        *(r"Adds up to \(y\).", r"Adds up to \(y."),
        at="  definition:",
        problem=r"\( stands alone in a line of text",
        remedy=r"write \(…\) within a paragraph",
        file=GLOSSARY,
        page="book/glossary.md",
        reported=GLOSSARY,
    ),
    Planted(
        "a result that is not recorded",
        *("numpy.mean", "numpy.average"),
        at="numpy.average",
        problem="holds no value 'numpy.average'",
        remedy="use one of mean, seeds",
    ),
    Planted(
        "a file of results that is not there",
        *("digits:numpy", "moons:numpy"),
        at="moons:numpy",
        problem="nothing is recorded in book/results/moons.json",
        remedy="run `python3 run.py bench`",
    ),
    Planted(
        "a result that does not say where it was measured",
        *('"machine": "two cores", ', ""),
        at="digits:numpy",
        problem="book/results/digits.json does not hold the text 'machine'",
        remedy="record it again",
        file=RESULTS,
    ),
    Planted(
        "a format that Python does not know",
        *(".1%", ".1%%"),
        at=".1%%",
        problem="0.9791 cannot be written as '.1%%'",
        remedy="use a format of Python",
    ),
]

PLANTED = [*LISTINGS, *SESSIONS, *FIGURES, *EQUATIONS, *QUIZZES, *NAMES]


@pytest.mark.parametrize("planted", PLANTED, ids=[planted.what for planted in PLANTED])
def test_planted_error_stops_the_build(planted: Planted, tmp_path: Path) -> None:
    small_book.write(tmp_path)
    small_book.plant(tmp_path, planted.file, planted.old, planted.new)
    with pytest.raises(BookError) as caught:
        small_book.html(tmp_path, planted.page)
    message = str(caught.value)
    assert planted.problem in message
    assert planted.remedy in message
    line = small_book.line_of(tmp_path, planted.reported, planted.at)
    assert message.startswith(f"{planted.reported}:{line}: ")


def test_the_book_without_planted_errors_is_built(tmp_path: Path) -> None:
    small_book.write(tmp_path)
    for page in tmp_path.glob("book/**/*.md"):
        assert small_book.html(tmp_path, page.relative_to(tmp_path).as_posix())
