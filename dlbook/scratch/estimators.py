"""Hand-written networks with scikit-learn's interface, for its pipelines, searches and scores.

This is the one module of the hand-written half that imports scikit-learn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from dlbook.data import minibatches
from dlbook.metrics import accuracy
from dlbook.scratch.activations import log_softmax, softmax
from dlbook.scratch.checks import Array, Labels, check_number, check_whole
from dlbook.scratch.layers import mlp
from dlbook.scratch.losses import Loss, cross_entropy, mse
from dlbook.scratch.optimizers import SGD, Adam

__all__ = ["MLPClassifier", "MLPRegressor"]

FLOATS = (np.float64, np.float32)  # what X may hold; anything else becomes the first
SCIKIT_LEARNS_NAMES = {"logistic": "sigmoid"}
AT_ONCE = 200  # examples in a batch, unless batch_size says otherwise
TINY = float(np.finfo(np.float64).tiny)


class _MLP(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the classifier and the regressor share: their parameters and the training."""

    _loss: Loss

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: Literal["adam", "sgd"] = "adam",
        alpha: float = 1e-4,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 1e-3,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, of shape (d_in, d_out), as in scikit-learn."""
        return list(self.model_.parameters[::2])

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, of shape (d_out,), as in scikit-learn."""
        return list(self.model_.parameters[1::2])

    def _start(self, X: Array, outputs: int) -> None:
        """Make a new network, its optimizer and an empty record."""
        seed = check_random_state(self.random_state).randint(2**31, size=4)
        self._rng = np.random.default_rng(seed)
        self.model_ = mlp(
            [X.shape[1], *self._widths(), outputs],
            rng=self._rng,
            activation=SCIKIT_LEARNS_NAMES.get(self.activation, self.activation),
            dtype=X.dtype,
        )
        parameters, lr = self.model_.parameters, self.learning_rate_init
        self._optimizer: SGD | Adam
        if self.solver == "adam":
            self._optimizer = Adam(parameters, lr, (self.beta_1, self.beta_2), self.epsilon)
        else:
            nesterov = self.nesterovs_momentum and self.momentum > 0
            self._optimizer = SGD(parameters, lr, self.momentum, nesterov)
        self.n_iter_ = 0
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None

    def _train(self, X: Array, T: Array | Labels) -> None:
        """Show the examples until the loss, or the score on those kept aside, stops improving."""
        if self.early_stopping:
            X, X_aside, T, T_aside = self._keep_aside(X, T)
        best, waited, kept = np.inf, 0, None
        while waited <= self.n_iter_no_change:
            if self.n_iter_ == self.max_iter:
                warnings.warn(
                    f"training had not converged after max_iter={self.max_iter} epochs: raise "
                    "max_iter or learning_rate_init",
                    ConvergenceWarning,
                    stacklevel=3,
                )
                break
            error = self._epoch(X, T)
            if self.validation_scores_ is not None:
                self.validation_scores_.append(self._score(self._outputs(X_aside), T_aside))
                error = -self.validation_scores_[-1]
            waited = 0 if error <= best - self.tol else waited + 1
            if error < best:
                best = error
                kept = [w.copy() for w in self.model_.parameters] if self.early_stopping else None
        if kept:
            for w, best_w in zip(self.model_.parameters, kept, strict=True):
                w[...] = best_w

    def _epoch(self, X: Array, T: Array | Labels) -> float:
        """Show every example once; return the mean loss, its penalty included."""
        size = AT_ONCE if self.batch_size == "auto" else self.batch_size
        loss_forward, loss_backward = self._loss
        total = 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            for batch in minibatches(len(X), size, rng=self._rng if self.shuffle else None):
                Z = self.model_.forward(X[batch], training=True)
                value, cache = loss_forward(Z, T[batch])
                self.model_.backward_parameters(loss_backward(cache))
                decay = self.alpha / len(batch)
                pairs = list(zip(self.model_.parameters, self.model_.gradients, strict=True))
                value += decay / 2 * sum(float((w**2).sum()) for w, _ in pairs if w.ndim == 2)
                self._optimizer.step([g + decay * w if w.ndim == 2 else g for w, g in pairs])
                total += len(batch) * value
        self._forget()
        self.loss_ = total / len(X)
        if not np.isfinite([self.loss_, *(float(w.sum()) for w in self.model_.parameters)]).all():
            raise ValueError(
                f"training diverged, the loss is {self.loss_}: scale the inputs, or lower "
                f"learning_rate_init, which is {self.learning_rate_init}"
            )
        self.n_iter_ += 1
        self.loss_curve_.append(self.loss_)
        return self.loss_

    def _outputs(self, X: Array) -> Array:
        Z = self.model_.forward(X)
        self._forget()
        return Z

    def _forget(self) -> None:
        """Let go of the last examples, which a pickle would otherwise carry along."""
        for layer in self.model_.layers:
            layer.cache = None

    def _new_outputs(self, X: Any) -> Array:
        """Compute the outputs of the network for inputs that a caller gave."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return self._outputs(X.astype(self.model_.parameters[0].dtype, copy=False))

    def _widths(self) -> list[int]:
        hidden = self.hidden_layer_sizes
        return list(hidden) if isinstance(hidden, Iterable) else [hidden]

    def _keep_aside(self, X: Array, T: Array | Labels) -> Any:
        classes = T if isinstance(self, ClassifierMixin) else None
        seed = int(self._rng.integers(2**31))
        size = self.validation_fraction
        return train_test_split(X, T, test_size=size, stratify=classes, random_state=seed)

    def _score(self, Z: Array, T: Any) -> float:
        raise NotImplementedError

    def _check_parameters(self) -> None:
        if self.solver not in ("adam", "sgd"):
            raise ValueError(f"expected solver 'adam' or 'sgd', got {self.solver!r}")
        if self.batch_size != "auto":
            check_whole("batch_size", self.batch_size)
        for i, width in enumerate(self._widths()):
            check_whole(f"hidden_layer_sizes[{i}]", width)
        for name in ("max_iter", "n_iter_no_change"):
            check_whole(name, getattr(self, name))
        for name in ("alpha", "tol"):
            check_number(name, getattr(self, name), 0)
        for name in ("learning_rate_init", "epsilon"):
            check_number(name, getattr(self, name), TINY)
        for name in ("momentum", "beta_1", "beta_2"):
            check_number(name, getattr(self, name), 0, 1)
        check_number("validation_fraction", self.validation_fraction, TINY, 1)


class MLPClassifier(ClassifierMixin, _MLP):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron that tells classes, trained by the hand-written passes.

    loss = cross-entropy + α / (2 n) Σ w² over the weights, for a batch of n examples

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Widths of the hidden layers.
    activation : str, default "relu"
        What stands between the layers: a name that ``layers.mlp`` knows, or "logistic", which is
        scikit-learn's name for the sigmoid.
    solver : {"adam", "sgd"}, default "adam"
        The optimizer.
    alpha : float, default 1e-4
        Strength α of the L2 penalty on the weights; biases have none.
    batch_size : int or "auto", default "auto"
        Examples in a step; "auto" means 200. The last batch of an epoch takes what is left.
    learning_rate_init : float, default 1e-3
        Learning rate, per step; it stays as it is.
    max_iter : int, default 200
        The largest number of epochs.
    shuffle : bool, default True
        Shuffle the examples anew for each epoch.
    random_state : int, RandomState or None, default None
        Decides the starting weights, the order of the examples, and which are kept aside.
    tol : float, default 1e-4
        What counts as an improvement, in nats, or as a share of right answers.
    momentum : float, default 0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default False
        Keep examples aside, stop when the score on them does not improve, and go back to where it
        was best.
    validation_fraction : float, default 0.1
        The share of the examples to keep aside.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999 and 1e-8
        The numbers of "adam".
    n_iter_no_change : int, default 10
        Training stops once more than so many epochs in a row have not improved.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        The classes, sorted.
    model_ : Sequential
        The network; its outputs are k logits, also for two classes.
    coefs_, intercepts_ : list of ndarray
        Weights and biases of each layer.
    loss_ : float
        The loss of the last epoch, in nats.
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_ : list of float
        The score after each epoch on what was kept aside; None without early stopping.
    n_iter_ : int
        Epochs so far.
    n_features_in_ : int
        Inputs of an example.

    Notes
    -----
    Names and meaning are those of ``sklearn.neural_network.MLPClassifier``, but for this: weights
    start as ``layers.mlp`` draws them; two classes have two logits, not one; Adam's ε is added as
    PyTorch does. There are no "lbfgs", no changing rates and no sparse inputs.

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array(["no", "no", "yes", "yes"])
    >>> model = MLPClassifier(learning_rate_init=0.05, random_state=0).fit(X, y)
    >>> model.predict([[-1.0], [4.0]])
    array(['no', 'yes'], dtype='<U3')
    """

    _loss = cross_entropy

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.
        y : ndarray of shape (n,)
            Classes: numbers or strings.

        Returns
        -------
        MLPClassifier
            This estimator.

        Raises
        ------
        ValueError
            If X or y is not what a classifier learns from, a parameter is out of range, or
            training diverges; the message gives what came.
        TypeError
            If X is sparse, or a parameter not a number.
        """
        self._check_parameters()
        inputs, labels = self._examples(X, y, first=True)
        classes, T = np.unique(labels, return_inverse=True)
        self._start(inputs, len(classes))
        self.classes_ = classes
        self._train(inputs, T)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Show examples once more to the network there is, or to a new one.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.
        y : ndarray of shape (n,)
            Classes: numbers or strings.
        classes : ndarray of shape (k,), optional
            All classes that will ever come; the first call needs them.

        Returns
        -------
        MLPClassifier
            This estimator.

        Raises
        ------
        ValueError
            As ``fit``, and if ``classes`` is missing in the first call or another later, a class
            is not among them, or ``early_stopping`` is set.
        TypeError
            As ``fit``.
        """
        self._check_parameters()
        first = not hasattr(self, "model_")
        if self.early_stopping:
            raise ValueError("expected early_stopping=False with partial_fit, got True")
        if first and classes is None:
            raise ValueError("expected all classes in the first call of partial_fit, got None")
        known = self.classes_ if classes is None else np.unique(classes)
        if not first and not np.array_equal(known, self.classes_):
            raise ValueError(f"expected the classes of the first call {self.classes_}, got {known}")
        inputs, labels = self._examples(X, y, first=first)
        if not np.isin(labels, known).all():
            unknown = np.setdiff1d(labels, known)
            raise ValueError(f"expected y of the classes {known}, got {unknown}")
        if first:
            self._start(inputs, len(known))
            self.classes_ = known
        inputs = inputs.astype(self.model_.parameters[0].dtype)
        self._epoch(inputs, np.searchsorted(known, labels))
        return self

    def predict(self, X: ArrayLike) -> Any:
        """Tell the most probable class of each example.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.

        Returns
        -------
        ndarray of shape (n,)
            Classes, as they were given to ``fit``.
        """
        Z = self._new_outputs(X)
        return self.classes_[Z.argmax(axis=1)]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Compute the probability of each class.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.

        Returns
        -------
        ndarray of shape (n, k)
            Probabilities, in the order of ``classes_``.
        """
        return softmax(self._new_outputs(X))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Compute the logarithm of the probability of each class.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.

        Returns
        -------
        ndarray of shape (n, k)
            Logarithms of probabilities, in nats, in the order of ``classes_``.
        """
        return log_softmax(self._new_outputs(X))

    def _examples(self, X: Any, y: Any, *, first: bool) -> Any:
        X, y = validate_data(self, X, y, dtype=FLOATS, multi_output=True, reset=first)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return X, y

    def _score(self, Z: Array, T: Labels) -> float:
        return accuracy(Z.argmax(axis=1), T)


