"""HumanEval: functions from their docstrings, marked by running their tests in a sandbox."""

from __future__ import annotations

from typing import Any

from lilliput.evaluation.benchmarks.task import TASKS, Generation, Place, Record, Tools
from lilliput.evaluation.sandbox import check_sandbox, run_program


@TASKS.add("humaneval")
class HumanEval(Generation):
    """164 Python functions (Chen et al. 2021): the share whose likeliest version passes its tests (greedy pass@1).

    Programs run in the sandbox of sandbox.py. Where the sandbox cannot be made, no program runs, unless the user gives
    --allow-code. With this option only time, memory and file sizes are limited."""

    files = ("*HumanEval*", "*humaneval*")
    hub = Place("openai/openai_humaneval", None, "test")
    fields = ("prompt", "test", "entry_point")
    metrics = ("pass",)
    stops = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
    max_tokens = 512

    def check(self, tools: Tools) -> None:
        if not tools.allow_code:
            check_sandbox()

    def prompt(self, record: Record) -> str:
        return record["prompt"]

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        program = f"{record['prompt']}{answer}\n\n{record['test']}\n\ncheck({record['entry_point']})\n"
        return {"pass": float(run_program(program, sandboxed=not tools.allow_code) == "passed")}
