"""The training loop, the same for both networks: `fit`."""

import errno
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers import CSVLogger, TensorBoardLogger
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset
from torchvision.utils import make_grid

from recolor_core.files import AtomicFile
from recolor_core.trainer.average import moving_average
from recolor_core.trainer.data import StepSampler, resident_batches
from recolor_core.trainer.recipe import Recipe, TrainingError
from recolor_core.trainer.task import Task

FORMAT = 2
"""Version of the layout of a checkpoint."""

FORMER_NAMES = {
    "rate": "learning_rate",
    "clip": "max_grad_norm",
    "ema": "ema_decay",
    "start": "pretrained",
    "degrade": "degrade_probability",
    "hinted": "hint_probability",
    "softened": "soften_probability",
    "most_hints": "max_hints",
}
"""What the recipe in a checkpoint of format 1 calls the values of today's recipes."""

GRID_IMAGES = 8
"""Images in the grid that every validation writes."""


@dataclass(frozen=True)
class Machine:
    """What to train on, as Lightning names it.

    Parameters
    ----------
    accelerator, devices, nodes, strategy
        As in `lightning.fabric.Fabric`.
    workers
        Processes that load images for each device.
    resident
        Whether all images are kept in the device's memory.
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    strategy: str = "auto"
    workers: int = 2
    resident: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Parameters
    ----------
    step
        Steps taken in all.
    stopped_early
        Whether validations no longer got better.
    images_per_second
        Over this run, on all devices together.
    waiting
        Share of the time in which the loop waited for images.
    """

    step: int
    stopped_early: bool
    images_per_second: float
    waiting: float


def fit(
    task: Task,
    photographs: Dataset[dict[str, Tensor]],
    folder: Path,
    *,
    validation: Dataset[dict[str, Tensor]] | None = None,
    machine: Machine | None = None,
    progress: bool = True,
) -> Outcome:
    """Train a task's network by its recipe.

    Into the folder go ``last.ckpt`` and ``best.ckpt`` (each written under another name first, then
    renamed), logs for TensorBoard and as CSV, and a grid of images of every validation. A run
    that was stopped goes on from ``last.ckpt`` as if it had never been; on the CPU to the bit.

    Parameters
    ----------
    task
        With the weights to start from.
    photographs, validation
        Dicts of tensors by number; ``"rgb"`` is (3, S, S) uint8.
    folder
        Of this training alone.
    machine
        Where to train; what Lightning finds by default.
    progress
        Show a bar.

    Raises
    ------
    TrainingError
        If there is too little data, the loss is not finite, the disk is full, or the checkpoint
        is another training's. What was saved before is kept.
    """
    recipe, machine = task.recipe, machine or Machine()
    count = len(photographs)  # type: ignore[arg-type]
    if count < 2:
        raise TrainingError(f"expected at least 2 photographs to train on, got {count}")
    last = folder / "last.ckpt"
    state = _checkpoint_of(recipe, last) if last.exists() else None
    first = int(state["step"]) if state else 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        loggers = [
            # Written at once: a run that is killed leaves its curve behind.
            CSVLogger(folder, "log", f"from_{first:06d}", flush_logs_every_n_steps=1),
            TensorBoardLogger(folder, name="tensorboard", version=f"from_{first:06d}"),
        ]
    except OSError as error:
        raise _disk_error(folder, error) from error
    try:
        fabric = Fabric(
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            strategy=machine.strategy,
            precision=recipe.precision,  # type: ignore[arg-type]
            loggers=loggers,
        )
    except (RuntimeError, ValueError, TypeError, ImportError) as error:  # what this machine lacks
        raise TrainingError(
            f"cannot train on {machine.devices} device(s) of {machine.accelerator!r} with strategy "
            f"{machine.strategy!r} and precision {recipe.precision!r}: {str(error).splitlines()[0]}"
        ) from error
    fabric.launch()
    fabric.seed_everything(recipe.seed, verbose=False)
    if recipe.batch % fabric.world_size:
        raise TrainingError(
            f"expected a batch that {fabric.world_size} devices can share, got {recipe.batch}"
        )
    share = recipe.batch // fabric.world_size
    rows = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)

    run = _Run(fabric, task, folder)
    if state:
        run.restore(state)
    sampler = StepSampler(count, recipe.batch, recipe.seed, first, recipe.steps, rows)
    batches: Iterator[dict[str, Tensor]]
    if machine.resident:
        batches = resident_batches(photographs, sampler, fabric.device, machine.workers)
    else:
        loader = DataLoader(
            photographs,
            batch_sampler=sampler,
            num_workers=machine.workers,
            pin_memory=fabric.device.type == "cuda",
            persistent_workers=False,
        )
        batches = iter(
            fabric.setup_dataloaders(loader, use_distributed_sampler=False)  # type: ignore[arg-type]
        )
    bar = _bar() if progress and fabric.is_global_zero else None
    done, started, waited = first, time.perf_counter(), 0.0
    with bar or nullcontext():
        line = bar.add_task("", total=recipe.steps, completed=first) if bar else None
        while done < recipe.steps and not run.exhausted:
            before = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - before
            parts = run.step(batch, done, rows)
            done += 1
            logs, validates, saves = (
                done % every == 0 or done == recipe.steps
                for every in (recipe.log_every, recipe.validate_every, recipe.checkpoint_every)
            )
            if logs or validates or saves:  # asking the device makes the loop wait for it
                values = run.check(parts, done)
            if logs:
                seconds = time.perf_counter() - started
                values["images_per_second"] = (done - first) * recipe.batch / seconds
                values["waiting"] = waited / seconds
                run.log("train", values, done)
                if bar and line is not None:
                    bar.update(line, completed=done, description=_words(values))
            if validates and validation is not None:
                run.validate(validation, done)
            if saves or run.exhausted:
                run.save("last.ckpt", done)
        seconds = time.perf_counter() - started
    for logger in fabric.loggers:
        logger.finalize("success")
    return Outcome(
        step=done,
        stopped_early=done < recipe.steps,
        images_per_second=(done - first) * recipe.batch / seconds,
        waiting=waited / seconds,
    )


