"""Dialogs: the reason of a suspension, the preview of a bulk action, a typed confirmation, a plain question."""

from __future__ import annotations
