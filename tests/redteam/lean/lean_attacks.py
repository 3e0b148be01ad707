"""Submissions that must not count as proofs, by class of exploit. Each says how far it gets."""

from __future__ import annotations

from attacks_from_outside import OUTSIDE
from attacks_on_proofs import SORRY_AND_AXIOMS
from attacks_on_statements import STATEMENTS
from attacks_on_words import WORDS
from lean_targets import Attack

ATTACKS: tuple[Attack, ...] = (*SORRY_AND_AXIOMS, *WORDS, *STATEMENTS, *OUTSIDE)
