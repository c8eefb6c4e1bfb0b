// Parts of a training step on a CPU for which PyTorch takes too many passes over memory. library.py builds this file
// with the machine's own C++ compiler. Tensors are float32 or bfloat16, sums are float32.

#include "attention.h"
#include "rows.h"

// Whether the compiler supports OpenMP. Without OpenMP all code above runs on one thread.
extern "C" int64_t has_openmp() {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}
