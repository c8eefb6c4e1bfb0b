"""What to train before training it: scaling laws, forecasts from a pilot, studies, reference tables, cost and energy."""
