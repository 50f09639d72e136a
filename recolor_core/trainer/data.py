"""Which images make up which step, on which device."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from recolor_core.trainer.cache import PredictionCache
from recolor_core.trainer.recipe import TrainingError


class StepSampler(Sampler[list[int]]):
    """Batches by step: the same ones however often a training was stopped and resumed.

    Image k of the training is image ``k % n`` of the ``k // n``-th shuffle of all n; step s
    takes `batch` of them, from ``s * batch`` on, of which each device has its rows.

    Parameters
    ----------
    count
        Number of images, n.
    batch
        Of all devices together.
    seed
        Of the shuffles.
    first, last
        The steps to give batches for, the last one excluded.
    rows
        Which of a batch.
    """

    def __init__(
        self, count: int, batch: int, seed: int, first: int, last: int, rows: slice
    ) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self.first, self.last, self.rows = first, last, rows
        self._shuffle: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first, self.last):
            numbers = range(step * self.batch, (step + 1) * self.batch)[self.rows]
            yield [self._image(number) for number in numbers]

    def _image(self, number: int) -> int:
        epoch, place = divmod(number, self.count)
        if self._shuffle[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            self._shuffle = (epoch, rng.permutation(self.count))
        return int(self._shuffle[1][place])


class Photographs(Dataset[dict[str, Tensor]]):
    """Squares of sRGB codes, (3, S, S) uint8 each, as the trainers take them.

    Parameters
    ----------
    squares
        Gives them by number.
    """

    def __init__(self, squares: Dataset[Tensor]) -> None:
        self.squares = squares

    def __len__(self) -> int:
        return len(self.squares)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"rgb": self.squares[index]}


class CachedPhotographs(Dataset[dict[str, Tensor]]):
    """Photographs with what a generator predicts for them."""

    def __init__(self, cache: PredictionCache) -> None:
        self.cache = cache

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            "rgb": torch.from_numpy(np.array(self.cache.rgb[index])),
            "logits": torch.from_numpy(np.array(self.cache.logits[index])),
        }


def resident_batches(
    photographs: Dataset[dict[str, Tensor]],
    sampler: StepSampler,
    device: torch.device,
    workers: int,
) -> Iterator[dict[str, Tensor]]:
    """Batches from the memory of a device, into which all images are read first.

    Reading and copying images is what a fast GPU waits for; a square of 256 pixels takes 0.2 MB.

    Parameters
    ----------
    photographs
        Dicts of tensors by number.
    sampler
        Which images make up which batch.
    device
        Where the images stay.
    workers
        Number of processes that read them.

    Raises
    ------
    TrainingError
        If the memory of the device does not hold them.
    """
    count = len(photographs)  # type: ignore[arg-type]
    held: dict[str, Tensor] = {}
    first = 0
    for batch in DataLoader(photographs, batch_size=64, num_workers=workers):
        size = len(next(iter(batch.values())))
        for name, tensor in batch.items():
            if name not in held:
                try:
                    held[name] = tensor.new_empty(count, *tensor.shape[1:], device=device)
                except RuntimeError as error:  # of which CUDA's is one
                    needed = count * tensor[0].nbytes / 1e9
                    raise TrainingError(
                        f"{count} photographs take {needed:.1f} GB, more than {device} has; train "
                        "without --resident"
                    ) from error
            held[name][first : first + size] = tensor.to(device)
        first += size
    for numbers in sampler:
        chosen = torch.tensor(numbers, device=device)
        yield {name: tensor[chosen] for name, tensor in held.items()}


class OneBatch(Dataset[dict[str, Tensor]]):
    """The first images of a data set again and again, from memory: the speed without loading.

    Parameters
    ----------
    photographs
        Whose first `count` are taken.
    count
        Number of images.
    """

    def __init__(self, photographs: Dataset[dict[str, Tensor]], count: int) -> None:
        self.size = max(2, len(photographs))  # type: ignore[arg-type]
        count = min(count, self.size)
        self.items = [photographs[number] for number in range(count)]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.items[index % len(self.items)]
