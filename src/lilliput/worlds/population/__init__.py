"""People of a made-up place: personas that fit aggregate tables, their diaries, by rule and by a model."""
