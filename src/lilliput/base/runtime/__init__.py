"""The runtime: what of this process and machine computes a run (allocator, threads, products, native builds)."""