class _Run:
    """The state of a training: network, average, optimizer and what the validations said."""

    def __init__(self, fabric: Fabric, task: Task, folder: Path) -> None:
        self.fabric, self.task, self.folder = fabric, task, folder
        self.recipe = recipe = task.recipe
        self.frozen = [n for n, factor in recipe.path_rates.items() if factor == 0]
        for name, parameter in task.network.named_parameters():
            parameter.requires_grad_(not name.startswith(tuple(self.frozen)))
        task.network.to(memory_format=torch.channels_last)
        self.average = moving_average(task.network, recipe.ema_decay)
        self.average.module.to(fabric.device)
        groups = _parameter_groups(task.network, recipe)
        self.rates = [group["lr"] for group in groups]
        fused = fabric.device.type == "cuda"  # one kernel for all tensors
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=fused)
        self.module, self.optimizer = fabric.setup(task, optimizer)
        self.schedule = self._schedule_from(0)
        self.best = -math.inf
        self.worse = 0  # validations since the best one
        # Whether any loss so far was not finite, kept on the device: asking would wait for it.
        self.failed = torch.zeros((), dtype=torch.bool, device=fabric.device)

    def step(self, batch: Mapping[str, Tensor], step: int, rows: slice) -> dict[str, Tensor]:
        self._train_mode()
        parts: dict[str, Tensor] = self.module(batch, step, rows)
        self.fabric.backward(parts["loss"])
        norm = self.fabric.clip_gradients(
            self.module,
            self.optimizer,
            max_norm=self.recipe.max_grad_norm,
            error_if_nonfinite=False,  # it would wait for the device at every step
        )
        assert isinstance(norm, Tensor)
        self.failed |= ~torch.isfinite(parts["loss"].detach() + norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        self.average.update_parameters(self.task.network)
        return parts

    def _schedule_from(self, step: int) -> LambdaLR:
        """The learning rates of the parameter groups, from a step on."""
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["initial_lr"] = rate  # checkpoints of earlier versions have none
        # Fabric's wrapper counts no steps, and the schedule needs the optimizer that does.
        return LambdaLR(
            self.optimizer.optimizer,
            lambda step: schedule_factor(self.recipe, step),
            last_epoch=step - 1,
        )

    def _train_mode(self) -> None:
        self.module.train()
        for name, module in self.task.network.named_modules():
            if self.frozen and name.startswith(tuple(self.frozen)):
                module.eval()

    def check(self, parts: Mapping[str, Tensor], step: int) -> dict[str, float]:
        """The parts of the loss, all devices averaged, if all was finite so far."""
        names = sorted(parts)
        packed = torch.stack([*(parts[name].detach().float() for name in names)])
        mean = self.fabric.all_reduce(packed, reduce_op="mean")
        failed = self.fabric.all_reduce(self.failed.float(), reduce_op="sum")
        assert isinstance(mean, Tensor)
        assert isinstance(failed, Tensor)
        if float(failed) > 0:
            raise TrainingError(
                f"the loss was not finite at or before step {step}; the last good checkpoint is "
                f"kept in {self.folder}: lower the rate, or train with precision 32-true"
            )
        return dict(zip(names, mean.tolist(), strict=True))

    @property
    def exhausted(self) -> bool:
        """Whether as many validations as the recipe's patience brought nothing better."""
        return 0 < self.recipe.patience <= self.worse

    def log(self, group: str, values: Mapping[str, float], step: int) -> None:
        try:
            self.fabric.log_dict({f"{group}/{n}": v for n, v in values.items()}, step=step)
        except OSError as error:
            raise _disk_error(self.folder, error) from error

    def validate(self, photographs: Dataset[dict[str, Tensor]], step: int) -> None:
        """Measure the averaged network, and keep it where it is the best so far."""
        if self.fabric.is_global_zero:
            measures: dict[str, list[Tensor]] = {}
            grids = []
            first = 0
            # Single images as they come: a validation set is small, and its order fixed.
            for batch in DataLoader(photographs, batch_size=8):
                batch = {name: tensor.to(self.fabric.device) for name, tensor in batch.items()}
                result = self.task.validate(self.average.module, batch, first)
                for name, values in result.measures.items():
                    measures.setdefault(name, []).append(values)
                if first < GRID_IMAGES:
                    grids.append(result.images.cpu())
                first += len(batch["rgb"])
            means = {n: float(torch.cat(values).nanmean()) for n, values in measures.items()}
            self.log("validation", means, step)
            self._write_grid(torch.cat(grids)[:GRID_IMAGES], step)
            if means["score"] > self.best:
                self.best, self.worse = means["score"], 0
                self._write("best.ckpt", step)
            else:
                self.worse += 1
        self.best, self.worse = self.fabric.broadcast((self.best, self.worse))

    def _write_grid(self, images: Tensor, step: int) -> None:
        grid = make_grid(images.flatten(0, 1), nrow=images.shape[1], padding=0)
        codes = (255 * grid).round().to(torch.uint8).permute(1, 2, 0).numpy()
        for logger in self.fabric.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("validation", codes, step, dataformats="HWC")
        path = self.folder / "images"
        try:
            path.mkdir(exist_ok=True)
            Image.fromarray(np.ascontiguousarray(codes)).save(path / f"{step:06d}.webp")
        except OSError as error:
            raise _disk_error(path, error) from error

    def save(self, name: str, step: int) -> None:
        """Write a checkpoint, on the first device only."""
        if self.fabric.is_global_zero:
            self._write(name, step)
        self.fabric.barrier()

    def _write(self, name: str, step: int) -> None:
        path = self.folder / name
        state = {
            "format": FORMAT,
            "kind": self.recipe.kind,
            "recipe": asdict(self.recipe),
            "step": step,
            "network": self.task.network.state_dict(),
            "average": self.average.module.state_dict(),
            "task": dict(self.task.named_buffers(recurse=False)),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "worse": self.worse,
        }
        try:
            with AtomicFile(path, overwrite=True) as output:
                torch.save(state, output.part)
        except (OSError, RuntimeError) as error:  # PyTorch's writer raises RuntimeError
            raise _disk_error(path, error) from error

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.task.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.average.n_averaged.fill_(1 + int(state["step"]))
        for name, buffer in self.task.named_buffers(recurse=False):
            buffer.copy_(state["task"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule = self._schedule_from(int(state["step"]))
        self.best, self.worse = float(state["best"]), int(state["worse"])


def schedule_factor(recipe: Recipe, step: int) -> float:
    """The factor on the learning rate at a step: a linear warm-up, then a cosine down to 0.

    Parameters
    ----------
    recipe : Recipe
        Gives the number of steps and of warm-up steps.
    step : int
        Counted from 0.

    Returns
    -------
    float
        In [0, 1].
    """
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    progress = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return (1 + math.cos(math.pi * progress)) / 2


def read_checkpoint(path: Path, kind: str) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in it is executed.

    Parameters
    ----------
    path : Path
        A file that `fit` wrote, in this version or an earlier one.
    kind : str
        What was trained, as `Recipe.kind` names it.

    Raises
    ------
    TrainingError
        If the file cannot be read, or is a checkpoint of another kind.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of zip, pickle and the file system
        raise TrainingError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}); it is damaged or "
            "foreign: remove it, or give another one"
        ) from error
    if not isinstance(state, dict) or state.get("format") not in (1, FORMAT):
        raise TrainingError(f"{path} is not a checkpoint of this version of recolor's trainers")
    if state["kind"] != kind:
        raise TrainingError(f"{path} is a checkpoint of kind {state['kind']!r}, expected {kind!r}")
    if state["format"] == 1:
        renamed = {FORMER_NAMES.get(name, name): v for name, v in state["recipe"].items()}
        state |= {"format": FORMAT, "recipe": renamed}
    return state


