"""Quizzes: every choice opens an explanation, with the keyboard and without any script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser

from dlbook.publishing.conversion import Block
from dlbook.publishing.errors import UnplacedError
from dlbook.publishing.yamlread import fields, shortened


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
    UnplacedError
        A choice is not explained, or not exactly one of them is right.
    """
    if not isinstance(body, list) or not body:
        raise UnplacedError("a quiz holds no questions", "begin each one with `- question: …`")
    return [_question(entry) for entry in body]


def _question(entry: Any) -> Question:
    fields(entry, "a quiz question", text=("question",), optional={"choices": list})
    what = f"the question {shortened(entry['question'])}"
    choices = tuple(_choice(choice, what) for choice in entry.get("choices", []))
    if len(choices) < 2:
        problem = f"{what} has fewer than two choices"
        raise UnplacedError(problem, "add plausible wrong ones", entry.line)
    right = sum(choice.right for choice in choices)
    if right != 1:
        problem = f"{what} has {right} right choices"
        raise UnplacedError(problem, "set `right: true` on exactly one", entry.line)
    return Question(entry["question"].strip(), choices)


def _choice(entry: Any, question: str) -> Choice:
    what = f"a choice of {question}"
    if isinstance(entry, dict) and isinstance(entry.get("text"), str):
        what = f"the choice {shortened(entry['text'])} of {question}"
    fields(entry, what, text=("text", "why"), optional={"right": bool})
    return Choice(entry["text"].strip(), entry["why"].strip(), entry.get("right", False))


def quiz(block: Block) -> list[str]:
    """Return a block for each question of a fence.

    Raises
    ------
    UnplacedError
        A choice is not explained, or not exactly one of them is right.
    """
    return [line for question in questions(block.body) for line in (_shown(block, question), "")]


def _shown(block: Block, question: Question) -> str:
    block.work.questions += 1
    number = block.work.questions
    text = block.inline(question.text)
    choices = [(c.right, block.inline(c.text), block.inline(c.why)) for c in question.choices]

    def build(parent: Element, parser: BlockParser) -> None:
        label = {"class": "quiz-question", "role": "group", "aria-label": f"Question {number}"}
        box = SubElement(parent, "div", label)
        parser.parseChunk(box, f"**Question {number}.** {text}")
        for right, choice, why in choices:
            kind, verdict = ("right", "Right.") if right else ("wrong", "Not right.")
            details = SubElement(box, "details", {"class": f"quiz-choice quiz-{kind}"})
            SubElement(details, "summary").text = choice
            parser.parseChunk(details, f"**{verdict}** {why}")

    return block.work.block(build)
