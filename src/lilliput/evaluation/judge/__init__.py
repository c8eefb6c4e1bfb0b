"""Marks for generated stories: by a judge behind an OpenAI-compatible endpoint, or offline by proxies.

| module | what it holds |
|---|---|
| `endpoint` | the judge: asks, retries, keeps answers by their questions |
| `story` | the marks of the TinyStories paper, their prompt and how an answer is checked |
| `proxies`, `copied` | numbers that can be counted without a judge |
| `stories` | completions of the same beginnings by several models, judged or measured |
| `table` | rows of marks, raw and normalised, with intervals, ceiling and floor |
"""
