"""Many runs: the queue of experiments, and the comparison of runs; and labels that people give."""
