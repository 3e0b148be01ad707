"""A policy as Inspect asks it: concurrent requests become batches of our sampler.

The chat template is rendered once, by the policy, and encoded without further special tokens. What
the sampler cannot do (tools, images, penalties) is refused, never left out silently.
"""

# pyright: reportMissingImports=false
# (an optional extra, too large for everybody's installation)
from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log._samples import sample_active
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelCall,
    ModelOutput,
    ModelUsage,
    StopReason,
)
from inspect_ai.tool import ToolChoice, ToolInfo
from rich.markup import escape

from awry.errors import UserError
from awry.evaluation.responses import clean
from awry.experiments.policies import open_subject
from awry.generation.engine import (
    ROWS,
    ROWS_GPU,
    Completion,
    Engine,
    Request,
    Sampling,
    derive,
)
from awry.generation.subject import Subject

LONGEST = 512  # tokens of an answer where the task sets no limit
PAUSE, PATIENCE = 0.02, 0.5  # seconds without a new request that end a batch, and the longest wait
# what changes an answer and cannot be done; stop_seqs, seed, logprobs and num_choices can
REFUSED = (
    *("top_k", "best_of", "frequency_penalty", "presence_penalty", "logit_bias"),
    *("top_logprobs", "prompt_logprobs", "response_schema", "modalities"),
)


# ---- batches -------------------------------------------------------------------------------------
@dataclass(eq=False)
class _Asked:
    """One request. Ends with completions or with an error."""

    request: Request
    sampling: Sampling
    completions: list[Completion] | None = None
    error: BaseException | None = None

    @property
    def ended(self) -> bool:
        return self.completions is not None or self.error is not None


