// Parts of a training step on a CPU for which PyTorch takes too many passes over memory. Built by library.py with the
// machine's own C++ compiler. Tensors are float32 or bfloat16, sums are float32.

#include "attention.h"
#include "rows.h"
