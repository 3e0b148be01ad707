"""Attributes of other people's objects, replaced for as long as something is attached."""

from __future__ import annotations

from typing import Any

from awry.gradients.interventions import Attachment


def override(attachment: Attachment, owner: Any, name: str, value: Any) -> None:
    """Set an instance's attribute until the attachment is detached."""
    own = vars(owner)
    if name in own:
        attachment.on_detach(lambda old=own[name]: setattr(owner, name, old))
    else:
        attachment.on_detach(lambda: delattr(owner, name))
    setattr(owner, name, value)
