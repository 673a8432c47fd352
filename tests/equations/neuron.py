"""The checks behind the equations of the chapter on the neuron."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import sympy
from numpy.random import Generator

from dlbook.data import load_delivery
from dlbook.scratch.activations import sigmoid
from dlbook.scratch.linear import linear_backward, linear_forward
from dlbook.scratch.losses import mse_backward, mse_forward
from dlbook.scratch.neuron import descend
from dlbook.scratch.optimizers import SGD
from tests.proof import Page, Pairs, numeric, symbolic


def random_batch(rng: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs (n, d), weights (d, 1) and a bias (1,) of random sizes and values."""
    n, d = rng.integers(1, 6, size=2)
    return rng.normal(size=(n, d)), rng.normal(size=(d, 1)), rng.normal(size=1)


def records(rng: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return n records (n, 1), targets (n, 1), a weight (1, 1) and a bias (1,)."""
    n = rng.integers(1, 7)
    X, Y = rng.normal(size=(2, n, 1))
    return X, Y, rng.normal(size=(1, 1)), rng.normal(size=1)


def loss_gradients(
    X: np.ndarray, Y: np.ndarray, W: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the package's backward passes say of W and b."""
    Z, cache = linear_forward(X, W, b)
    _, loss_cache = mse_forward(Z, Y)
    _, dW, db = linear_backward(mse_backward(loss_cache), cache)
    return dW, db


def slope_of_loss(fixed: np.ndarray, factor: np.ndarray, at: float) -> float:
    """Differentiate the mean of (fixed + factor t)² at t, by a tiny imaginary step."""
    step = 1e-30
    errors = fixed + factor * (at + 1j * step)
    return float((errors**2).mean().imag / step)


@numeric(r"z = \sum_{j=1}^{d} x_j w_j + b")
def weighted_sum(rng: Generator, page: Page) -> Pairs:
    """``linear_forward`` on one example gives what the right side, read from the page, says."""
    for _ in range(100):
        X, W, b = random_batch(rng)
        Z, _ = linear_forward(X[:1], W, b)
        yield Z[0, 0], page.right_at(x=X[0], w=W[:, 0], b=b[0], d=X.shape[1])


@numeric(r"a = f(z)")
def activation(rng: Generator) -> Pairs:
    """The output is the function of the sum, for the chapter's three: identity, step, sigmoid."""
    for _ in range(40):
        X, W, b = random_batch(rng)
        Z, _ = linear_forward(X, W, b)
        z = np.array([sum(x * w for x, w in zip(row, W[:, 0], strict=True)) + b[0] for row in X])
        yield Z[:, 0], z
        yield (X @ W + b > 0).astype(float)[:, 0], np.heaviside(z, 0.0)
        yield sigmoid(Z)[:, 0], 0.5 * (1 + np.tanh(z / 2))


@numeric(r"\sigma(z) = \frac{1}{1 + e^{-z}}")
def sigmoid_formula(rng: Generator, page: Page) -> Pairs:
    """``sigmoid`` computes what the right side, read from the page, evaluates to."""
    for z in rng.uniform(-30, 30, size=100):
        yield sigmoid(np.array([z]))[0], page.right_at(z=z)


@numeric(r"r = \frac{x_1 w_1 + x_2 w_2 + b}{\sqrt{w_1^2 + w_2^2}}")
def boundary_distance(rng: Generator, page: Page) -> Pairs:
    """Going back by r along the weights' direction lands on the boundary, at right angles to it."""
    for _ in range(100):
        x, w, b = rng.normal(size=2), rng.normal(size=2), rng.normal()
        r = page.right_at(x_1=x[0], x_2=x[1], w_1=w[0], w_2=w[1], b=b)
        direction = np.array([np.cos(angle := np.arctan2(w[1], w[0])), np.sin(angle)])
        foot = x - r * direction
        yield foot @ w + b, 0.0
        along = np.array([-w[1], w[0]])
        others = [np.hypot(*(foot + t * along - x)) for t in (-0.1, 0.1)]
        yield float(min(others) > abs(r)), 1.0


@numeric(r"Z = XW + b")
def batch(rng: Generator) -> Pairs:
    """``linear_forward`` on a batch gives, entry by entry, the sum over the inputs."""
    for _ in range(100):
        X, W, b = random_batch(rng)
        Z, _ = linear_forward(X, W, b)
        n, d = X.shape
        entries = [sum(X[i, j] * W[j, 0] for j in range(d)) + b[0] for i in range(n)]
        yield Z, np.array(entries)[:, np.newaxis]


@symbolic(r"w x + b = w (x - \bar{x}) + (b + w \bar{x})")
def centering(page: Page) -> Pairs:
    """Both sides, read from the page with m for the mean, are the same polynomial."""
    plain = Page(page.latex.replace(r"\bar{x}", "m"))
    yield plain.left, plain.right


@numeric(r"L(w, b) = \frac{1}{n} \sum_{i=1}^{n} (w x_i + b - y_i)^2")
def mse(rng: Generator, page: Page) -> Pairs:
    """``mse_forward`` of a neuron's answers is the right side, read from the page."""
    for _ in range(100):
        X, Y, W, b = records(rng)
        loss, _ = mse_forward(linear_forward(X, W, b)[0], Y)
        yield loss, page.right_at(w=W[0, 0], b=b[0], x=X[:, 0], y=Y[:, 0], n=len(X))


@numeric(r"e_i = w x_i + b - y_i")
def error_i(rng: Generator, page: Page) -> Pairs:
    """What ``mse_forward`` keeps for each record is the right side, read from the page."""
    for _ in range(100):
        X, Y, W, b = records(rng)
        _, errors = mse_forward(linear_forward(X, W, b)[0], Y)
        i = rng.integers(len(X))
        yield errors[i, 0], page.right_at(w=W[0, 0], x_i=X[i, 0], b=b[0], y_i=Y[i, 0])


@symbolic(r"\frac{\partial}{\partial w} (w x + b - y)^2 = 2 (w x + b - y) x")
def slope_w(page: Page) -> Pairs:
    """SymPy differentiates the square on the left, and gets the right; both read from the page."""
    square = Page(page.latex.replace(r"\frac{\partial}{\partial w} ", "")).left
    yield sympy.diff(square, sympy.Symbol("w")), page.right


@symbolic(r"\frac{\partial}{\partial b} (w x + b - y)^2 = 2 (w x + b - y)")
def slope_b(page: Page) -> Pairs:
    """SymPy differentiates the square on the left, and gets the right; both read from the page."""
    square = Page(page.latex.replace(r"\frac{\partial}{\partial b} ", "")).left
    yield sympy.diff(square, sympy.Symbol("b")), page.right


@numeric(r"\frac{\partial L}{\partial w} = \frac{2}{n} \sum_{i=1}^{n} e_i x_i")
def gradient_w(rng: Generator, page: Page) -> Pairs:
    """The right side, as read, is what the backward passes and an imaginary step give."""
    for _ in range(50):
        X, Y, W, b = records(rng)
        e = (W * X + b - Y)[:, 0]
        right = page.right_at(e=e, x=X[:, 0], n=len(X))
        dW, _ = loss_gradients(X, Y, W, b)
        yield dW[0, 0], right
        yield slope_of_loss(b - Y, X, W[0, 0]), right


@numeric(r"\frac{\partial L}{\partial b} = \frac{2}{n} \sum_{i=1}^{n} e_i")
def gradient_b(rng: Generator, page: Page) -> Pairs:
    """The right side, as read, is what the backward passes and an imaginary step give."""
    for _ in range(50):
        X, Y, W, b = records(rng)
        e = (W * X + b - Y)[:, 0]
        right = page.right_at(e=e, n=len(X))
        _, db = loss_gradients(X, Y, W, b)
        yield db[0], right
        yield slope_of_loss(W * X - Y, np.ones_like(X), b[0]), right


@numeric(r"\frac{\partial L}{\partial W} = \frac{2}{n} X^\top (XW + b - Y)")
def gradient_matrix(rng: Generator) -> Pairs:
    """The product agrees with the backward passes and with an imaginary step in every entry."""
    for _ in range(50):
        X, W, b = random_batch(rng)
        Y = rng.normal(size=(len(X), 1))
        product = 2 / len(X) * X.T @ (X @ W + b - Y)
        dW, _ = loss_gradients(X, Y, W, b)
        yield dW, product
        columns = X.T[:, :, np.newaxis]  # (d, n, 1)
        entries = [
            slope_of_loss(X @ W + b - Y - column * w_j, column, w_j)
            for column, w_j in zip(columns, W[:, 0], strict=True)
        ]
        yield np.array(entries)[:, np.newaxis], product


@numeric(
    r"w \leftarrow w - \eta \frac{\partial L}{\partial w}, "
    r"\qquad b \leftarrow b - \eta \frac{\partial L}{\partial b}"
)
def step(rng: Generator, page: Page) -> Pairs:
    """Steps of ``descend`` and of ``SGD`` move both parameters as the page, read, says."""
    rules = {}
    for name, rule in zip("wb", page.latex.split(r", \qquad "), strict=True):
        derivative = rf"\frac{{\partial L}}{{\partial {name}}}"
        rules[name] = Page(rule.replace(r"\leftarrow", "=").replace(derivative, "g"))
    for _ in range(25):
        X, Y, W, b = records(rng)
        eta = rng.uniform(0.01, 0.1)
        path = descend(X, Y, lr=eta, steps=3)
        before = (path.W[2:3], path.b[2:3])
        dW, db = loss_gradients(X, Y, *before)
        yield path.W[3, 0], rules["w"].right_at(w=before[0][0, 0], eta=eta, g=dW[0, 0])
        yield path.b[3], rules["b"].right_at(b=before[1][0], eta=eta, g=db[0])
        dW, db = loss_gradients(X, Y, W, b)
        expected = (
            rules["w"].right_at(w=W[0, 0], eta=eta, g=dW[0, 0]),
            rules["b"].right_at(b=b[0], eta=eta, g=db[0]),
        )
        SGD([W, b], lr=eta).step([dW, db])
        yield W[0, 0], expected[0]
        yield b[0], expected[1]


@numeric(
    r"\frac{2}{n} \sum_{i=1}^{n} (w x_i + b - y_i) x_i = \frac{2}{n} \left( w \sum_{i=1}^{n} x_i^2"
    r" + b \sum_{i=1}^{n} x_i - \sum_{i=1}^{n} x_i y_i \right)"
)
def gradient_sorted(rng: Generator, page: Page) -> Pairs:
    """Both sides, read from the page, agree, and are the package's gradient."""
    for _ in range(50):
        X, Y, W, b = records(rng)
        values = {"w": W[0, 0], "b": b[0], "x": X[:, 0], "y": Y[:, 0], "n": len(X)}
        yield page.right_at(**values), page.left_at(**values)
        yield loss_gradients(X, Y, W, b)[0][0, 0], page.left_at(**values)


def centered_path(rng: Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the weights and biases of a run on the centered records, and its rate."""
    X, Y = load_delivery()
    eta = float(rng.uniform(0.05, 0.95))
    path = descend(X - X.mean(), Y, lr=eta, steps=10)
    return path.W[:, 0], path.b, eta


@numeric(r"w_{t+1} - 3.4 = \left(1 - \frac{\eta}{2}\right) (w_t - 3.4)")
def shrink_w(rng: Generator, page: Page) -> Pairs:
    """Every step of ``descend`` on the centered records shrinks the weight's distance so."""
    for _ in range(10):
        w, _, eta = centered_path(rng)
        for before, after in pairwise(w):
            yield after - 3.4, page.right_at(eta=eta, w_t=before)


@numeric(r"b_{t+1} - 23.9 = (1 - 2 \eta) (b_t - 23.9)")
def shrink_b(rng: Generator, page: Page) -> Pairs:
    """Every step of ``descend`` on the centered records changes the bias's distance so."""
    for _ in range(10):
        _, b, eta = centered_path(rng)
        for before, after in pairwise(b):
            yield after - 23.9, page.right_at(eta=eta, b_t=before)


@symbolic(r"(w_1 + b) + (w_2 + b) = (w_1 + w_2 + b) + b")
def xor(page: Page) -> Pairs:
    """Both sides, read from the page, are the same."""
    yield page.left, page.right
