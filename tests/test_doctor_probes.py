"""What answers depend on: each fault is found in other forms, its look-alikes are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, TensorDataset

from dlbook.doctor import Finding
from dlbook.doctor.discovery import watch_everything

Program = Callable[[], object]


def told(program: Program) -> list[Finding]:
    with watch_everything() as w, torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch may say so too
        torch.manual_seed(0)
        program()
    report = w.report()
    assert not w.record.trouble
    return list(report.findings)


def fit(
    model: nn.Module, X: Tensor, y: Tensor, *, steps: int = 60, rate: float = 0.01, n: int = 40
) -> None:
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(steps):
        rows = torch.randperm(len(X))[:n]
        Z = model(X[rows])
        loss = mse_loss(Z, y[rows]) if y.is_floating_point() else cross_entropy(Z, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def waves(n: int = 200, length: int = 12, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Return noise of which one channel, the class, holds a wave; (n, length, channels)."""
    y = torch.randint(channels, (n,))
    X = 0.3 * torch.randn(n, length, channels)
    X[torch.arange(n), :, y] += torch.sin(0.8 * torch.arange(length) + 6.3 * torch.rand(n, 1))
    return X, y


# -- samples-mixed-across-the-batch


class Attends(nn.Module):
    """A transformer layer over waves."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=batch_first)
        self.head = nn.Linear(16, 3)

    def forward(self, X: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(X).relu()).amax(1))


def transformer_that_takes_examples_for_time() -> None:
    fit(Attends(batch_first=False), *waves(), steps=30)


def states_put_side_by_side_by_reshape() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(3, 8, batch_first=True, bidirectional=True)
            self.head = nn.Linear(16, 3)

        def forward(self, X: Tensor) -> Tensor:
            _, last = self.gru(X)  # (2, n, 8)
            return self.head(last.reshape(len(X), 16))

    fit(Network(), *waves(), steps=60)


def pooling_with_weights_of_the_batch() -> None:
    X, y = waves()
    embed, score, head = nn.Linear(3, 16), nn.Linear(16, 1), nn.Linear(16, 3)
    optimizer = torch.optim.Adam(nn.ModuleList([embed, score, head]).parameters(), 0.01)
    for xb, yb in [batch for _ in range(8) for batch in batches(X, y)]:
        hidden = embed(xb).tanh()
        pooled = (score(hidden).softmax(0) * hidden).sum(1)
        loss = cross_entropy(head(pooled), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def batches(X: Tensor, y: Tensor) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(X, y), batch_size=40, shuffle=True)


def time_first_and_as_many_steps_as_examples() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.head = nn.GRU(3, 24), nn.Linear(24, 3)

        def forward(self, X: Tensor) -> Tensor:
            return self.head(self.gru(X)[0].amax(0))

    X, y = waves(length=20)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(100):
        rows = torch.randperm(200)[:20]
        loss = cross_entropy(model(X[rows].transpose(0, 1)), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def batch_norm_in_training() -> None:
    X, y = waves()
    layers = [nn.Flatten(), nn.Linear(36, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3)]
    fit(nn.Sequential(*layers), X.abs(), y, steps=100)


def graph_of_nodes() -> None:
    class Convolutions(nn.Module):
        def __init__(self, A: Tensor) -> None:
            super().__init__()
            self.A = nn.Buffer(A / A.sum(1, keepdim=True))
            self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 2)

        def forward(self, X: Tensor) -> Tensor:
            return self.second(self.A @ torch.relu(self.first(self.A @ X)))

    y = torch.arange(60) % 2
    A = ((y[:, None] == y) & (torch.rand(60, 60) < 0.3)).float() + torch.eye(60)
    X = torch.randn(60, 4) + y[:, None]
    model = Convolutions(A)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        loss = cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def one_long_series() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.head = nn.GRU(1, 16), nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.gru(x)[0])

    series = torch.sin(0.3 * torch.arange(121.0))[:, None]
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(80):
        loss = mse_loss(model(series[:80]), series[1:81])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        model(series[80:-1])


def pairs_of_two_kinds() -> None:
    class Pairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(8, 6), nn.Linear(5, 6)

        def forward(self, X: Tensor, Z: Tensor) -> Tensor:
            return 4 * functional.normalize(self.left(X)) @ functional.normalize(self.right(Z)).T

    hidden = torch.randn(200, 4)
    X, Z = hidden @ torch.randn(4, 8), hidden @ torch.randn(4, 5)
    model = Pairs()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for xb, zb in [batch for _ in range(20) for batch in batches(X, Z)]:
        loss = cross_entropy(model(xb, zb), torch.arange(len(xb)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def series_continued_step_by_step() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.head = nn.GRU(1, 16), nn.Linear(16, 1)

        def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
            states, state = self.gru(x, state)
            return self.head(states), state

    series = torch.sin(0.3 * torch.arange(81.0))[:, None]
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(80):
        loss = mse_loss(model(series[:-1])[0], series[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x, state = model(series[:-1])
        x = x[-1:]
        for _ in range(20):
            x, state = model(x, state)


# -- reshape-for-transpose


class Convolves(nn.Module):
    """A convolution over waves, whose axes are put in order by what the test gives."""

    def __init__(self, turn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.turn = turn
        self.convolution, self.head = nn.Conv1d(3, 16, 5), nn.Linear(16, 3)

    def forward(self, X: Tensor) -> Tensor:
        return self.head(torch.relu(self.convolution(self.turn(X))).mean(2))


def view_for_transpose() -> None:
    fit(Convolves(lambda X: X.view(-1, 3, 24)), *waves(length=24), steps=100)


def images_with_channels_last_reshaped() -> None:
    X, y = waves(n=300, length=64)
    images = X.reshape(-1, 8, 8, 3).numpy().reshape(-1, 3, 8, 8)  # not seen by PyTorch
    layers = [nn.Conv2d(3, 16, (1, 5)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    fit(nn.Sequential(*layers, nn.Linear(16, 3)), torch.from_numpy(images), y, steps=150)


def transposed() -> None:
    fit(Convolves(lambda X: X.transpose(1, 2)), *waves(length=24), steps=100)


def axis_of_length_one_moved() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.head = nn.Conv1d(1, 16, 3), nn.Linear(16, 2)

        def forward(self, X: Tensor) -> Tensor:  # (n, 12, 1)
            hidden = torch.relu(self.convolution(X.reshape(len(X), 1, 12)))
            return self.head(hidden.mean(2))

    y = torch.randint(2, (200,))
    fit(Network(), torch.randn(200, 12, 1) * (1 + 3 * y[:, None, None]), y, steps=100)


# -- future-seen-by-attention, mask-of-the-wrong-sense


def counting(n: int = 200, length: int = 9) -> Tensor:
    """Return tokens each of which is one of two that may follow the one before."""
    tokens = torch.randint(8, (n, 1))
    for _ in range(length - 1):
        follower = (2 * tokens[:, -1:] + torch.randint(2, (n, 1))) % 8
        tokens = torch.cat([tokens, follower], 1)
    return tokens


class Language(nn.Module):
    """Predicts the next token by attention or by what is given for it."""

    def __init__(self, mixer: nn.Module, width: int = 16, mask: Tensor | None = None) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(8, 16), nn.Parameter(torch.randn(8, 16))
        self.mixer, self.head, self.mask = mixer, nn.Linear(width, 8), mask

    def forward(self, tokens: Tensor) -> Tensor:
        X = self.embed(tokens) + self.places
        if isinstance(self.mixer, nn.RNNBase):
            return self.head(self.mixer(X)[0])
        return self.head(self.mixer(X, self.mask))


def reads(model: Language, *, steps: int = 60) -> None:
    tokens = counting()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(steps):
        rows = torch.randperm(200)[:40]
        logits = model(tokens[rows, :-1])
        loss = cross_entropy(logits.transpose(1, 2), tokens[rows, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)


def language_model_without_a_mask() -> None:
    reads(Language(layer()))


def language_model_in_both_directions() -> None:
    reads(Language(nn.LSTM(16, 16, batch_first=True, bidirectional=True), 32))


def language_model_with_a_mask() -> None:
    reads(Language(layer(), mask=torch.ones(8, 8).triu(1).bool()))


def language_model_in_one_direction() -> None:
    reads(Language(nn.LSTM(16, 16, batch_first=True)))


def tags_in_both_directions() -> None:
    model = Language(nn.LSTM(16, 16, batch_first=True, bidirectional=True), 32)
    tokens = torch.randint(8, (200, 8))
    tags = (tokens + tokens.roll(-1, 1)) % 8
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(150):
        rows = torch.randperm(200)[:60]
        loss = cross_entropy(model(tokens[rows]).flatten(0, 1), tags[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def padded(n: int = 300, width: int = 10) -> tuple[Tensor, Tensor]:
    """Return padded tokens, and whether one of them is a 7."""
    tokens = torch.randint(1, 9, (n, width))
    tokens[torch.arange(width) >= torch.randint(3, width + 1, (n, 1))] = 0
    return tokens, (tokens == 7).any(1).long()


class Pools(nn.Module):
    """Looks for a token, with a mask made of the tokens."""

    def __init__(self, hides: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.embed, self.score, self.head = nn.Embedding(9, 16), nn.Linear(16, 1), nn.Linear(16, 2)
        self.hides = hides

    def forward(self, tokens: Tensor) -> Tensor:
        X = self.embed(tokens)
        scores = self.score(X).squeeze(2).masked_fill(self.hides(tokens), -1e9)
        return self.head((scores.softmax(1)[:, :, None] * X).sum(1))


class Encodes(nn.Module):
    """A transformer layer with a mask of its keys, whose own path lets each token through."""

    def __init__(self, hides: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.embed, self.layer, self.head = nn.Embedding(9, 16), layer(), nn.Linear(16, 2)
        self.hides = hides

    def forward(self, tokens: Tensor) -> Tensor:
        X = self.layer(self.embed(tokens), src_key_padding_mask=self.hides(tokens))
        return self.head(X.masked_fill((tokens == 0)[:, :, None], -9).amax(1))


def scores_of_tokens_hidden() -> None:
    tokens, y = padded()
    some = (tokens == 0).any(1)
    fit(Pools(lambda tokens: tokens != 0), tokens[some], y[some], steps=60)


def keys_of_tokens_hidden() -> None:
    tokens, y = padded()
    some = (tokens == 0).any(1)
    fit(Encodes(lambda tokens: tokens != 0), tokens[some], y[some], steps=60)


def past_hidden() -> None:
    reads(Language(layer(), mask=torch.ones(8, 8).tril(-1).bool()))


def padding_hidden() -> None:
    fit(Pools(lambda tokens: tokens == 0), *padded(), steps=150, rate=0.03)


def padding_hidden_from_keys() -> None:
    fit(Encodes(lambda tokens: tokens == 0), *padded(), steps=120)


# -- padding-read-as-data


def sums(n: int = 400, longest: int = 8, width: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Return padded numbers (n, width, 1), whether their sum is positive, and lengths."""
    lengths = torch.randint(2, longest + 1, (n,))
    X = torch.randn(n, width) * (torch.arange(width) < lengths[:, None])
    return X[:, :, None], (X.sum(1) > 0).long(), lengths


