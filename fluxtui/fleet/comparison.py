"""What applying a Kustomization now would change, asked of `fluxtui diff` in a process of its own.

Building takes seconds of pure computing, which would stall every key; and who shows a fleet knows nothing of engines.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from fluxtui.api.kinds import KUSTOMIZATION
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.text import lines, one_line
from fluxtui.kube.kubeconfig import IN_CLUSTER, Context
from fluxtui.kube.programs import ProgramError, execute


class ComparisonError(Exception):
    """It can't be told what would change; `str()` is a sentence for users."""


class Change(msgspec.Struct, frozen=True):
    """What would become of one object."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    action: str = ""
    """created, changed, deleted, unchanged or skipped."""
    diff: str = ""
    """A unified diff of the YAML, values of Secrets masked."""


class Comparison(msgspec.Struct, frozen=True):
    """What applying a Kustomization would do, at a moment."""

    subject: Ref
    """The Kustomization."""
    revision: str = ""
    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    """What could not be built or compared, sentences of one line or several."""
    at: float = 0.0
    """Seconds since the epoch."""
    took: float = 0.0

    def of(self, ref: Ref) -> tuple[Change, ...]:
        """What would become of an object; of the Kustomization itself: of all that it applies."""
        if ref == self.subject:
            return self.changes
        wanted = (ref.group, ref.kind, ref.namespace, ref.name)
        return tuple(each for each in self.changes if (each.group, each.kind, each.namespace, each.name) == wanted)


class _Item(msgspec.Struct):
    cluster: str = ""
    namespace: str = ""
    name: str = ""
    revision: str = ""
    problems: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


class _Answer(msgspec.Struct):
    items: list[_Item] = []
    errors: list[dict[str, str]] = []


def is_kustomization(ref: Ref) -> bool:
    """Whether an object is one of Flux's Kustomizations."""
    return (ref.group, ref.kind) == (KUSTOMIZATION.group, KUSTOMIZATION.kind)


def applier(mirror: Mirror, ref: Ref) -> Ref | None:
    """The Kustomization whose apply is compared for an object: itself, or the one that applied it; None: none did."""
    if is_kustomization(ref):
        return ref
    return next((owner for owner in mirror.owners(ref) if is_kustomization(owner)), None)


async def compare(context: Context, subject: Ref, program: Sequence[str] = ()) -> Comparison:
    """Have a Kustomization built and dry-run against its cluster by `program`, fluxtui itself if none is given. The
    process ends with whoever waits for it.

    Raises ComparisonError.
    """
    if context.source == IN_CLUSTER:
        raise ComparisonError("this context stands in no kubeconfig, and `fluxtui diff` reads those only")
    # Whoever only looks at a fleet does not wait for what starts processes.
    from fluxtui.fleet.engines import PROGRAM, context_arguments

    command = [
        *(program or PROGRAM),
        "diff",
        "kustomization",
        subject.name,
        f"--namespace={subject.namespace}",
        "--output=json",
    ]
    command += context_arguments(context)
    began, started = time.time(), time.monotonic()
    try:
        finished = await execute(command[0], command[1:])
    except ProgramError as error:
        raise ComparisonError(str(error)) from error
    said = finished.errors.strip().rpartition("\n")[2]
    try:
        answer = msgspec.json.decode(finished.output, type=_Answer)
    except msgspec.DecodeError:
        raise ComparisonError(one_line(said) or "`fluxtui diff` gave no answer") from None
    found = [item for item in answer.items if item.cluster in (context.id, context.name)] or answer.items
    if len(found) != 1:
        complaints = [one_line(error.get("message", "")) for error in answer.errors]
        raise ComparisonError(next(filter(None, complaints), "") or one_line(said) or f"{subject} was not compared")
    item = found[0]
    problems = tuple(lines(problem).strip() for problem in item.problems)
    return Comparison(subject, item.revision, item.changes, problems, began, time.monotonic() - started)
