"""Why a mutant lives: by module, the mutant's name and the reason."""

from __future__ import annotations

REASONS: dict[str, dict[str, str]] = {
    "activations/bounded": {
        "sigmoid: Z >= 0 → (Z > 0)": "equivalent: both forms give exactly 1/2 at 0",
    },
    "dropout": {
        "dropout_forward: rng.random(X.shape) >= p → (rng.random(X.shape) > p)": (
            "differs only where a draw of 53 random bits equals p"
        ),
    },
}