def last_state_of_all() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(1, 16, batch_first=True), nn.Linear(16, 2)

        def forward(self, X: Tensor) -> Tensor:
            return self.head(self.rnn(X)[1][0])

    X, y, _ = sums()
    fit(Network(), X, y, steps=120)


def mean_of_all() -> None:
    worth = torch.randn(30)
    bags = torch.randint(1, 30, (400, 12))
    lengths = torch.randint(1, 13, (400, 1))
    present = torch.arange(12) < lengths
    bags = bags * present
    Y = (worth[bags] * present).sum(1, keepdim=True) / lengths
    embed, head = nn.Embedding(30, 8, padding_idx=0), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*embed.parameters(), *head.parameters()], 0.02)
    for _ in range(160):
        rows = torch.randperm(400)[:60]
        loss = mse_loss(head(embed(bags[rows]).mean(1)), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def packed() -> None:
    X, y, lengths = sums()
    rnn, head = nn.GRU(1, 16, batch_first=True), nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], 0.02)
    for _ in range(120):
        rows = torch.randperm(400)[:60]
        sequences = pack_padded_sequence(X[rows], lengths[rows], True, enforce_sorted=False)
        loss = cross_entropy(head(rnn(sequences)[1][0]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def largest_of_all() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 16, padding_idx=0), nn.Linear(16, 2)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.embed(tokens).amax(1))

    fit(Network(), *padded(), steps=150, rate=0.03)


