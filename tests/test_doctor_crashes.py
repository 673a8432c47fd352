"""The doctor explains what ended a program: right, with its numbers, and without a guess."""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.doctor.discovery import watch_everything
from dlbook.doctor.findings import Report
from dlbook.doctor.rules import RULES
from dlbook.doctor.rules.crash import CRASHES
from dlbook.doctor.rules.rule import Sign
from dlbook.doctor.running import diagnose_script
from dlbook.pitfalls import load_pitfall, pitfall_names
from tests.crashing import PROGRAMS, X, network


def diagnosed(run: Any) -> Report:
    watcher = watch_everything()
    with suppress(BaseException), warnings.catch_warnings(), watcher:
        warnings.simplefilter("ignore")  # as a program has it, where no test makes them errors
        run()
    return watcher.report()


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_exception_is_explained_first_with_its_numbers(name: str) -> None:
    program = PROGRAMS[name]
    report = diagnosed(program.run)
    finding = report.findings[0]
    assert (finding.code, finding.severity) == (program.code, "error")
    for word in program.words:
        assert word in finding.evidence
    assert [f.code for f in report.findings if f.code in CRASHES] == [program.code]
    assert re.match(r"crashing\.py:\d+", finding.where)


def test_every_rule_about_exceptions_was_seen_to_fire() -> None:
    fired = {program.code for program in PROGRAMS.values()}
    fired |= {load_pitfall(name).finding for name in pitfall_names()}
    assert set(CRASHES) - fired == {"crash"}
    assert set(CRASHES) <= set(RULES)


def test_an_exception_of_the_readers_own_gets_no_guess() -> None:
    def program() -> float:
        right, seen = 0, 0
        network()(X)
        return right / seen

    report = diagnosed(program)
    assert [finding.code for finding in report.findings] == ["crash"]
    assert report.findings[0].evidence == "ZeroDivisionError: division by zero; return right / seen"
    line = program.__code__.co_firstlineno + 3
    assert report.findings[0].where == f"{Path(__file__).name}:{line}"


def test_what_the_exception_follows_from_comes_before_it() -> None:
    def program() -> Any:
        model, losses = network(), []
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(X), batch_size=len(X) + 1, drop_last=True)
        for (x,) in loader:
            losses.append(model(x).mean())
            optimizer.step()
        return sum(losses) / len(losses)

    report = diagnosed(program)
    assert [finding.code for finding in report.findings] == ["no-step-taken"]
    assert report.folded == {"no-step-taken": [RULES["crash"].title]}


def test_the_exception_goes_on_to_the_caller() -> None:
    error = RuntimeError("stop")
    with pytest.raises(RuntimeError, match="stop") as caught, watch_everything():
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "end", [SystemExit(0), SystemExit(None), SystemExit(3), KeyboardInterrupt()]
)
def test_an_end_on_purpose_is_no_fault(end: BaseException) -> None:
    def program() -> None:
        raise end

    assert not diagnosed(program).findings


def test_an_exception_that_the_program_catches_is_no_fault() -> None:
    def program() -> None:
        try:
            network()(torch.randn(2, 5))
        except RuntimeError:
            network()(X)

    assert not diagnosed(program).findings


def test_a_rule_that_fails_after_an_exception_hides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_record: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    broken = replace(RULES["graphs-kept"], judge=fails)
    monkeypatch.setitem(RULES, "graphs-kept", broken)
    report = diagnosed(PROGRAMS["cuda_assertion"].run)
    assert [finding.code for finding in report.findings] == ["assertion-on-the-device"]


def test_a_fault_seen_by_two_rules_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(RULES["graphs-kept"], code="loss-not-a-scalar", judge=lambda _: Sign("seen"))
    monkeypatch.setitem(RULES, "loss-not-a-scalar", other)
    report = diagnosed(PROGRAMS["losses_not_averaged"].run)
    assert [finding.evidence.partition(":")[0] for finding in report.findings] == ["RuntimeError"]
    found = [finding.code for finding in diagnosed(lambda: network()(X)).findings]
    assert found == ["loss-not-a-scalar"], "where nothing raises, the other rule is heard"


def test_no_tensor_is_described_but_those_of_the_call_that_failed() -> None:
    class Product(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x[:, :1] @ torch.ones(1, 2).double()

    finding = diagnosed(lambda: nn.Sequential(nn.Linear(3, 2), Product())(X)).findings[0]
    assert finding.code == "inputs-of-wrong-type"
    assert "the input" not in finding.evidence
    assert finding.where.endswith(", module 1")


def test_the_layer_is_named_as_in_the_network() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))

        def forward(self, x: torch.Tensor) -> Any:
            return self.body(x)

    finding = diagnosed(lambda: Network()(X)).findings[0]
    assert finding.where.endswith(", module body.1")
    assert finding.fix == "- Linear(5, 2)\n+ Linear(4, 2)"


def test_a_script_that_raises_before_any_step_is_explained(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    lines = ["import torch", "model = torch.nn.Sequential()", "torch.optim.SGD(model.parameters())"]
    program.write_text("\n".join(lines))
    report = diagnose_script(program)
    assert [finding.code for finding in report.findings] == ["no-parameters"]
    assert report.findings[0].where == "train.py:3"
    assert report.seen == "0 steps"
    assert not sys.argv[0].endswith("train.py")
