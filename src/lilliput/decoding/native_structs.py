"""The structs that native.cpp reads, field by field."""

from __future__ import annotations

import ctypes


class Matrix(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("weight", "scale", "bias")]
    _fields_ += [(name, ctypes.c_int64) for name in ("rows", "columns", "half")]


class Norm(ctypes.Structure):
    _fields_ = [("weight", ctypes.c_void_p), ("bias", ctypes.c_void_p)]


class Layer(ctypes.Structure):
    _fields_ = [(name, Norm) for name in ("ln1", "ln2", "q_norm", "k_norm")]
    _fields_ += [(name, Matrix) for name in ("qkv", "out", "up", "down", "router")]
    _fields_ += [("experts", ctypes.POINTER(Matrix))]
    _fields_ += [("keys", ctypes.c_void_p), ("values", ctypes.c_void_p)]


class Model(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp")]
    _fields_ += [(name, ctypes.c_int64) for name in ("rotated", "window", "capacity", "mlp", "parallel", "threads")]
    _fields_ += [(name, ctypes.c_int64) for name in ("half_cache", "experts", "chosen", "normalized")]
    _fields_ += [("eps", ctypes.c_float)]
    _fields_ += [(name, ctypes.c_void_p) for name in ("embed", "learned", "cos", "sin")]
    _fields_ += [("ln_final", Norm), ("layers", ctypes.POINTER(Layer))]