# -- positions-left-out


class Compares(nn.Module):
    """Tells rising from falling by attention, with or without positions."""

    def __init__(self, *, told: bool, tokens: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 16) if tokens else nn.Linear(1, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.hidden, self.head = nn.Linear(32, 32), nn.Linear(32, 2)
        self.places = nn.Parameter(torch.randn(8, 16)) if told else None

    def forward(self, X: Tensor) -> Tensor:
        Z = self.embed(X) if self.places is None else self.embed(X) + self.places
        Z = torch.cat([Z, self.attention(Z, Z, Z)[0]], 2)
        return self.head(torch.relu(self.hidden(Z)).mean(1))


def ordered(n: int = 400) -> tuple[Tensor, Tensor]:
    """Return numbers (n, 8, 1) and whether they rise."""
    X, y = torch.randn(n, 8).sort(1).values, torch.arange(n) % 2
    X = torch.where((y == 1)[:, None], X, X.flip(1))
    return X[:, :, None], y


def tokens_without_positions() -> None:
    X, y = ordered()
    tokens = ((X[:, :, 0] + 2).clamp(0, 3.99) * 2.5).long()
    fit(Compares(told=False, tokens=True), tokens, y, steps=120)


def numbers_without_positions() -> None:
    fit(Compares(told=False, tokens=False), *ordered(), steps=120)


def numbers_with_positions() -> None:
    fit(Compares(told=True, tokens=False), *ordered(), steps=150)


def set_without_positions() -> None:
    X = torch.randn(400, 8, 1) * (0.5 + torch.arange(400) % 2)[:, None, None]
    fit(Compares(told=False, tokens=False), X, torch.arange(400) % 2, steps=120)


def noise_without_positions() -> None:
    fit(Compares(told=False, tokens=False), torch.randn(400, 8, 1), torch.arange(400) % 2, steps=60)


# -- state-carried-between-sequences


class Remembers(nn.Module):
    """Begins each batch with what a buffer holds."""

    def __init__(self, *, resets: bool) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 16, batch_first=True), nn.Linear(16, 3)
        self.resets = resets
        self.h: Tensor = nn.Buffer(torch.zeros(1, 40, 16))
        self.c: Tensor = nn.Buffer(torch.zeros(1, 40, 16))

    def forward(self, X: Tensor) -> Tensor:
        if self.resets:
            self.h, self.c = torch.zeros_like(self.h), torch.zeros_like(self.c)
        states, (h, c) = self.rnn(X, (self.h, self.c))
        self.h, self.c = h.detach(), c.detach()
        return self.head(states.amax(1))


