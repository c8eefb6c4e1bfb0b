"""Cluster: a plan's jobs on datatrove's executors: local processes, Slurm, Ray.

datatrove marks a task as done by its rank alone, so its log folders are named here by a hash of the plan: its settings,
its inputs and its code. A result of ours is a file by its key, so that a task that runs twice does its work once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ConfigError, DataError, MissingExtra
from lilliput.data.corpus.config import Executor
from lilliput.data.corpus.jobs import Job, run_job
from lilliput.data.corpus.plan import Plan
from lilliput.data.source import hash_of

if TYPE_CHECKING:
    from datatrove.executor.base import PipelineExecutor


def submit(plan: Plan, out: Path, worker: str) -> bool:
    """Run all jobs of a plan in their order. Return whether they were only submitted, as Slurm's are. Raises
    MissingExtra, and ConfigError for options that the executor does not know."""
    try:
        from datatrove.pipeline.base import PipelineStep
    except ImportError:
        raise MissingExtra("datatrove", "cluster", "an executor on a cluster") from None

    class Share(PipelineStep):
        """A job, as datatrove runs it: each rank does its share."""

        name = "lilliput"
        type = "curation"

        job: Job

        def __init__(self, folder: str, job: Job):
            super().__init__()
            self.folder, self.job = folder, job

        def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
            import_module(worker)  # which installs what steps need
            with self.track_time():
                run_job(Path(self.folder), self.job, rank, world_size, lambda documents, size: None)
            yield from ()

    passes: tuple[Job, ...] = ("work", "decide")
    last_pass: tuple[Job, ...] = ("work", "finish")
    first: tuple[Job, ...] = ("read",)
    chain = (*first, *passes * plan.barriers(), *last_pass)
    asked = plan.config.executor
    logs = out.resolve() / "work" / "logs" / hash_of(*[group.result for group in plan.groups])[:24]
    last: PipelineExecutor | None = None
    for number, job in enumerate(chain):
        tasks = 1 if job in ("decide", "finish") else asked.tasks
        place = f"{number:02d}-{job}"
        step = Share(str(out.resolve()), job)
        last = _executor(asked)(step, tasks, str(logs / place), f"lilliput-{place}", last)
    assert last is not None
    last.run()
    if asked.kind == "slurm":
        return True
    if not (out / "manifest.json").exists():
        run_job(out, "finish", 0, 1, lambda documents, size: None)  # the logs of an earlier run say that it was done
    return False


Make = Callable[[Any, int, str, str, "PipelineExecutor | None"], "PipelineExecutor"]


def _executor(asked: Executor) -> Make:
    """Return what makes one of datatrove's executors for a step."""
    from datatrove.executor import LocalPipelineExecutor

    options = dict(asked.options)

    def local(step: Any, tasks: int, logs: str, name: str, before: Any) -> PipelineExecutor:
        workers = min(tasks, asked.workers or -1) if asked.workers else -1
        return LocalPipelineExecutor([step], tasks=tasks, workers=workers, logging_dir=logs, depends=before, **options)

    def slurm(step: Any, tasks: int, logs: str, name: str, before: Any) -> PipelineExecutor:
        from datatrove.executor import SlurmPipelineExecutor

        workers = asked.workers or -1
        common = {"time": asked.time, "partition": asked.partition, "mem_per_cpu_gb": asked.memory_gb, **options}
        return SlurmPipelineExecutor(
            [step], tasks=tasks, workers=workers, logging_dir=logs, job_name=name, depends=before, **common
        )

    def ray(step: Any, tasks: int, logs: str, name: str, before: Any) -> PipelineExecutor:
        try:
            from datatrove.executor.ray import RayPipelineExecutor
        except ImportError:
            raise MissingExtra("ray", "cluster", "the executor ray") from None
        workers = asked.workers or -1
        common = {"mem_per_cpu_gb": asked.memory_gb, **options}
        return RayPipelineExecutor([step], tasks=tasks, workers=workers, logging_dir=logs, depends=before, **common)

    makes: dict[str, Make] = {"datatrove": local, "slurm": slurm, "ray": ray}

    def checked(step: Any, tasks: int, logs: str, name: str, before: Any) -> PipelineExecutor:
        try:
            return makes[asked.kind](step, tasks, logs, name, before)
        except TypeError as error:
            raise ConfigError(f"executor.options: datatrove refuses them: {error}") from None
        except OSError as error:
            raise DataError(f"cannot write {logs}: {error}") from None

    return checked
