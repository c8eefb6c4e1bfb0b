"""Marks for generated stories: by a judge behind an OpenAI-compatible endpoint, or offline by proxies.

| module | what it holds |
|---|---|
| `endpoint` | the judge: sends questions, retries, caches answers |
| `story` | the marks of the TinyStories paper, their prompt and the check of an answer |
| `proxies`, `copied` | numbers that can be counted without a judge |
| `table` | rows of marks, raw and normalised, with intervals, ceiling and floor |
"""