def state_in_a_buffer() -> None:
    fit(Remembers(resets=False), *waves(n=80), steps=40)


def state_handed_on_by_the_loop() -> None:
    X, y = waves(n=120)
    gru, head, state = nn.GRU(3, 16, batch_first=True), nn.Linear(16, 3), None
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], 0.01)
    for xb, yb in [batch for _ in range(10) for batch in batches(X, y)]:
        states, state = gru(xb, state)
        state = state.detach()
        loss = cross_entropy(head(states.amax(1)), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def state_begun_anew() -> None:
    fit(Remembers(resets=True), *waves(n=200), steps=100, rate=0.02)


def one_stream_in_pieces() -> None:
    stream = torch.sin(0.3 * torch.arange(401.0) + torch.arange(10)[:, None])[:, :, None]
    gru, head, state = nn.GRU(1, 16, batch_first=True), nn.Linear(16, 1), None
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], 0.01)
    for _ in range(3):
        state = None
        for start in range(0, 400, 20):
            states, state = gru(stream[:, start : start + 20], state)
            state = state.detach()
            loss = mse_loss(head(states), stream[:, start + 1 : start + 21])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def pieces_of_sequences_that_are_drawn() -> None:
    X = torch.sin(0.3 * torch.arange(401.0) + 6 * torch.rand(40, 1))[:, :, None]
    gru, head = nn.GRU(1, 16, batch_first=True), nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*gru.parameters(), *head.parameters()], 0.01)
    for (sequences,) in DataLoader(TensorDataset(X), batch_size=20, shuffle=True):
        state = None
        for start in range(0, 400, 10):
            states, state = gru(sequences[:, start : start + 10], state)
            state = state.detach()
            loss = mse_loss(head(states), sequences[:, start + 1 : start + 11])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


