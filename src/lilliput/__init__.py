"""Lilliput grows tiny language models from raw text to generated stories.

>>> import lilliput
>>> run = lilliput.train("story", steps=500, name="short")
>>> print(run.generate("Once upon a time"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.api import (
        Conversation,
        CorpusConfig,
        LabelOptions,
        Run,
        TextGenerator,
        benchmark,
        chat,
        compare,
        compare_inside,
        complete,
        doctor,
        embed,
        evaluate,
        evaluate_extractor,
        evaluate_held_out,
        evaluate_table,
        export,
        extract,
        fill,
        generate,
        import_file,
        infer_schema,
        judge,
        label,
        load,
        look_inside,
        look_through,
        make_diaries,
        make_people,
        neighbours,
        overlaps,
        plan,
        prepare,
        pull,
        push,
        report,
        report_diaries,
        report_people,
        sample_table,
        score,
        score_text,
        serve,
        simulate_town,
        sweep,
        train,
        train_extractor,
        train_population,
        train_table,
    )

__version__ = "0.1.0"
__all__ = [
    "Conversation",
    "CorpusConfig",
    "LabelOptions",
    "Run",
    "TextGenerator",
    "benchmark",
    "chat",
    "compare",
    "compare_inside",
    "complete",
    "doctor",
    "embed",
    "evaluate",
    "evaluate_extractor",
    "evaluate_held_out",
    "evaluate_table",
    "export",
    "extract",
    "fill",
    "generate",
    "import_file",
    "infer_schema",
    "judge",
    "label",
    "load",
    "look_inside",
    "look_through",
    "make_diaries",
    "make_people",
    "neighbours",
    "overlaps",
    "plan",
    "prepare",
    "pull",
    "push",
    "report",
    "report_diaries",
    "report_people",
    "sample_table",
    "score",
    "score_text",
    "serve",
    "simulate_town",
    "sweep",
    "train",
    "train_extractor",
    "train_population",
    "train_table",
]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import: only what needs it pays for it.
    if name in __all__ or name == "Storyteller":  # its old name, which warns
        from lilliput import api

        return getattr(api, name)
    raise AttributeError(f"module 'lilliput' has no attribute '{name}'")
