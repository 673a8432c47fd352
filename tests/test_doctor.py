"""The doctor names what is wrong, is silent where nothing is, and touches nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dlbook.doctor import DiagnosedError, Finding, Report, catalog, explain, watch
from dlbook.doctor.discovery import watch_everything
from dlbook.doctor.rules import RULES
from dlbook.doctor.running import diagnose_script
from dlbook.pitfalls import load_pitfall, pitfall_names

Loop = Callable[[nn.Module, torch.optim.Optimizer], Any]
X, Y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.ones(32, 1)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 1)]
    return nn.Sequential(*layers)


def codes(loop: Loop, **options: Any) -> list[str]:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, **options) as w:
        loop(model, optimizer)
    return [finding.code for finding in w.report().findings]


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss_of: Callable[[Tensor], Tensor]
) -> Tensor:
    optimizer.zero_grad()
    loss = loss_of(model(X))
    loss.backward()
    optimizer.step()
    return loss


def mse(Z: Tensor) -> Tensor:
    return functional.mse_loss(Z, Y)


def sound(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(12):
        step(model, optimizer, mse)


def never_cleared(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(12):
        mse(model(X)).backward()
        optimizer.step()


def cleared_too_late(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(12):
        mse(model(X)).backward()
        optimizer.zero_grad()
        optimizer.step()


def step_too_early(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(12):
        optimizer.zero_grad()
        loss = mse(model(X))
        optimizer.step()
        loss.backward()


def no_backward(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(12):
        optimizer.zero_grad()
        mse(model(X))
        optimizer.step()


def too_small(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.param_groups[0]["lr"] = 1e-60  # above 0, and 0 in float32
    sound(model, optimizer)


def left_out(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    del optimizer.param_groups[0]["params"][-2:]
    sound(model, optimizer)


def measured_while_training(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    sound(model, optimizer)
    with torch.no_grad():
        mse(model(X))


def left_in_evaluation(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(3):
        for _ in range(4):
            step(model, optimizer, mse)
        model.eval()
        with torch.no_grad():
            mse(model(X))


def kept_graphs(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    losses = [step(model, optimizer, mse) for _ in range(20)]
    model.kept = losses  # type: ignore[assignment]  # so that they live until the report
    return losses


def two_softmaxes(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    y = torch.arange(32) % 2
    for _ in range(12):
        pairs = lambda Z: torch.cat([Z, -Z], dim=1).softmax(dim=1)  # noqa: E731
        step(model, optimizer, lambda Z: functional.cross_entropy(pairs(Z), y))  # noqa: B023


def two_sigmoids(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    loss = nn.BCEWithLogitsLoss()
    for _ in range(12):
        step(model, optimizer, lambda Z: loss(Z.sigmoid(), (X[:, :1] > 0).float()))


def broadcast(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(12):
        step(model, optimizer, lambda Z: functional.mse_loss(Z, Y[:, 0]))


FAULTS: dict[str, Loop] = {
    "gradients-not-cleared": never_cleared,
    "gradients-cleared-before-step": cleared_too_late,
    "backward-never-called": no_backward,
    "step-before-backward": step_too_early,
    "steps-change-nothing": too_small,
    "parameters-not-in-optimizer": left_out,
    "evaluation-in-training-mode": measured_while_training,
    "training-in-evaluation-mode": left_in_evaluation,
    "graphs-kept": kept_graphs,
    "softmax-before-cross-entropy": two_softmaxes,
    "sigmoid-before-loss-on-logits": two_sigmoids,
    "targets-broadcast": broadcast,
}


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_fault_of_the_loop_is_found_first(code: str) -> None:
    assert codes(FAULTS[code])[:1] == [code]


def test_every_rule_is_expected_by_some_test_or_pitfall() -> None:
    tests = Path(__file__).parent
    texts = [file.read_text(encoding="utf-8") for file in tests.glob("*.py")]
    expected = {load_pitfall(name).finding for name in pitfall_names()}
    untried = [c for c in RULES.keys() - expected if not any(f'"{c}"' in text for text in texts)]
    assert untried == []


def test_a_sound_loop_gives_no_finding() -> None:
    assert codes(sound) == []


def test_gradients_cleared_in_any_way_are_cleared() -> None:
    def none(model: nn.Module) -> None:
        for p in model.parameters():
            p.grad = None

    def in_place(model: nn.Module) -> None:
        for p in model.parameters():
            if p.grad is not None:
                p.grad.data.zero_()  # does not count as a change of p.grad for autograd

    for clear in (none, in_place, lambda model: model.zero_grad(set_to_none=False)):

        def loop(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
            for _ in range(12):
                clear(model)  # noqa: B023
                mse(model(X)).backward()
                optimizer.step()

        assert codes(loop) == []


def test_lbfgs_whose_closure_runs_many_times_a_step_is_sound() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = mse(model(X))
        loss.backward()
        return loss

    with watch(model, optimizer) as w:
        for _ in range(6):
            optimizer.step(closure)
    assert not w.report().findings


def test_two_networks_that_take_turns_are_sound() -> None:
    torch.manual_seed(0)
    makes, judges = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizers = [torch.optim.Adam(model.parameters()) for model in (makes, judges)]
    with watch({"makes": makes, "judges": judges}, optimizers) as w:
        for _ in range(12):
            optimizers[1].zero_grad()
            (judges(X).mean() - judges(makes(X).detach()).mean()).backward()
            optimizers[1].step()
            optimizers[0].zero_grad()
            judges(makes(X)).mean().backward()  # leaves gradients in the judge, too
            optimizers[0].step()
    assert not w.report().findings


@pytest.mark.parametrize("how", ["watch", "watch_everything"])
def test_a_run_watched_ends_with_the_bits_of_one_that_is_not(how: str) -> None:
    def trained(watched: bool) -> list[Tensor]:
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        if not watched:
            sound(model, optimizer)
        else:
            with watch(model, optimizer) if how == "watch" else watch_everything() as w:
                sound(model, optimizer)
                w.report()
        return [*model.state_dict().values(), torch.get_rng_state()]

    pairs = zip(trained(False), trained(True), strict=True)
    assert all(torch.equal(alone, watched) for alone, watched in pairs)


def test_nothing_is_left_behind_even_if_the_loop_raises() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss, backward = functional.mse_loss, Tensor.backward

    def stops(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        sound(model, optimizer)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), watch(model, optimizer) as w:
        stops(model, optimizer)
    assert (functional.mse_loss, Tensor.backward) == (loss, backward)
    assert not model._forward_pre_hooks
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert all(not p._backward_hooks for p in model.parameters())
    assert w.report().seen == "12 steps", "the report is there all the same"


def test_what_is_ignored_is_not_reported() -> None:
    assert codes(never_cleared, ignore=["gradients-not-cleared"]) == []


def test_a_finding_says_where_in_the_readers_code() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as w:
        never_cleared(model, optimizer)
    line = never_cleared.__code__.co_firstlineno + 3
    assert w.report().findings[0].where == f"{Path(__file__).name}:{line}"


def finding(code: str, severity: Any, causes: tuple[str, ...] = ()) -> Finding:
    return Finding(code, severity, f"title of {code}", "seen", "why", "- a\n+ b", causes=causes)


def test_a_report_orders_by_gravity_and_folds_what_follows() -> None:
    note, effect, cause = (
        finding("c", "note"),
        finding("b", "error"),
        finding("a", "error", causes=("b",)),
    )
    report = Report.of([note, effect, cause], seen="5 steps")
    assert [f.code for f in report.findings] == ["a", "c"]
    assert report.folded == {"a": ["title of b"]}
    assert report.verdict == "1 error, 1 note in 5 steps."
    assert "follows: title of b" in str(report)
    assert report.to_dict()["findings"][0]["code"] == "a"


def test_a_report_prints_three_findings_at_most() -> None:
    report = Report.of([finding(name, "warning") for name in "abcde"], seen="1 step")
    assert str(report).count("title of") == 3
    assert report.verdict == "5 warnings in 1 step."


def test_raise_on_raises_from_a_gravity_upwards() -> None:
    report = Report.of([finding("a", "warning")], seen="1 step")
    report.raise_on("error")
    for severity in ("warning", "note"):
        with pytest.raises(DiagnosedError, match="title of a"):
            report.raise_on(severity)
    with pytest.raises(ValueError, match="expected one of note, warning, error, got 'grave'"):
        report.raise_on("grave")  # type: ignore[arg-type]


def test_a_note_alone_is_no_fault() -> None:
    assert not Report.of([finding("a", "note")], seen="1 step")
    assert Report.of([finding("a", "warning")], seen="1 step")


def test_the_catalog_tells_every_code() -> None:
    assert catalog().keys() == RULES.keys()
    assert all(explain(code).endswith(".") for code in catalog())
    with pytest.raises(ValueError, match="no code 'x': there are "):
        explain("x")


SCRIPT = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(32, 2)
model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=float(sys.argv[1]))
for step in range(12):
    {clear}
    loss = (model(X) - X[:, :1]).square().mean()
    loss.backward()
    optimizer.step()
sys.exit(3)
"""


@pytest.mark.parametrize(
    ("clear", "found"), [("pass", ["gradients-not-cleared"]), ("optimizer.zero_grad()", [])]
)
def test_a_program_is_watched_as_it_stands(clear: str, found: list[str], tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(SCRIPT.format(clear=clear))
    before = sys.argv, sys.path[:]
    report = diagnose_script(program, ["0.1"])
    assert [finding.code for finding in report.findings] == found
    assert report.seen == "12 steps"
    assert (sys.argv, sys.path) == before


def test_from_the_shell_a_fault_is_a_status_of_1(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(SCRIPT.format(clear="pass"))
    command = [sys.executable, "-m", "dlbook.doctor", str(program), "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "gradients are never cleared" in done.stdout
    assert "train.py:14" in done.stdout


def test_a_missing_program_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no program no_such\.py"):
        diagnose_script("no_such.py")
