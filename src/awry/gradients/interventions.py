"""What is done to a training step with a direction: one protocol for every trainer.

The order within a step is: raw norm, intervene, clip, optimizer step, intervene on the update. A
`Surgeon` keeps it, for our loop and, through `attach`, for any torch optimizer or TRL trainer.
Projecting the gradient is not projecting the update: AdamW rescales every coordinate by its own
history and puts a removed component back, so either can be chosen and the leak is always measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from awry.errors import UserError
from awry.gradients.directions import Direction, overlap

Coordinates = Mapping[str, tuple[Parameter, ...]]
Mode = Literal["one_sided", "two_sided", "reverse"]
Place = Literal["gradient", "update", "both"]


class Intervention:
    """The protocol; every method may be left as it is. The same object serves every trainer."""

    def on_rollouts(self, rollouts: Sequence[Any]) -> None:
        """A step's rollouts, graded, before their advantages are used."""

    def on_advantages(self, advantages: Tensor, rollouts: Sequence[Any]) -> Tensor:
        """Advantages [rollouts] as the loss will see them."""
        return advantages

    def before_step(self, coordinates: Coordinates) -> None:
        """Change the gradients in place, before clipping."""

    def after_step(self, before: Mapping[str, Tensor], coordinates: Coordinates) -> None:
        """Change the parameters in place; before: module -> its coordinates before the step."""

    def metrics(self) -> dict[str, float | None]:
        """Numbers of the last step."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs beyond its configuration."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""


def project(
    g: Tensor, axes: Tensor, mode: Mode, *, overshoot: float = 0.0, preserve_norm: bool = False
) -> tuple[Tensor, Tensor]:
    """(g', removed) for one module; g [coordinates], axes V [k, coordinates].

    With c = V g: one_sided removes V^T max(c, 0), two_sided V^T c, reverse 2 V^T c; overshoot removes
    that much more; preserve_norm scales g' back to |g|. removed is before that scaling.
    """
    c = axes @ g
    match mode:
        case "one_sided":
            c = c.clamp(min=0)
        case "reverse":
            c = 2 * c
    removed = axes.T @ (c * (1 + overshoot))
    left = g - removed
    if preserve_norm and (norm := left.norm()) > 0:
        left = left * (g.norm() / norm)
    return left, removed


class Projection(Intervention):
    """Takes a direction out of the gradient, the update, or both.

    refresh: gives a new direction, asked for every `refresh_every` optimizer steps.
    """

    def __init__(
        self,
        direction: Direction,
        *,
        mode: Mode = "one_sided",
        at: Place = "gradient",
        overshoot: float = 0.0,
        preserve_norm: bool = False,
        top_k: int | None = None,
        refresh: Callable[[], Direction] | None = None,
        refresh_every: int | None = None,
    ) -> None:
        if refresh_every and refresh is None:
            raise ValueError("refresh_every needs refresh")
        self.mode: Mode = mode
        self.at: Place = at
        self.top_k = top_k
        self.overshoot, self.preserve_norm = overshoot, preserve_norm
        self.refresh, self.refresh_every = refresh, refresh_every
        self.direction = direction if top_k is None else direction.truncated(top_k)
        self.steps = 0
        self._metrics: dict[str, float | None] = {}

    def before_step(self, coordinates: Coordinates) -> None:
        self._metrics = {"removed_share": 0.0, "fired_share": 0.0, "overlap": None}
        if self.at == "update":
            return
        before, after, fired, removed, total = [], [], 0, 0.0, 0.0
        for name, axes, g in self._modules(coordinates, _gradient):
            left, gone = project(
                g, axes, self.mode, overshoot=self.overshoot, preserve_norm=self.preserve_norm
            )
            axis = self.direction.principal(name).to(g)
            before.append(_cosine(g, axis))
            after.append(_cosine(left, axis))
            gone2 = float(gone.square().sum())
            removed, total = removed + gone2, total + float(g.square().sum())
            fired += gone2 > 0
            _write(coordinates[name], left, "grad")
        if total > 0:
            self._metrics |= {
                "cosine_in": math.fsum(before) / len(before),
                "cosine_out": math.fsum(after) / len(after),
                "removed_share": removed / total,
                "fired_share": fired / len(before),
            }

    def after_step(self, before: Mapping[str, Tensor], coordinates: Coordinates) -> None:
        if self.at != "gradient":
            self._project_update(before, coordinates)
        self.steps += 1
        if self.refresh and self.refresh_every and self.steps % self.refresh_every == 0:
            new = self.refresh()
            if self.top_k is not None:  # fewer of its axes may have passed the noise floor
                new = new.truncated(min(self.top_k, new.top_k))
            self._metrics["overlap"] = overlap(self.direction, new)
            self.direction = new

    def _project_update(self, before: Mapping[str, Tensor], coordinates: Coordinates) -> None:
        fired, removed, total, count = 0, 0.0, 0.0, 0
        for name, axes, after in self._modules(coordinates, _value):
            # a step goes against the gradient: what it moves towards v is its negative's part
            step = before[name].double() - after.double()
            left, gone = project(
                step, axes.double(), self.mode,
                overshoot=self.overshoot, preserve_norm=self.preserve_norm,
            )  # fmt: skip
            _write(coordinates[name], (before[name].double() - left).to(after.dtype), "data")
            gone2 = float(gone.square().sum())
            removed, total = removed + gone2, total + float(step.square().sum())
            fired, count = fired + (gone2 > 0), count + 1
        if self.at == "update" and total > 0:
            self._metrics |= {"removed_share": removed / total, "fired_share": fired / count}

    def _modules(
        self, coordinates: Coordinates, read: Callable[[tuple[Parameter, ...]], Tensor | None]
    ) -> list[tuple[str, Tensor, Tensor]]:
        """(module, V, its flat gradient or value) for every module of the direction."""
        found = []
        for name, axes in self.direction.axes.items():
            if name not in coordinates:
                raise UserError(
                    "the direction speaks of a module that has no adapter",
                    field="direction",
                    value=name,
                    fix="extract it with the same targets as model.adapter.targets",
                )
            if (flat := read(coordinates[name])) is not None:
                found.append((name, axes.to(flat), flat))
        return found

    def metrics(self) -> dict[str, float | None]:
        return dict(self._metrics)

    def state(self) -> dict[str, Tensor]:
        if not self.refresh_every:
            return {}
        kept = {"steps": torch.tensor(self.steps)}
        of = {"V": self.direction.axes, "S": self.direction.values, "M": self.direction.means}
        # numbered, because a file has an order of its own and sums depend on it in their last bit
        return kept | {
            f"{kind}/{i:05d}/{name}": t.contiguous()
            for kind, tensors in of.items()
            for i, (name, t) in enumerate(tensors.items())
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if "steps" not in state:
            return
        self.steps = int(state["steps"])
        parts = {
            kind: {
                n.split("/", 2)[2]: state[n].clone() for n in sorted(state) if n.startswith(kind)
            }
            for kind in ("V/", "S/", "M/")
        }
        self.direction = replace(
            self.direction, axes=parts["V/"], values=parts["S/"], means=parts["M/"]
        )


class Surgeon:
    """One optimizer step's order, and its numbers. `before` and `after` enclose the step.

    meter: the direction that cosines and the leak are measured against, in every arm the same.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        parameters: Sequence[Parameter],
        *,
        intervention: Intervention | None = None,
        meter: Direction | None = None,
        max_grad_norm: float | None = None,
    ) -> None:
        self.coordinates, self.parameters = coordinates, list(parameters)
        self.intervention, self.meter, self.max_grad_norm = intervention, meter, max_grad_norm
        self.metrics: dict[str, float | None] = {}
        self._snapshot: dict[str, Tensor] = {}

    @torch.no_grad()
    def before(self) -> None:
        """Measure, intervene, measure, clip."""
        self.metrics = {"grad_norm": _norm(self.parameters)}
        self._measure("in")
        if self.intervention is not None:
            self.intervention.before_step(self.coordinates)
        self._measure("out")
        self.metrics["grad_norm_projected"] = _norm(self.parameters)
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        if self.intervention is not None or self.meter is not None:
            self._snapshot = {
                name: _value(parameters).clone() for name, parameters in self.coordinates.items()
            }

    @torch.no_grad()
    def after(self) -> None:
        """Intervene on the update and measure what is left of it along the direction."""
        if self.intervention is not None:
            self.intervention.after_step(self._snapshot, self.coordinates)
            self.metrics |= self.intervention.metrics()
        if self.meter is not None:
            self.metrics |= self._leak(self.meter)
        self._snapshot = {}

    def _measure(self, when: str) -> None:
        if self.meter is None:
            return
        cosines, energies = [], []
        for name, axes in self.meter.axes.items():
            g = _gradient(self.coordinates[name])
            if g is None or not (norm := float(g.norm())):
                continue
            c = axes.to(g) @ g
            cosines.append(float(self.meter.weights(name).to(g) @ c) / norm)
            energies.append(float(c.clamp(min=0).norm()) / norm)
        if cosines:
            self.metrics[f"direction_cosine_{when}"] = math.fsum(cosines) / len(cosines)
            self.metrics[f"direction_energy_{when}"] = math.fsum(energies) / len(energies)

    def _leak(self, meter: Direction) -> dict[str, float | None]:
        along = squares = length = 0.0
        for name, parameters in self.coordinates.items():
            step = self._snapshot[name].double() - _value(parameters).double()
            length += float(step.square().sum())
            if (axes := meter.axes.get(name)) is not None:
                c = axes.to(step) @ step
                along += float(meter.weights(name).to(step) @ c)
                squares += float(c.clamp(min=0).square().sum())
        if not length:
            return {"direction_leak": None, "direction_leak_share": None}
        # the concatenated unit axes have length sqrt(modules)
        scale = math.sqrt(length * len(meter.axes))
        return {
            "direction_leak": along / scale,
            "direction_leak_share": math.sqrt(squares / length),
        }


