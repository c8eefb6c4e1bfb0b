"""Planning a run before it is trained: scaling laws, forecasts, studies, reference tables, cost and energy."""