class MLPRegressor(RegressorMixin, _MLP):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron that predicts numbers, trained by the hand-written passes.

    loss = mean squared error + α / (2 n) Σ w² over the weights, for a batch of n examples

    The parameters, and the attributes but for ``classes_``, are those of ``MLPClassifier``.

    Notes
    -----
    Names and meaning are those of ``sklearn.neural_network.MLPRegressor``, with what is said of
    ``MLPClassifier``, and without the ½ before its squared error: an ``alpha`` weighs half as much
    here, and a rate of "sgd" twice. The score of early stopping is R².

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = MLPRegressor(learning_rate_init=0.02, random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.predict([[0.5]])
    array([0.2...])
    """

    _loss = mse

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.
        y : ndarray of shape (n, ...)
            Targets, of shape (n,), or (n, m) for m numbers an example.

        Returns
        -------
        MLPRegressor
            This estimator.

        Raises
        ------
        ValueError
            If X or y is not what a regressor learns from, a parameter is out of range, or training
            diverges; the message gives what came.
        TypeError
            If X is sparse, or a parameter not a number.
        """
        self._check_parameters()
        inputs, T = self._examples(X, y, first=True)
        self._start(inputs, T.shape[1])
        self._train(inputs, T)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Show examples once more to the network there is, or to a new one.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.
        y : ndarray of shape (n, ...)
            Targets, as many for an example as in the first call.

        Returns
        -------
        MLPRegressor
            This estimator.

        Raises
        ------
        ValueError
            As ``fit``, and if ``early_stopping`` is set.
        TypeError
            As ``fit``.
        """
        self._check_parameters()
        if self.early_stopping:
            raise ValueError("expected early_stopping=False with partial_fit, got True")
        first = not hasattr(self, "model_")
        inputs, T = self._examples(X, y, first=first)
        if first:
            self._start(inputs, T.shape[1])
        dtype = self.model_.parameters[0].dtype
        self._epoch(inputs.astype(dtype), T.astype(dtype))
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predict the target of each example.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Inputs, one example a row.

        Returns
        -------
        ndarray of shape (n, ...)
            Predictions, (n,) or (n, m) as the targets that were given to ``fit``.
        """
        Z = self._new_outputs(X)
        return Z[:, 0] if self._flat else Z

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _examples(self, X: Any, y: Any, *, first: bool) -> Any:
        X, y = validate_data(
            self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True, reset=first
        )
        self._flat = y.ndim == 1
        return X, y.reshape(len(y), -1).astype(X.dtype)

    def _score(self, Z: Array, T: Array) -> float:
        return float(r2_score(T, Z))
