"""Classifiers that learn to distinguish real photographs from other images."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.nn import functional as F
from xgboost import XGBClassifier

Array = NDArray[np.floating]

Classifier = Callable[[Array, Array, Array, int], Array]
"""``classify(real, other, test, seed)`` learns from the features of real and of other images and
returns, for each test image, the probability that it is real: (N,) in [0, 1]."""

STEPS = 300
"""Optimizer steps of the network."""

BATCH = 16
"""Number of pairs in one training step of the network."""


def trees(real: Array, other: Array, test: Array, seed: int) -> Array:
    """Classify with gradient-boosted trees (Chen and Guestrin 2016) on statistics, (N, K).

    The trees are shallow, learn slowly and use random halves of rows and columns, so that a few
    hundred images are enough.
    """
    return fit_trees(real, other, seed).predict_proba(test)[:, 1]


def fit_trees(real: Array, other: Array, seed: int) -> XGBClassifier:
    """Return the trained trees. `feature_importances_` tells which statistics they use."""
    model = XGBClassifier(
        n_estimators=200,
        max_depth=3,
        learning_rate=0.1,
        subsample=0.5,
        colsample_bytree=0.5,
        tree_method="hist",
        n_jobs=1,
        random_state=seed,
    )
    labels = np.repeat([1, 0], [len(real), len(other)])
    return model.fit(np.concatenate((real, other)), labels)


def network(real: Array, other: Array, test: Array, seed: int) -> Array:
    """Classify with a small convolutional network on planes, (N, 3, 64, 64).

    The network trains for `STEPS` steps. Each step sees pairs, real[i] and other[i], half of them
    mirrored, so that the content of the images carries no information.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _Network()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=STEPS)
        labels = torch.tensor([1.0, 0.0]).repeat_interleave(BATCH)
        for _ in range(STEPS):
            chosen = torch.randint(len(real), (BATCH,)).numpy()
            batch = _tensor(np.concatenate((real[chosen], other[chosen])))
            mirrored = torch.rand(BATCH) < 0.5
            batch = torch.where(mirrored.repeat(2)[:, None, None, None], batch.flip(-1), batch)
            loss = F.binary_cross_entropy_with_logits(model(batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        parts = np.array_split(test, -(-len(test) // 64))
        return torch.cat([model(_tensor(part)).sigmoid() for part in parts]).double().numpy()


def cross_validate(
    real: Array, other: Array, classify: Classifier, *, folds: int, seed: int
) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """Classify each pair with a classifier that was trained on the other folds.

    Parameters
    ----------
    real, other
        (N, ...) features; ``real[i]`` and ``other[i]`` are a pair and stay in one fold.
    classify
        Function that trains a classifier and returns probabilities.
    folds
        Number of folds.
    seed
        Seed of the folds and the classifiers.

    Yields
    ------
    tuple of ndarray
        For each fold, the indices of its pairs, (M,), and the probabilities that the photograph and
        that the other image is real, (M, 2).
    """
    splits = KFold(folds, shuffle=True, random_state=seed).split(real)
    for fold, (learn, ask) in enumerate(splits):
        test = np.concatenate((real[ask], other[ask]))
        said = classify(real[learn], other[learn], test, seed + fold)
        yield ask, said.reshape(2, -1).T


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 64), (64, 64)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.decide = nn.Linear(64, 1)

    def forward(self, planes: Tensor) -> Tensor:
        """Return logits (B,) of planes (B, 3, 64, 64). A logit above 0 means real."""
        return self.decide(self.layers(planes).mean(dim=(2, 3)))[:, 0]


def _tensor(planes: Array) -> Tensor:
    return torch.from_numpy(planes.astype(np.float32))
