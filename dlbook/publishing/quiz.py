"""Quizzes: every choice opens an explanation, with the keyboard and without any script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser

from dlbook.publishing.conversion import Conversion
from dlbook.publishing.errors import Mistake
from dlbook.publishing.yamlread import fields


@dataclass(frozen=True)
class Choice:
    """An answer, whether it is right, and why."""

    text: str
    why: str
    right: bool


@dataclass(frozen=True)
class Question:
    """A question and its answers."""

    text: str
    choices: tuple[Choice, ...]


def questions(body: Any) -> list[Question]:
    """Return the questions of a quiz fence.

    Raises
    ------
    Mistake
        A choice is not explained, or not exactly one of them is right.
    """
    if not isinstance(body, list) or not body:
        raise Mistake("a quiz holds no questions", "begin each one with `- question: …`")
    return [_question(entry) for entry in body]


def _question(entry: Any) -> Question:
    fields(entry, "a quiz question", text=("question",), optional={"choices": list})
    what = f"the question {_short(entry['question'])!r}"
    choices = tuple(_choice(choice, what) for choice in entry.get("choices", []))
    if len(choices) < 2:
        raise Mistake(f"{what} has fewer than two choices", "add plausible wrong ones")
    right = sum(choice.right for choice in choices)
    if right != 1:
        raise Mistake(f"{what} has {right} right choices", "set `right: true` on exactly one")
    return Question(entry["question"].strip(), choices)


def _choice(entry: Any, what: str) -> Choice:
    fields(entry, f"a choice of {what}", text=("text",), optional={"why": str, "right": bool})
    if not entry.get("why", "").strip():
        raise Mistake(
            f"the choice {_short(entry['text'])!r} of {what} is not explained",
            "add `why: …`, the reason or the misconception",
        )
    return Choice(entry["text"].strip(), entry["why"].strip(), entry.get("right", False))


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 50 else words[:49] + "…"


def quiz(work: Conversion, body: Any, inline: Callable[[str], str]) -> list[str]:
    """Return a block for each question of a fence; ``inline`` converts its texts."""
    return [_block(work, question, inline) for question in questions(body)]


def _block(work: Conversion, question: Question, inline: Callable[[str], str]) -> str:
    work.questions += 1
    number = work.questions
    text = inline(question.text)
    choices = [(c.right, inline(c.text), inline(c.why)) for c in question.choices]

    def build(parent: Element, parser: BlockParser) -> None:
        label = {"class": "quiz-question", "role": "group", "aria-label": f"Question {number}"}
        box = SubElement(parent, "div", label)
        parser.parseChunk(box, f"**Question {number}.** {text}")
        for right, choice, why in choices:
            kind = "right" if right else "wrong"
            details = SubElement(box, "details", {"class": f"quiz-choice quiz-{kind}"})
            SubElement(details, "summary").text = choice
            verdict = "Right." if right else "Not right."
            parser.parseChunk(details, f"**{verdict}** {why}")

    return work.block(build)
