"""Many runs and one: the report and the picture of a run."""
