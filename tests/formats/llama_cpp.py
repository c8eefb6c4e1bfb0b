"""llama.cpp on one file, in a process of its own: its server may wait for ever for its own thread when it is ended."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def serve(file: Path, context: int) -> None:
    """Print the server's address, a loopback port of its own choice, and serve until standard input closes. The cache
    rounds nothing."""
    xllamacpp: Any = import_module("xllamacpp")  # it declares none of its names
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = context, 1, False, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    print(json.dumps({"address": server.listening_address}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
