# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Lab: one neuron
#
# The code of the chapter *The neuron*, to run and to change. It needs the package
# installed and takes a few seconds. Before each cell that says **Predict**, write down what you expect, then run it.

# %%
import matplotlib.pyplot as plt
import numpy as np

from dlbook.data import load_delivery, load_two_digits
from dlbook.scratch.activations import sigmoid
from dlbook.scratch.linear import linear_backward, linear_forward
from dlbook.scratch.losses import mse_backward, mse_forward
from dlbook.scratch.neuron import descend

# %% [markdown]
# ## A good day for a walk?
#
# Sunshine, day off, wind. **Predict**: which of the two days gets the larger output?

# %%
days = np.array([[0.8, 1.0, 0.5], [1.0, 0.0, 0.2]])
w, b = np.array([[2.0], [1.5], [-3.0]]), np.array([-1.0])
Z, _ = linear_forward(days, w, b)
np.hstack([Z, sigmoid(Z)])

# %% [markdown]
# Change the weights so that wind does not matter to you. Then set the weight of wind back to −3 and
# change the bias so that you walk on every day off, whatever the weather.
#
# ## The courier, by gradient descent
#
# The loss is the mean squared error, $L = \frac{1}{n} \sum_i (w x_i + b - y_i)^2$, and a step moves
# against the gradient. **Predict**: after one step from zero with rate 0.5, is the line too flat or
# too steep?

# %%
X, Y = load_delivery()
center = X.mean()
path = descend(X - center, Y, lr=0.5, steps=30)
for step in (0, 1, 2, 3, 10, 30):
    w, b, loss = path.W[step, 0], path.b[step], path.loss[step]
    print(f"step {step:2d}: w = {w:.3f}  b = {b:6.3f}  loss = {loss:.6f}")

# %% [markdown]
# The customer lives 7 miles away:

# %%
round(float(path.W[-1, 0] * (7 - center) + path.b[-1]), 3)

# %% [markdown]
# ## Which rates work?
#
# The second derivatives of this loss are 2 and 0.5. **Predict** for each of the five rates: does the
# loss reach zero quickly, slowly, or not at all?

# %% alt="The loss over 25 steps on a logarithmic axis, for five rates. It falls fastest for 0.8, slower for 0.5 and 0.05, slowest for 0.98, and rises for 1.02."
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
markers = {0.05: "o", 0.5: "s", 0.8: "^", 0.98: "d", 1.02: "x"}
for lr, marker in markers.items():
    loss = descend(X - center, Y, lr=lr, steps=25).loss
    ax.semilogy(loss + 1e-12, marker=marker, markersize=4, label=f"rate {lr}")
ax.set(xlabel="steps", ylabel="loss (squared minutes)")
ax.legend();

# %% [markdown]
# The rate 0.8 makes the worse of the two factors, $1 - 0.5\eta$ and $1 - 2\eta$, as small in size as
# it can be: 0.6 and −0.6. It is the best choice when you do not know where you start. Apply the same
# rule to raw distances (second derivatives 0.0159 and 62.98), count the steps, and compare with the
# rate 0.03. Why does the rule lose here? (Where does the start lie, seen from the star?)

# %%
raw = descend(X, Y, lr=0.03, steps=2000)
float(raw.loss[-1])

# %% [markdown]
# ## The gradient, checked
#
# The two backward passes against finite differences, at a random point.

# %%
rng = np.random.default_rng(0)
W, b = rng.normal(size=(1, 1)), rng.normal(size=1)
Z, cache = linear_forward(X, W, b)
loss, loss_cache = mse_forward(Z, Y)
_, dW, db = linear_backward(mse_backward(loss_cache), cache)

h = 1e-5
above = mse_forward(linear_forward(X, W + h, b)[0], Y)[0]
below = mse_forward(linear_forward(X, W - h, b)[0], Y)[0]
float(dW[0, 0]), float((above - below) / (2 * h))

# %% [markdown]
# ## 3 or 8?
#
# Replace the two digits by others. Which pairs are hard for one neuron? **Predict** before you run.

# %%
digits = load_two_digits(3, 8, rng=np.random.default_rng(0))
(X_train, Y_train), (X_test, Y_test) = digits.train, digits.test
mean = X_train.mean(axis=0)
path = descend(X_train - mean, Y_train, lr=0.1, steps=200)
Z_test = (X_test - mean) @ path.W[-1] + path.b[-1]
right = np.sign(Z_test) == Y_test[:, 0]
print(f"{right.mean():.1%} of {len(Y_test)} test images")

# %% alt="Two images of 8 by 8 pixels: the weights, strongest at the left edge of the digit, and the test image whose sum lies nearest to 0."
fig, axes = plt.subplots(1, 2, figsize=(5, 2.4), layout="constrained")
limit = np.abs(path.W[-1]).max()
weights = path.W[-1].reshape(8, 8)
axes[0].imshow(weights, cmap="PuOr", vmin=-limit, vmax=limit)
axes[0].set(title="weights", xticks=[], yticks=[])
hardest = np.argmin(np.abs(Z_test))
truth = "8" if Y_test[hardest, 0] > 0 else "3"
axes[1].imshow(X_test[hardest].reshape(8, 8), cmap="Greys")
axes[1].set(title=f"least sure: {truth}", xticks=[], yticks=[]);

# %% [markdown]
# ## XOR
#
# The best that one neuron can do. Add a third input, the product $x_1 x_2$, and train again:
# **predict** what changes. (A network finds such a third input by itself.)

# %%
X_xor = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y_xor = np.array([[0.0], [1.0], [1.0], [0.0]])
path = descend(X_xor, Y_xor, lr=0.4, steps=500)
(X_xor @ path.W[-1] + path.b[-1]).round(3)

# %%
X_three = np.column_stack([X_xor, X_xor[:, 0] * X_xor[:, 1]])
path = descend(X_three, Y_xor, lr=0.4, steps=5000)
(X_three @ path.W[-1] + path.b[-1]).round(3)
