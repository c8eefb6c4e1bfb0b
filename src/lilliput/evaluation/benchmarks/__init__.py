"""Benchmarks: the records of each benchmark, the questions made from records, and the marking of answers.

| module | what it holds |
|---|---|
| `task` | the contract of a task, and the registry |
| `science`, `common_sense`, `language`, `reading`, `truth`, `arithmetic`, `recall` | tasks by likelihood |
| `answers`, `code`, `conversation` | tasks by generation |
| `loading` | records from files, folders or the Hugging Face hub |
| `measure`, `benchmarking` | a model's scores on a task; those of a model beside controls |
| `harness` | the same through lm-evaluation-harness |
"""
