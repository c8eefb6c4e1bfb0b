"""Made-up records of every task, in the shape that its publishers gave it."""

WORDS = ("cat", "dog", "mat", "kite", "ball", "red", "blue", "one", "the", "sat", "saw", "yes")


def letters(*texts: str) -> dict:
    return {"text": list(texts), "label": list("ABCDE"[: len(texts)])}


def examples(name: str, count: int = 8) -> list[dict]:
    """`count` records of a task, each with other words in it and with right answers at all places."""
    return [RECORDS[name](*(WORDS[(i * 5 + k) % 12] for k in range(5)), i) for i in range(count)]


def _mc1(a, b, c, d, e, i):
    return {
        "question": f"what is a {a}?",
        "mc1_targets": {"choices": [f"a {b}", f"one {c} {d}", f"the {e}"], "labels": [1, 0, 0]},
        "mc2_targets": {"choices": [f"a {b}", f"the {a} {d}", f"one {c} {d}"], "labels": [1, 1, 0]},
    }


RECORDS = {
    "recall": lambda a, b, c, d, e, i: {
        "told": f"Tom has a {a}. Anna has a {b}.",
        "who": "Tom",
        "things": [f"a {a}", f"a {b}"],
        "pairs": 2 + i % 2,
    },
    "recall_plain": lambda a, b, c, d, e, i: {
        "told": f"Tom has a {a}. Anna has a {b}.",
        "who": "Tom",
        "things": [f"a {a}", f"a {b}"],
        "pairs": 2 + i % 2,
    },
    "arc_easy": lambda a, b, c, d, e, i: {
        "question": f"Which {a} is {b}?",
        "choices": letters(f"a {c}", f"the {d} {e}", e, f"{b} and {d} and {c}"),
        "answerKey": "ABCD"[i % 4],
    },
    "openbookqa": lambda a, b, c, d, e, i: {
        "question_stem": f"The {a} saw",
        "choices": letters(f"a {c}", f"the {d} {e}", e, b),
        "answerKey": "ABCD"[i % 4],
    },
    "sciq": lambda a, b, c, d, e, i: {
        "question": f"what saw the {a}?",
        "distractor1": b,
        "distractor2": f"the {c}",
        "distractor3": f"{d} {e}",
        "correct_answer": e,
        "support": f" the {e} saw a {a}." if i % 2 else "",
    },
    "mmlu": lambda a, b, c, d, e, i: {
        "subject": ("anatomy", "world_religions")[i % 2],
        "question": f" {a}?",
        "choices": [b, c, d, e],
        "answer": i % 4,
    },
    "piqa": lambda a, b, c, d, e, i: {
        "goal": f"find a {a}",
        "sol1": f"the {b} {c} sat",
        "sol2": f"saw {d} on the {e} and {a}",
        "label": i % 2,
    },
    "hellaswag": lambda a, b, c, d, e, i: {
        "activity_label": f"Red {a}",
        "ctx_a": f"The {b} sat. [title] A {c} saw it [step].",
        "ctx_b": f"then {d}",
        "endings": [f"sat on  the {e}", f"[substeps] saw a {c} and {b}", f"{a}.", f"{b} {d} {c}"],
        "label": str(i % 4),
        "ctx": "",
        "ind": i,
    },
    "winogrande": lambda a, b, c, d, e, i: {
        "sentence": f"The {a} saw the {b} since the _ sat on a {c}.",
        "option1": a,
        "option2": b,
        "answer": "12"[i % 2],
    },
    "winograd": lambda a, b, c, d, e, i: {
        "context_options": [f"The {a} saw the {b} as the {x}" for x in (a, b)],
        "continuation": f"sat on a {c}.",
        "gold": i % 2,
    },
    "social_iqa": lambda a, b, c, d, e, i: {
        "context": f"The {a} sat.",
        "question": f"Why {b}?",
        "answerA": c,
        "answerB": f"the {d}",
        "answerC": f"{e} and {a}",
        "label": "123"[i % 3],
    },
    "commonsense_qa": lambda a, b, c, d, e, i: {
        "question": f" what is {a}?",
        "choices": letters(a, b, c, d, e),
        "answerKey": "ABCDE"[i % 5],
    },
    "copa": lambda a, b, c, d, e, i: {
        "premise": f"The {a} sat.",
        "choice1": f"The {b} saw {c}.",
        "choice2": f"One {d} sat on the {e}.",
        "question": ("cause", "effect")[i % 2],
        "label": i % 2,
    },
    "blimp": lambda a, b, c, d, e, i: {
        "sentence_good": f"The {a} saw one {b}.",
        "sentence_bad": f"The {a} one saw {b}.",
        "UID": ("adjunct_island", "transitive")[i % 2],
    },
    "lambada": lambda a, b, c, d, e, i: {"text": f"the {a} saw a {b} and the {c} sat on the {d}"},
    "boolq": lambda a, b, c, d, e, i: {"passage": f"The {a} sat.", "question": f"was it a {b}", "label": i % 2},
    "rte": lambda a, b, c, d, e, i: {"sentence1": f"The {a} sat.", "sentence2": f"The {b} sat.", "label": i % 2},
    "cb": lambda a, b, c, d, e, i: {"premise": f"The {a} sat", "hypothesis": f"the {b} sat", "label": i % 3},
    "sst2": lambda a, b, c, d, e, i: {"sentence": f"a {a} {b} and {c} ", "label": i % 2},
    "mrpc": lambda a, b, c, d, e, i: {"sentence1": f"A {a} sat.", "sentence2": f"The {b} sat.", "label": i % 2},
    "truthfulqa_mc1": _mc1,
    "truthfulqa_mc2": _mc1,
    "basic_arithmetic": lambda a, b, c, d, e, i: {
        "question": f"Calculate 5 + {i} =",
        "choices": letters(*(str(i + k) for k in range(4))),
        "answerKey": "ABCD"[i % 4],
    },
    "simple_arithmetic": lambda a, b, c, d, e, i: {"context": f"2+{i}=", "continuation": str(2 + i)},
    "dyck_languages": lambda a, b, c, d, e, i: {"context": "Input: [ <\nOutput:", "continuation": "> ]"},
}
RECORDS["arc_challenge"] = RECORDS["arc_easy"]
