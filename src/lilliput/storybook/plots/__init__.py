"""The plots, one a file: events, their reasons, and the phrases for them.

To add a plot, write a file here with three things: a Case with the fields that differ from story to story, the ways to
phrase each step, and a Plot under a new name in PLOTS. A step without a slot needs many ways, so that no sentence
repeats too often across stories. Its short stories need a Brief in `briefs/`.
`benchmarks/storybook.py` names the sentences that repeat most.
"""
