"""Leaves that every other room stands on: config, registry, errors, console, seeds, files, machine, charts, pages."""
