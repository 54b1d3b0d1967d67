"""Who makes the tables: this machine, or workers of Ray, Spark or Dask.

Each table is one task, which writes its file itself. So what comes back is small, a worker that
dies is a task that is run again, and the tables are the same whoever made them. The folder must
be one that every worker sees.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.extract.local import run_here
from edgetransfer.extract.part import PartTask, run_task
from edgetransfer.settings.extract import Extraction, Scheduler
from edgetransfer.types import Progress

TRIES = 4  # of a task whose worker dies
logger = logging.getLogger(__name__)

Done = Generator[str | EdgeTransferError, None, None]
Run = Callable[[Sequence[PartTask], Extraction, Progress], Done]


def run_tasks(tasks: Sequence[PartTask], settings: Extraction, progress: Progress) -> None:
    """Run all tasks, and raise the first error; what was made by then stays.

    Raises
    ------
    UsageError
        If the scheduler is not installed.
    EdgeTransferError
        What a task raised, or how the scheduler failed.
    """
    if not tasks:
        return
    on = settings.on
    try:
        with closing(_RUNS[on](tasks, settings, progress)) as made:
            for done, name in enumerate(made, 1):
                if isinstance(name, EdgeTransferError):
                    raise name
                if on != "local":  # which tells of photos
                    progress("tables", done, len(tasks))
    except ImportError as error:
        if on == "local":
            raise
        extra = f"pip install 'edgetransfer[{on}]'"
        raise UsageError(f"--on {on}: {error.name or on} is not installed; {extra}") from error
    except (EdgeTransferError, OSError):
        raise
    except Exception as error:  # each scheduler has errors of its own
        if on == "local":
            raise
        raise EdgeTransferError(
            f"--on {on}: it failed: {_first(error)}; tables that were made stay, and the same call "
            "goes on"
        ) from error


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _local(tasks: Sequence[PartTask], settings: Extraction, progress: Progress) -> Done:
    yield from run_here(tasks, settings.processes, tasks[0].worker.threads, progress)


def _ray(tasks: Sequence[PartTask], settings: Extraction, _progress: Progress) -> Done:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before it is imported
    import ray

    if not ray.is_initialized():
        ray.init(include_dashboard=False)
    remote = ray.remote(num_cpus=settings.threads or 1, max_retries=TRIES - 1)(run_task)
    waiting = [remote.remote(task) for task in tasks]
    while waiting:
        ready, waiting = ray.wait(waiting)
        yield from ray.get(ready)


def _spark(tasks: Sequence[PartTask], _settings: Extraction, _progress: Progress) -> Done:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # another one may lack this package
    from py4j.protocol import Py4JJavaError
    from pyspark.sql import SparkSession

    context = SparkSession.builder.getOrCreate().sparkContext
    left = list(tasks)
    for tries in range(1, TRIES + 1):
        try:
            yield from context.parallelize(left, len(left)).map(run_task).collect()
            return
        except Py4JJavaError as error:  # on one machine Spark gives up when a worker dies
            made = {t.part.name for t in left if t.part.table(t.folder).exists()}
            yield from sorted(made)
            left = [task for task in left if task.part.name not in made]
            if tries == TRIES or not left:
                raise
            logger.warning("--on spark: it failed, and goes on with the rest: %s", _first(error))


def _dask(tasks: Sequence[PartTask], settings: Extraction, _progress: Progress) -> Done:
    from distributed import Client, as_completed, get_client

    try:
        client, own = get_client(), False
    except ValueError:  # none is there
        client, own = Client(threads_per_worker=settings.threads or 1, dashboard_address=None), True
    try:
        futures = [client.submit(run_task, task, pure=False, retries=TRIES - 1) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        if own:
            client.close()


_RUNS: dict[Scheduler, Run] = {"local": _local, "ray": _ray, "spark": _spark, "dask": _dask}
