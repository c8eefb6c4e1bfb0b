"""What to train before training it: scaling laws, forecasts, studies, reference tables, cost and energy."""
