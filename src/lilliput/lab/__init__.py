"""Many runs and one: charts, and the report of a run."""