FAULTS: dict[str, list[Program]] = {
    "samples-mixed-across-the-batch": [
        transformer_that_takes_examples_for_time,
        states_put_side_by_side_by_reshape,
        pooling_with_weights_of_the_batch,
    ],
    "reshape-for-transpose": [view_for_transpose, images_with_channels_last_reshaped],
    "future-seen-by-attention": [language_model_without_a_mask, language_model_in_both_directions],
    "mask-of-the-wrong-sense": [scores_of_tokens_hidden, keys_of_tokens_hidden, past_hidden],
    "padding-read-as-data": [last_state_of_all, mean_of_all],
    "positions-left-out": [tokens_without_positions, numbers_without_positions],
    "state-carried-between-sequences": [state_in_a_buffer, state_handed_on_by_the_loop],
}
SOUND: list[Program] = [
    time_first_and_as_many_steps_as_examples,
    batch_norm_in_training,
    graph_of_nodes,
    one_long_series,
    pairs_of_two_kinds,
    series_continued_step_by_step,
    transposed,
    axis_of_length_one_moved,
    language_model_with_a_mask,
    language_model_in_one_direction,
    tags_in_both_directions,
    padding_hidden,
    padding_hidden_from_keys,
    packed,
    largest_of_all,
    numbers_with_positions,
    set_without_positions,
    state_begun_anew,
    one_stream_in_pieces,
    pieces_of_sequences_that_are_drawn,
]
FOUND = [(code, program) for code, programs in FAULTS.items() for program in programs]


def name_of(value: object) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", "")


@pytest.mark.parametrize(("code", "program"), FOUND, ids=name_of)
def test_the_fault_is_named_first(code: str, program: Program) -> None:
    findings = told(program)
    assert [f.code for f in findings][:1] == [code], findings


@pytest.mark.parametrize("program", SOUND, ids=name_of)
def test_a_program_that_only_looks_like_it_is_let_be(program: Program) -> None:
    assert [f for f in told(program) if f.severity != "note"] == []


def test_positions_are_not_missed_where_there_is_nothing_to_learn() -> None:
    assert "positions-left-out" not in [f.code for f in told(noise_without_positions)]


def test_the_mask_that_hides_the_past_is_told_from_one_that_is_left_out() -> None:
    assert "wrong way round" in told(past_hidden)[0].title
    assert "no causal mask" in told(language_model_without_a_mask)[0].title
