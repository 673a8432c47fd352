"""The estimators: scikit-learn's own checks, its tools, and its MLPs beside ours."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dlbook.scratch
from dlbook.data import load_digits, make_blobs, make_moons
from dlbook.scratch.estimators import _MLP, MLPClassifier, MLPRegressor

not_converged = pytest.mark.filterwarnings("ignore:training had not converged")
nor_theirs = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def moons(n: int = 80) -> tuple[Any, Any]:
    return make_moons(n, noise=0.1, rng=rng(), dtype=np.float64)


def quick(**options: Any) -> MLPClassifier:
    settings = {"hidden_layer_sizes": 8, "learning_rate_init": 0.03, "max_iter": 40}
    return MLPClassifier(**(settings | {"random_state": 0} | options))


@parametrize_with_checks([MLPClassifier(), MLPRegressor()])  # type: ignore[untyped-decorator]  # scikit-learn has no types
@not_converged
def test_scikit_learns_own_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@not_converged
def test_it_works_in_pipeline_search_and_cross_validation() -> None:
    X, y = moons()
    pipeline = make_pipeline(StandardScaler(), quick())
    rates = {"mlpclassifier__learning_rate_init": [1e-6, 0.05], "mlpclassifier__max_iter": [40]}
    search = GridSearchCV(pipeline, rates, cv=2).fit(X, y)
    assert search.best_params_["mlpclassifier__learning_rate_init"] == 0.05
    assert search.best_score_ > 0.8
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.8


@not_converged
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_clone_learns_the_same_and_a_pickle_goes_on_alike(solver: Any) -> None:
    X, y = moons()
    model = quick(solver=solver).fit(X, y)
    again = clone(model).fit(X, y)
    assert again.loss_curve_ == model.loss_curve_
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert_array_equal(
        loaded.partial_fit(X, y).predict_proba(X), model.partial_fit(X, y).predict_proba(X)
    )


class SameStart(MLPClassifier):
    """Starts from weights that scikit-learn drew."""

    def __init__(self, start: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.start = start

    def _start(self, X: Any, outputs: int) -> None:
        super()._start(X, outputs)
        for w, theirs in zip(self.coefs_ + self.intercepts_, self.start, strict=True):
            w[...] = theirs


@not_converged
@nor_theirs
@pytest.mark.parametrize(
    "solver",
    [
        {"solver": "adam", "learning_rate_init": 0.01, "epsilon": 1e-30},
        {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.8},
        {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
    ],
)
def test_the_loss_curve_is_scikit_learns_given_its_weights_and_batches(solver: Any) -> None:
    X, y = make_blobs(70, k=3, rng=rng(), dtype=np.float64)
    common = {"batch_size": 32, "alpha": 0.3, "max_iter": 40, "shuffle": False, **solver}
    common |= {"hidden_layer_sizes": (7, 5), "random_state": 0}
    still = common | {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}
    begin = neural_network.MLPClassifier(**still).fit(X, y)
    theirs = neural_network.MLPClassifier(**common).fit(X, y)
    ours = SameStart(begin.coefs_ + begin.intercepts_, **common).fit(X, y)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=1e-8)
    assert ours.loss_curve_[-1] < 0.8 * ours.loss_curve_[0], "it learned"
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-8)
    for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert mine.shape == other.shape


@not_converged
@nor_theirs
def test_digits_are_told_as_well_as_by_scikit_learns_network() -> None:
    """Within 2 percentage points of its accuracy on 359 unseen images, and above 95 %."""
    digits = load_digits(rng=rng())
    options: Any = {"hidden_layer_sizes": 64, "max_iter": 20, "random_state": 0}
    options["learning_rate_init"] = 0.005
    ours, theirs = (
        kind(**options).fit(*digits.train).score(*digits.test)
        for kind in (MLPClassifier, neural_network.MLPClassifier)
    )
    assert ours > 0.95
    assert abs(ours - theirs) < 0.02


@not_converged
def test_three_partial_fits_are_three_epochs_of_fit() -> None:
    X, y = moons()
    whole = quick(max_iter=3).fit(X, y)
    parts = quick()
    for _ in range(3):
        parts.partial_fit(X, y, classes=[1, 0])
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == whole.n_iter_ == 3
    assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))

    target = np.sin(X[:, 0])
    wholly = MLPRegressor(max_iter=3, random_state=0).fit(X, target)
    partly = MLPRegressor(random_state=0)
    for _ in range(3):
        partly.partial_fit(X, target)
    assert_array_equal(partly.predict(X), wholly.predict(X))


@not_converged
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_loss_of_the_regressor_is_the_stated_one(outputs: int) -> None:
    X, Y = rng().normal(size=(50, 4)), rng(1).normal(size=(50, outputs))
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 0}
    model = MLPRegressor(5, alpha=7.0, batch_size=50, **still).fit(X, Y)  # type: ignore[arg-type]  # a dict of all kinds
    errors = ((X @ model.coefs_[0]).clip(0) @ model.coefs_[1] - Y) ** 2
    penalty = 7 / (2 * 50) * sum((W**2).sum() for W in model.coefs_)
    assert model.loss_ == pytest.approx(errors.mean() + penalty, rel=1e-12)
    assert max(np.abs(b).max() for b in model.intercepts_) < 1e-290


@not_converged
def test_a_pickle_carries_no_examples() -> None:
    X, y = moons()
    model = quick().fit(X, y)
    size = len(pickle.dumps(model))
    model.predict(np.repeat(X, 100, axis=0))
    assert len(pickle.dumps(model)) == size < 20_000


@not_converged
def test_fit_starts_anew() -> None:
    X, y = moons()
    model = quick(max_iter=3)
    once = model.fit(X, y).loss_curve_
    assert model.fit(X, y).loss_curve_ == once


def test_training_stops_where_the_loss_no_longer_improves() -> None:
    X, y = make_blobs(60, k=2, spread=0.1, rng=rng(), dtype=np.float64)
    model = quick(max_iter=5000, tol=1e-3, n_iter_no_change=4, batch_size=60).fit(X, y)
    curve = model.loss_curve_
    assert model.n_iter_ == len(curve) < 5000
    assert model.loss_ == curve[-1]
    better = [curve[i] <= min(curve[:i]) - 1e-3 for i in range(1, len(curve))]
    assert better[-6:] == [True] + 5 * [False]


def test_early_stopping_returns_to_the_best_score_on_what_was_kept_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = moons(100)
    noisy = np.where(rng(3).uniform(size=100) < 0.3, 1 - y, y)
    model = quick(early_stopping=True, max_iter=500, n_iter_no_change=5, validation_fraction=0.3)
    kept: list[Any] = []

    def remember(*arguments: Any) -> float:
        kept.append([w.copy() for w in model.model_.parameters])
        return MLPClassifier._score(model, *arguments)

    monkeypatch.setattr(model, "_score", remember)
    model.fit(X, noisy)
    assert model.validation_scores_ is not None
    best = int(np.argmax(model.validation_scores_))
    assert best < len(kept) - 1
    for w, then in zip(model.model_.parameters, kept[best], strict=True):
        assert_array_equal(w, then)


def test_of_equal_scores_the_first_is_returned_to(monkeypatch: pytest.MonkeyPatch) -> None:
    model, scores = quick(early_stopping=True, n_iter_no_change=2), iter([0.5, 0.5, 0.4, 0.5])
    kept: list[Any] = []

    def score(Z: Any, T: Any) -> float:
        kept.append([w.copy() for w in model.model_.parameters])
        return next(scores)

    monkeypatch.setattr(model, "_score", score)
    model.fit(*moons())
    assert len(kept) == 4
    for w, first in zip(model.model_.parameters, kept[0], strict=True):
        assert_array_equal(w, first)


def test_the_base_of_both_leaves_the_score_to_them() -> None:
    with pytest.raises(NotImplementedError):
        _MLP()._score(np.zeros((1, 1)), None)


def test_the_regressor_learns_what_no_line_can_and_many_targets_at_once() -> None:
    X = rng().uniform(-2, 2, size=(200, 2)).astype(np.float32)
    Y = np.stack([np.abs(X[:, 0]), X[:, 1] ** 2], axis=1)
    model = MLPRegressor(32, learning_rate_init=0.01, random_state=0, early_stopping=True)
    model.fit(X, Y)
    assert LinearRegression().fit(X, Y).score(X, Y) < 0.1
    assert model.score(X, Y) > 0.9
    assert model.predict(X).shape == (200, 2)
    assert model.predict(X).dtype == np.float32
    assert model.fit(X, Y[:, 0]).predict(X).shape == (200,)
    assert not hasattr(model, "classes_")


@not_converged
def test_probabilities_follow_the_classes_and_their_logarithms_too() -> None:
    X, y = moons()
    words = np.array(["upper", "lower"])[y]
    model = quick().fit(X.astype(np.float32), words)
    P = model.predict_proba(X)
    assert model.classes_.tolist() == ["lower", "upper"]
    assert P.dtype == np.float32
    assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(model.predict(X), model.classes_[P.argmax(axis=1)])
    assert_allclose(np.exp(model.predict_log_proba(X)), P, rtol=1e-5, atol=1e-7)
    assert model.score(X, words) > 0.8


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"activation": "rely"}, ValueError, "expected an activation of relu, .*got 'rely'"),
        ({"solver": "lbfgs"}, ValueError, "expected solver 'adam' or 'sgd', got 'lbfgs'"),
        ({"batch_size": 0}, ValueError, "expected batch_size of at least 1, got 0"),
        ({"max_iter": 1.5}, TypeError, "expected max_iter to be a whole number, got 1.5"),
        ({"n_iter_no_change": 0}, ValueError, "expected n_iter_no_change of at least 1, got 0"),
        ({"alpha": -1}, ValueError, "expected alpha from 0 up and finite, got -1"),
        ({"tol": "small"}, TypeError, "expected tol to be a number, got 'small'"),
        ({"learning_rate_init": 0}, ValueError, "expected learning_rate_init from"),
        ({"epsilon": 0}, ValueError, "expected epsilon from"),
        ({"momentum": 1}, ValueError, "expected momentum from 0 up and below 1, got 1"),
        ({"beta_1": -0.1}, ValueError, "expected beta_1 from 0 up"),
        ({"beta_2": 1}, ValueError, "expected beta_2 from 0 up"),
        ({"validation_fraction": 1}, ValueError, "expected validation_fraction .* below 1, got 1"),
        ({"hidden_layer_sizes": (4, 0)}, ValueError, r"sizes\[1\] of at least 1, got 0"),
        ({"hidden_layer_sizes": "8"}, TypeError, r"sizes\[0\] to be a whole number"),
    ],
)
def test_parameters_out_of_range_are_refused_before_anything_is_made(
    options: Any, error: type[Exception], told: str
) -> None:
    model = quick(**options)
    with pytest.raises(error, match=told):
        model.fit(*moons())
    with pytest.raises(NotFittedError):
        model.predict(moons()[0])


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda X, y: quick().partial_fit(X, y), "expected all classes in the first call"),
        (
            lambda X, y: quick().partial_fit(X, y, [0, 2]),
            r"expected y of the classes \[0 2\], got \[1\]",
        ),
        (
            lambda X, y: quick().partial_fit(X, y, [0, 1]).partial_fit(X, y, [0, 1, 2]),
            r"expected the classes of the first call \[0 1\], got \[0 1 2\]",
        ),
        (lambda X, y: quick(batch_size=0).partial_fit(X, y, [0, 1]), "batch_size of at least 1"),
        (lambda X, y: MLPRegressor(batch_size=0).partial_fit(X, y), "batch_size of at least 1"),
        (lambda X, y: MLPRegressor(batch_size=0).fit(X, y), "batch_size of at least 1"),
        (lambda X, y: quick(early_stopping=True).partial_fit(X, y, [0, 1]), "early_stopping=False"),
        (lambda X, y: MLPRegressor(early_stopping=True).partial_fit(X, y), "early_stopping=False"),
        (
            lambda X, y: MLPRegressor(solver="sgd", learning_rate_init=1e3).fit(X, 1e6 * y),
            "training diverged, the loss is .*lower learning_rate_init, which is 1000",
        ),
        (
            lambda X, y: MLPRegressor(solver="sgd", learning_rate_init=1e300, batch_size=10).fit(
                X, 1e6 * y
            ),
            "training diverged, the loss is nan: scale the inputs, or lower learning_rate_init",
        ),
    ],
)
def test_what_cannot_go_well_is_refused_or_told(act: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        act(*moons())


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")  # inf and -inf added up
def test_parameters_that_overflow_are_told_although_the_loss_was_still_finite() -> None:
    X, y = moons()
    model = MLPRegressor(solver="sgd", learning_rate_init=1e307, max_iter=1)
    with pytest.raises(ValueError, match=r"training diverged, the loss is \d"):
        model.fit(X, 1e6 * y)


def test_the_end_of_the_epochs_before_convergence_is_told() -> None:
    from sklearn.exceptions import ConvergenceWarning

    told = "not converged after max_iter=2 epochs: raise"
    with pytest.warns(ConvergenceWarning, match=told) as warned:
        quick(max_iter=2).fit(*moons())
    assert Path(warned[0].filename).name == Path(__file__).name, "it points at the call of fit"


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_have_the_defaults_of_scikit_learns_networks(name: str) -> None:
    ours = inspect.signature(globals()[name]).parameters
    theirs = inspect.signature(getattr(neural_network, name)).parameters
    defaults = {key: parameter.default for key, parameter in ours.items()}
    assert defaults == {key: theirs[key].default for key in ours}
    assert len(defaults) == 18


@pytest.mark.parametrize(("n", "steps"), [(199, 1), (200, 1), (201, 2), (400, 2), (401, 3)])
def test_an_epoch_takes_200_examples_at_once_unless_told_otherwise(n: int, steps: int) -> None:
    model = quick().partial_fit(*moons(n), classes=[0, 1])
    assert model._optimizer.steps == steps


@not_converged
def test_the_random_state_decides_the_start_the_order_and_what_is_kept_aside() -> None:
    X, y = moons(60)
    for options in ({}, {"early_stopping": True}):
        first, again, other = (
            quick(max_iter=3, batch_size=7, random_state=seed, **options).fit(X, y)
            for seed in (0, 0, 1)
        )
        assert first.loss_curve_ == again.loss_curve_ != other.loss_curve_
        assert first.validation_scores_ == again.validation_scores_
        assert (first.coefs_[0] != other.coefs_[0]).all()


@not_converged
def test_examples_come_in_another_order_each_epoch_unless_told_otherwise() -> None:
    X, y = moons(60)
    options: Any = {"max_iter": 2, "batch_size": 7}
    shuffled, ordered = quick(**options).fit(X, y), quick(**options, shuffle=False).fit(X, y)
    assert shuffled.loss_curve_ != ordered.loss_curve_


def test_a_part_may_hold_some_of_the_classes_only() -> None:
    X, y = moons()
    model = quick().partial_fit(X[y == 0], y[y == 0], classes=[0, 1])
    assert model.predict_proba(X).shape == (80, 2)


def test_the_score_of_early_stopping_is_the_share_of_largest_logits_that_are_right() -> None:
    Z, T = np.array([[0.0, 1.0, -1.0], [2.0, 1.0, 3.0], [5.0, 1.0, 0.0]]), np.array([1, 2, 2])
    assert quick()._score(Z, T) == pytest.approx(2 / 3)


def test_which_examples_are_kept_aside_follows_the_generator() -> None:
    model, aside = quick(), []
    for seed in (0, 1, 0):
        model._rng = rng(seed)
        aside.append(model._keep_aside(*moons())[1])
    assert_array_equal(aside[0], aside[2])
    assert (aside[0] != aside[1]).any()


@not_converged
def test_what_is_kept_aside_holds_the_classes_in_their_shares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = rng().normal(size=(100, 2)), np.repeat([0, 1], [90, 10])
    model, shares = quick(early_stopping=True, max_iter=1, validation_fraction=0.2), []

    def score(Z: Any, T: Any) -> float:
        shares.append((len(T), T.sum()))
        return 0.0

    monkeypatch.setattr(model, "_score", score)
    model.fit(X, y)
    assert shares == [(20, 2)]


@not_converged
def test_a_loss_that_stays_is_an_improvement_by_nothing() -> None:
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "shuffle": False, "max_iter": 9}
    ours, stopped = (quick(**still, tol=tol, n_iter_no_change=2) for tol in (0.0, 1e-9))
    X, y = moons()
    assert ours.fit(X, y).n_iter_ == 9
    assert stopped.fit(X, y).n_iter_ == 4, "one that improves on nothing, and three that wait"


@not_converged
def test_plain_gradient_descent_takes_no_look_ahead() -> None:
    X, y = moons()
    assert quick(solver="sgd", momentum=0.0, max_iter=2).fit(X, y).n_iter_ == 2


def test_no_other_module_of_the_hand_written_half_imports_scikit_learn() -> None:
    folder = Path(dlbook.scratch.__path__[0])
    importing = [
        path.name
        for path in folder.rglob("*.py")
        if re.search(r"^\s*(from|import) sklearn", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert importing == ["estimators.py"]