class Attachment:
    """What `attach` gives back: the last step's numbers, all steps', and a way out."""

    def __init__(self, surgeon: Surgeon) -> None:
        self.surgeon = surgeon
        self.history: list[dict[str, float | None]] = []
        self.samples: list[dict[str, Any]] = []  # with per_sample: one row for every completion
        self._undo: list[Callable[[], None]] = []

    @property
    def metrics(self) -> dict[str, float | None]:
        return self.history[-1] if self.history else {}

    def on_detach(self, undo: Callable[[], None]) -> None:
        self._undo.append(undo)

    def detach(self) -> None:
        """Leave trainer and optimizer as they were."""
        while self._undo:
            self._undo.pop()()


def attach(
    target: Any,
    intervention: Intervention | None,
    *,
    model: Any = None,
    meter: Direction | None = None,
    max_grad_norm: float | None = None,
    per_sample: bool = False,
) -> Attachment:
    """Put an intervention into somebody else's training.

    target: a TRL trainer (GRPO, SFT, DPO; before `train()`) or any torch optimizer, then with the
    PEFT `model` it trains. meter: the direction to measure against (default: the intervention's own).
    max_grad_norm: clip after the intervention; a trainer's own value is taken over. per_sample (TRL's
    GRPO only): record the cosine of every completion.

        attach(trainer, Projection(load_direction("direction.safetensors")))

    Raises UserError when the direction does not fit the model's adapter.
    """
    if not isinstance(target, torch.optim.Optimizer):
        if max_grad_norm is not None:
            raise UserError(
                "a trainer has its own, which is taken over",
                field="max_grad_norm",
                value=max_grad_norm,
                fix="set it in the trainer's args",
            )
        from awry.bridges.trl import attach_trainer

        return attach_trainer(target, intervention, meter=meter, per_sample=per_sample)
    while isinstance(inner := getattr(target, "optimizer", None), torch.optim.Optimizer):
        target = inner  # accelerate's wrapper has no hooks of its own
    from awry.gradients.adapters import basis_of, coordinates
    from awry.gradients.directions import check_fits

    if per_sample:
        raise UserError(
            "an optimizer does not see single completions",
            field="per_sample",
            fix="attach to TRL's GRPOTrainer, or leave per_sample out",
        )
    if model is None:
        raise UserError(
            "a bare optimizer does not know its modules",
            field="model",
            fix="attach(..., model=...)",
        )
    direction = getattr(intervention, "direction", None)
    for known in {id(d): d for d in (direction, meter) if d is not None}.values():
        check_fits(known, *basis_of(model))
    owned = [p for group in target.param_groups for p in group["params"]]
    surgeon = Surgeon(
        coordinates(model),
        owned,
        intervention=intervention,
        meter=direction if meter is None else meter,
        max_grad_norm=max_grad_norm,
    )
    strays = {id(p) for ps in surgeon.coordinates.values() for p in ps} - {id(p) for p in owned}
    if strays:
        raise UserError(
            "the optimizer does not train this model's adapter",
            field="model",
            value=f"{len(strays)} adapter parameters are not among the optimizer's",
            fix="attach after the optimizer was made from model.parameters()",
        )
    attachment = Attachment(surgeon)

    def before(*_: Any) -> None:
        surgeon.before()

    def after(*_: Any) -> None:
        surgeon.after()
        attachment.history.append(dict(surgeon.metrics))

    attachment.on_detach(target.register_step_pre_hook(before).remove)
    attachment.on_detach(target.register_step_post_hook(after).remove)
    return attachment


def _gradient(parameters: tuple[Parameter, ...]) -> Tensor | None:
    """Flat gradient [coordinates]; None where no parameter has one."""
    if all(p.grad is None for p in parameters):
        return None
    flat = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    return flat[0].flatten() if len(flat) == 1 else torch.cat([f.flatten() for f in flat])


def _value(parameters: tuple[Parameter, ...]) -> Tensor:
    """Flat values [coordinates]."""
    flat = [p.detach().flatten() for p in parameters]
    return flat[0] if len(flat) == 1 else torch.cat(flat)


def _write(parameters: tuple[Parameter, ...], flat: Tensor, what: str) -> None:
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        if what == "grad" and p.grad is None:
            p.grad = torch.zeros_like(p)
        into = p.grad if what == "grad" else p.detach()
        assert into is not None
        into.copy_(part.view_as(into))


def _cosine(a: Tensor, b: Tensor) -> float:
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm else 0.0


def _norm(parameters: Sequence[Parameter]) -> float:
    squares = [float(p.grad.double().square().sum()) for p in parameters if p.grad is not None]
    return math.sqrt(math.fsum(squares))