class Batches:
    """Answers concurrent requests together, those with the same sampling in one call.

    Whoever comes first waits a moment for others, answers all that wait in a worker thread, and
    lets go; no request is left behind when another one fails or is cancelled.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sizes: list[int] = []  # of the calls of the sampler
        self._waiting: list[_Asked] = []
        self._sampling = threading.Lock()  # one call at a time, from whatever event loop
        self._turn: RunVar[anyio.Lock] = RunVar("turn")  # a lock belongs to one event loop

    async def ask(self, request: Request, sampling: Sampling) -> list[Completion]:
        """Completions in the order of the seeds. Raises RuntimeError when the sampler fails."""
        own = _Asked(request, sampling)
        self._waiting.append(own)
        try:
            async with self._turn_here():
                if not own.ended:
                    await self._gather()
                    # a request is taken by the thread itself: if this task is cancelled before
                    # the thread starts, the others still wait and the next of them takes over
                    await anyio.to_thread.run_sync(self._answer)
        finally:
            if own in self._waiting:
                self._waiting.remove(own)
        if own.completions is None:
            raise RuntimeError(f"the policy could not be sampled: {own.error}") from own.error
        return own.completions

    def _turn_here(self) -> anyio.Lock:
        lock = self._turn.get(None)
        if lock is None:
            lock = anyio.Lock()
            self._turn.set(lock)
        return lock

    async def _gather(self) -> None:
        """Wait until no more requests come: Inspect starts and ends many samples at once."""
        waited, before = 0.0, -1
        while len(self._waiting) > before and waited < PATIENCE:
            before = len(self._waiting)
            await anyio.sleep(PAUSE)
            waited += PAUSE

    def _answer(self) -> None:
        with self._sampling:
            batch, self._waiting[:] = self._waiting[:], []
            try:
                for sampling in dict.fromkeys(asked.sampling for asked in batch):
                    self._sample([a for a in batch if a.sampling == sampling], sampling)
            except BaseException as error:  # an interrupt: nobody may wait for ever
                for asked in batch:
                    if not asked.ended:
                        asked.error = error
                raise

    def _sample(self, batch: list[_Asked], sampling: Sampling) -> None:
        self.sizes.append(len(batch))
        try:
            found = self.engine.sample([asked.request for asked in batch], sampling)
        except Exception as error:  # of memory, of the driver: every one of them must hear of it
            for asked in batch:
                asked.error = error
            return
        for asked, completions in zip(batch, found, strict=True):
            asked.completions = completions


# ---- names ---------------------------------------------------------------------------------------
def digest(*parts: str | None) -> str:
    """Of weights and adapter, in a model's name: it keeps policies of one name apart in logs and
    in Inspect's cache.
    """
    return hashlib.sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:12]


def _open(name: str, dtype: str) -> Subject:
    try:
        return open_subject(name, dtype)
    except UserError as error:
        # Inspect prints it without a traceback, as rich markup
        raise PrerequisiteError(escape(error.render())) from error


# ---- the model -----------------------------------------------------------------------------------
class PolicyAPI(ModelAPI):
    """`awry/POLICY`, POLICY any name that `awry evaluate` takes, optionally with `@DIGEST`.

    Model arguments: dtype (auto, bfloat16, float32); subject, a policy that is loaded already.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),
        *,
        dtype: str = "auto",
        subject: Subject | None = None,
    ) -> None:
        given = re.fullmatch(r"(.+?)(?:@([0-9a-f]{12}))?", model_name)
        assert given is not None
        name = os.path.normpath(given[1])  # as evaluations name it
        subject = subject or _open(given[1], dtype)
        own = subject.policy.digests
        found = digest(own.weights, subject.adapter)
        if given[2] not in (None, found):
            raise PrerequisiteError(
                f"{escape(name)} is not the policy it was: its digest is {found}, not {given[2]}. "
                "Restore its files, or leave the digest out of the model's name."
            )
        super().__init__(f"{name}@{found}", base_url, api_key, [], config)
        # part of the key of Inspect's cache, which holds nothing else that is known only here
        kind = str(subject.policy.dtype)
        self.base_url = f"awry:{digest(own.tokenizer, own.chat_template, kind)}"
        self.policy = subject.policy
        self.batches = Batches(subject.engine)

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        del tool_choice
        _refuse(tools, config)
        text = self._rendered(input)
        prompt = tuple(self.policy.encode(text))
        wanted = config.max_tokens or LONGEST
        longest = min(wanted, self._window() - len(prompt))
        if longest < 1:
            return ModelOutput(
                model=self.model_name,
                choices=[_choice("", "model_length", self.model_name)],
                usage=ModelUsage(input_tokens=len(prompt), total_tokens=len(prompt)),
                error=f"the prompt ({len(prompt)} tokens) fills the window of {self._window()}",
            )
        sampling = Sampling(
            longest,
            1.0 if config.temperature is None else config.temperature,
            1.0 if config.top_p is None else config.top_p,
        )
        seeds = _seeds(config, prompt)
        completions = await self.batches.ask(Request(prompt, seeds), sampling)
        limit: StopReason = "max_tokens" if longest == wanted else "model_length"
        made = sum(len(c.ids) for c in completions)
        output = ModelOutput(
            model=self.model_name,
            choices=[self._answer(c, limit, config) for c in completions],
            usage=ModelUsage(
                input_tokens=len(prompt), output_tokens=made, total_tokens=len(prompt) + made
            ),
            metadata={"seeds": list(seeds)},
        )
        request = {
            "prompt": text,
            "max_new_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seeds": list(seeds),
        }
        answers = [choice.message.text for choice in output.choices]
        return output, ModelCall.create(request, {"texts": answers})

    def _rendered(self, messages: Sequence[ChatMessage]) -> str:
        """The prompt as text. A last message of the assistant is what the answer begins with."""
        plain = [{"role": message.role, "content": _plain(message)} for message in messages]
        prefix = plain.pop()["content"] if plain and plain[-1]["role"] == "assistant" else ""
        return self.policy.render(plain) + prefix

    def _answer(
        self, completion: Completion, limit: StopReason, config: GenerateConfig
    ) -> ChatCompletionChoice:
        text = clean(self.policy.decode(list(completion.ids)))
        reason: StopReason = "stop" if completion.finished else limit
        ends = [at for stop in config.stop_seqs or () if (at := text.find(stop)) >= 0]
        if ends:
            text, reason = text[: min(ends)], "stop"
        choice = _choice(text, reason, self.model_name)
        if config.logprobs:
            tokens = [self.policy.tokenizer.decode([i]) for i in completion.ids]
            choice.logprobs = Logprobs(
                content=[
                    Logprob(token=clean(str(token)), logprob=logprob)
                    for token, logprob in zip(tokens, completion.logprobs, strict=True)
                ]
            )
        return choice

    def _window(self) -> int:
        return getattr(self.policy.model.config, "max_position_embeddings", None) or 2**31

    def max_tokens(self) -> int | None:
        return LONGEST

    def max_connections(self) -> int:
        return ROWS if self.policy.model.device.type == "cpu" else ROWS_GPU

    async def count_text_tokens(self, text: str) -> int:
        return len(self.policy.encode(text))  # Inspect's own way asks the network for a tokenizer

    async def tokenize(self, text: str) -> list[int]:
        return self.policy.encode(text)


def _choice(text: str, reason: StopReason, model: str) -> ChatCompletionChoice:
    message = ChatMessageAssistant(content=text, model=model, source="generate")
    return ChatCompletionChoice(message=message, stop_reason=reason)


def _plain(message: ChatMessage) -> str:
    parts = () if isinstance(message.content, str) else message.content
    others = {part.type for part in parts} - {"text", "reasoning"}
    if message.role == "tool" or others or getattr(message, "tool_calls", None):
        what = ", ".join(sorted(others)) or "tools"
        raise ValueError(f"awry's policies read text only; this conversation holds {what}")
    return message.text


def _refuse(tools: Sequence[ToolInfo], config: GenerateConfig) -> None:
    found = [name for name in REFUSED if getattr(config, name) not in (None, [], {})]
    found += ["tools"] if tools else []
    if found:
        raise ValueError(
            f"awry's sampler does not know {', '.join(found)}; leave it out, or ask the model "
            "through another of Inspect's providers"
        )


def _seeds(config: GenerateConfig, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """One for each choice. With a seed: of sample, epoch and prompt, the same in every session."""
    count = range(config.num_choices or 1)
    if config.seed is None:
        return tuple(secrets.randbits(53) for _ in count)
    active = sample_active()
    place = (active.sample.id, active.epoch) if active else ("", 1)
    # 53 bits: a log's viewer is written in JavaScript
    return tuple(derive("inspect", config.seed, *place, prompt, i) % 2**53 for i in count)
