"""The runtime: the parts of this process and machine that compute a run (allocator, threads, products, native
builds)."""
