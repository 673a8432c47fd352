"""Proofs of what the docstrings of activations state."""

from __future__ import annotations

from sympy import Abs, Max, Piecewise, Rational, erf, erfc, exp, log, pi, sqrt, tanh

from dlbook.scratch import activations as act
from dlbook.scratch import layers
from tests.statements.formulas import c, derivatives, values, z

SIGMA = 1 / (1 + exp(-z))
SIGMA_BELOW = exp(z) / (1 + exp(z))
TANH = (exp(z) - exp(-z)) / (exp(z) + exp(-z))
PHI = erfc(-z / sqrt(2)) / 2
DENSITY = exp(-(z**2) / 2) / sqrt(2 * pi)
U = sqrt(2 / pi) * z * (1 + Rational("0.044715") * z**2)
S = SIGMA.subs(z, 2 * U)
U_SLOPE = sqrt(2 / pi) * (1 + Rational("0.134145") * z**2)
RELU = Piecewise((z, z > 0), (0, True))
LEAKY = Piecewise((z, z > 0), (c * z, True))
ELU = Piecewise((z, z > 0), (c * (exp(z) - 1), True))
SOFTPLUS = log(1 + exp(z))

VALUES = [
    values(
        act.sigmoid,
        "σ(z) = 1 / (1 + e⁻ᶻ) for z ≥ 0, and the equal e^z / (1 + e^z) for z < 0",
        SIGMA,
        SIGMA_BELOW,
    ),
    values(act.sigmoid_forward, "A = σ(Z)", SIGMA),
    values(layers.Sigmoid, "A = σ(Z)", SIGMA),
    values(act.tanh, "tanh(z) = (e^z − e⁻ᶻ) / (e^z + e⁻ᶻ)", TANH),
    values(act.tanh_forward, "A = tanh(Z)", TANH),
    values(layers.Tanh, "A = tanh(Z)", TANH),
    values(
        act.gelu,
        "gelu(z) = z Φ(z), where Φ(z) = ½ erfc(−z / √2) is the normal distribution function",
        z * PHI,
        z * (1 + erf(z / sqrt(2))) / 2,
    ),
    values(act.gelu_forward, "A = Z ∘ Φ(Z)", z * PHI),
    values(layers.GELU, "A = Z ∘ Φ(Z), with the normal distribution function Φ", z * PHI),
    values(
        act.gelu_tanh,
        "gelu_tanh(z) = z/2 (1 + tanh u) = z σ(2u), where u = √(2/π) z (1 + 0.044715 z²)",
        z / 2 * (1 + tanh(U)),
        z * S,
    ),
    values(
        act.gelu_tanh_forward,
        "A = Z ∘ S, where S = σ(2u) and u = √(2/π) z (1 + 0.044715 z²)",
        z * S,
    ),
    values(act.relu, "relu(z) = max(z, 0)", Max(z, 0)),
    values(act.relu_forward, "A = relu(Z)", Max(z, 0)),
    values(layers.ReLU, "A = max(Z, 0)", Max(z, 0)),
    values(
        act.leaky_relu,
        "leaky_relu(z) = z for z > 0, and s z for z ≤ 0, with s the slope of that side",
        LEAKY,
        option="negative_slope",
    ),
    values(act.leaky_relu_forward, "A = leaky_relu(Z)", LEAKY, option="negative_slope"),
    values(
        layers.LeakyReLU,
        "A = Z where Z > 0, and negative_slope · Z elsewhere",
        LEAKY,
        option="negative_slope",
    ),
    values(act.elu, "elu(z) = z for z > 0, and α (e^z − 1) for z ≤ 0", ELU, option="alpha"),
    values(act.elu_forward, "A = elu(Z)", ELU, option="alpha"),
    values(layers.ELU, "A = Z where Z > 0, and α (e^Z − 1) elsewhere", ELU, option="alpha"),
    values(
        act.softplus,
        "softplus(z) = ln(1 + e^z) = max(z, 0) + ln(1 + e^(−|z|))",
        SOFTPLUS,
        Max(z, 0) + log(1 + exp(-Abs(z))),
    ),
    values(act.softplus_forward, "A = softplus(Z)", SOFTPLUS),
    values(layers.Softplus, "A = ln(1 + e^Z)", SOFTPLUS),
    values(act.silu, "silu(z) = z σ(z)", z * SIGMA),
    values(act.silu_forward, "A = Z ∘ σ(Z)", z * SIGMA),
    values(layers.SiLU, "A = Z ∘ σ(Z)", z * SIGMA),
]

DERIVATIVES = [
    derivatives(
        act.sigmoid_backward,
        act.sigmoid_forward,
        "dZ = dA ∘ σ′(Z), where σ′ = σ (1 − σ)",
        SIGMA * (1 - SIGMA),
        SIGMA,
    ),
    derivatives(
        act.tanh_backward,
        act.tanh_forward,
        "dZ = dA ∘ tanh′(Z), where tanh′ = 1 − tanh²",
        1 - TANH**2,
        tanh(z),
    ),
    derivatives(
        act.gelu_backward,
        act.gelu_forward,
        "dZ = dA ∘ (Φ(Z) + Z ∘ φ(Z)), where φ(z) = Φ′(z) = e^(−z²/2) / √(2π)",
        PHI + z * DENSITY,
        z * PHI,
    ),
    derivatives(
        act.gelu_tanh_backward,
        act.gelu_tanh_forward,
        "dZ = dA ∘ S ∘ (1 + 2 Z ∘ (1 − S) ∘ U′), where S = σ(2u) with the u of ``gelu_tanh``, and "
        "u′ = √(2/π) (1 + 0.134145 z²)",
        S * (1 + 2 * z * (1 - S) * U_SLOPE),
        z * S,
    ),
    derivatives(
        act.relu_backward,
        act.relu_forward,
        "dZ = dA ∘ [Z > 0]",
        Piecewise((1, z > 0), (0, True)),
        RELU,
    ),
    derivatives(
        act.leaky_relu_backward,
        act.leaky_relu_forward,
        "dz = da for z > 0, and s da for z ≤ 0",
        Piecewise((1, z > 0), (c, True)),
        LEAKY,
        option="negative_slope",
    ),
    derivatives(
        act.elu_backward,
        act.elu_forward,
        "dz = da for z > 0, and da α e^z for z ≤ 0",
        Piecewise((1, z > 0), (c * exp(z), True)),
        ELU,
        option="alpha",
    ),
    derivatives(
        act.softplus_backward, act.softplus_forward, "dZ = dA ∘ σ(Z)", SIGMA_BELOW, SOFTPLUS
    ),
    derivatives(
        act.silu_backward,
        act.silu_forward,
        "dZ = dA ∘ S ∘ (1 + Z ∘ (1 − S)), where S = σ(Z)",
        SIGMA * (1 + z * (1 - SIGMA)),
        z * SIGMA,
    ),
]
