"""Judges' answers on disk, keyed by everything that can change them: nothing is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.files import writing
from awry.generation.endpoint import Chat, ChatReply

FORMAT = 1


def key(base_url: str, model: str, chat: Chat) -> str:
    """sha256 of address, model, conversation, sampling, seed and what is asked for beside the text."""
    whole = {"format": FORMAT, "base_url": base_url, "model": model, "chat": asdict(chat)}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


class JudgeCache:
    """A SQLite file. Each answer is on disk before the next is waited for, so a kill loses none.

    Several processes may share it. Failures are not kept: they are asked again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, replies TEXT NOT NULL)"
            )
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def get(self, key: str) -> list[ChatReply] | None:
        try:
            row = self._base.execute("SELECT replies FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return None if row is None else [_reply(made) for made in json.loads(row[0])]

    def put(self, key: str, replies: Sequence[ChatReply]) -> None:
        made = json.dumps([asdict(reply) for reply in replies], ensure_ascii=False)
        try:
            self._base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, made))
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def close(self) -> None:
        self._base.close()

    def __len__(self) -> int:
        return self._base.execute("SELECT COUNT(*) FROM answers").fetchone()[0]

    def _broken(self, error: sqlite3.Error) -> UserError:
        return UserError(
            f"the cache of judged answers cannot be used: {error}",
            file=self.path,
            fix="free some room, move the file away, or name another with --judge-cache",
        )


def _reply(made: dict[str, Any]) -> ChatReply:
    made["logprobs"] = tuple(made["logprobs"])
    made["top_logprobs"] = tuple(made["top_logprobs"])
    return ChatReply(**made)
