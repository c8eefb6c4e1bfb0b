"""Towns whose people live day by day through a model, and experiments with policies."""