def _checkpoint_of(recipe: Recipe, path: Path) -> dict[str, Any]:
    """The checkpoint at a path, if it is one of a training by this recipe."""
    state = read_checkpoint(path, recipe.kind)
    saved, now = dict(state["recipe"]), asdict(recipe)
    # What may change on the way: how often to look, and how long to go on.
    for name in ("log_every", "validate_every", "checkpoint_every", "patience"):
        saved.pop(name, None), now.pop(name)
    if saved != now:
        differing = sorted(n for n in now if saved.get(n) != now[n])
        raise TrainingError(
            f"{path} is a training by another recipe (it differs in {', '.join(differing)}); "
            "give that recipe, or another folder"
        )
    return state


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The parameters that are trained, grouped by their learning rate and weight decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            factors = [f for start, f in recipe.path_rates.items() if name.startswith(start)]
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factors[-1] if factors else 1.0, decay), []).append(parameter)
    if not groups:
        raise TrainingError("the recipe freezes the whole network; give a path a rate above 0")
    return [
        {"params": members, "lr": factor * recipe.learning_rate, "weight_decay": decay}
        for (factor, decay), members in groups.items()
    ]


def _disk_error(path: Path, error: Exception) -> TrainingError:
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    with suppress(OSError):
        full = full or shutil.disk_usage(path.parent).free < 2**20
    why = "the disk is full" if full else str(error).splitlines()[0]
    return TrainingError(
        f"{path} cannot be written: {why}; the last good checkpoint is kept: make room and resume"
    )


def _words(values: Mapping[str, float]) -> str:
    return f"loss {values['loss']:.4g}, {values['images_per_second']:.1f} images/s"


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
