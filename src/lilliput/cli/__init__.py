"""The command: one thin file a group; heavy imports wait until a command runs."""
