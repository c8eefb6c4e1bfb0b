"""The plots, one a file: what can happen, why, and the words for it.

To add one, write one file here: a Case with what differs from story to story, the ways of saying each step, and a Plot
under a new name in PLOTS. A line that holds no slot should have enough ways, so that no plot says it too often:
`benchmarks/storybook.py` names the worst.
"""
