"""Files that every other room imports: config, registry, errors, console, seeds, files, machine, charts, pages."""
