"""Many runs and one: the queue of experiments, their comparison, the report and the picture of a run."""
