// The building blocks of the kernels: numbers that fill a register, rows read and written as float32, small matrix
// products, the memory of a thread, and random numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {
// LANES floats fill one register. A tile has so many rows that its sums fit into the registers.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 8;
#elif defined(__AVX__)
constexpr int LANES = 8, ROWS = 4;
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 8;
#else
constexpr int LANES = 4, ROWS = 4;
#endif
constexpr int PANEL = 2 * LANES;  // keys that one product computes together
constexpr int QUERIES = 32;       // of a block
typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

inline Lanes lanes(const float* from) {
    Lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float* to, Lanes value) { memcpy(to, &value, sizeof value); }

inline Lanes all(float value) { return value - Lanes{}; }

// e^x as Cephes' expf has it (S. Moshier): a power of two and a polynomial; NaN stays NaN.
inline Lanes exponential(Lanes x) {
    x = x < -87.f ? all(-87.f) : x;
    x = x > 88.f ? all(88.f) : x;
    const Lanes round = all(12582912.f);  // 1.5 x 2^23: a number loses its fraction when this number is added to it
    Lanes whole = (x * 1.44269504088896341f + round) - round;
    Lanes rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    Lanes sum = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.f;
    Integers power = (__builtin_convertvector(whole, Integers) + 127) << 23;
    return sum * (Lanes)power;
}

inline float total(Lanes v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

float largest(const float* from, int64_t count) {
    float most = from[0];
    int64_t i = 0;
    if (count >= LANES) {
        Lanes found = lanes(from);
        for (i = LANES; i + LANES <= count; i += LANES) {
            Lanes next = lanes(from + i);
            found = next > found ? next : found;
        }
        for (int l = 0; l < LANES; l++) most = found[l] > most ? found[l] : most;
    }
    for (; i < count; i++) most = from[i] > most ? from[i] : most;
    return most;
}

inline float wide(uint16_t bits) {
    uint32_t full = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &full, sizeof value);
    return value;
}

inline uint16_t narrow(float value) {  // to the nearest, ties to even
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return value != value ? 0x7fc0 : (uint16_t)rounded;
}

void read(const void* from, bool bf16, int64_t at, int64_t count, float* to) {
    if (bf16)
        for (int64_t i = 0; i < count; i++) to[i] = wide(static_cast<const uint16_t*>(from)[at + i]);
    else
        memcpy(to, static_cast<const float*>(from) + at, count * sizeof(float));
}

void write(void* to, bool bf16, int64_t at, int64_t count, const float* from) {
    if (bf16)
        for (int64_t i = 0; i < count; i++) static_cast<uint16_t*>(to)[at + i] = narrow(from[i]);
    else
        memcpy(static_cast<float*>(to) + at, from, count * sizeof(float));
}

int64_t padded(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

// ------------------------------------------------------------------ small products

// C (R, W registers) = or += sum over k of A[r][k] B[k]: A is read one number at a time, at any strides.
template <int R, int W, bool ADD>
void tile(int64_t depth, const float* a, int64_t row, int64_t step, const float* b, int64_t b_row, float* c, int64_t c_row) {
    Lanes sums[R][W];
    for (int r = 0; r < R; r++)
        for (int w = 0; w < W; w++) sums[r][w] = ADD ? lanes(c + r * c_row + w * LANES) : Lanes{};
    for (int64_t k = 0; k < depth; k++) {
        Lanes right[W];
        for (int w = 0; w < W; w++) right[w] = lanes(b + k * b_row + w * LANES);
        for (int r = 0; r < R; r++) {
            float left = a[r * row + k * step];
            for (int w = 0; w < W; w++) sums[r][w] += left * right[w];
        }
    }
    for (int r = 0; r < R; r++)
        for (int w = 0; w < W; w++) store(c + r * c_row + w * LANES, sums[r][w]);
}

// The same for any width that is a multiple of LANES, and rows that are a multiple of ROWS.
template <bool ADD>
void product(int64_t rows, int64_t width, int64_t depth, const float* a, int64_t row, int64_t step, const float* b,
             int64_t b_row, float* c, int64_t c_row) {
    for (int64_t r = 0; r < rows; r += ROWS)
        for (int64_t w = 0; w < width;) {
            int64_t left = (width - w) / LANES;
            const float* a_at = a + r * row;
            float* c_at = c + r * c_row + w;
            if (left == 3 || left > 4) {
                tile<ROWS, 3, ADD>(depth, a_at, row, step, b + w, b_row, c_at, c_row);
                w += 3 * LANES;
            } else if (left > 1) {
                tile<ROWS, 2, ADD>(depth, a_at, row, step, b + w, b_row, c_at, c_row);
                w += 2 * LANES;
            } else {
                tile<ROWS, 1, ADD>(depth, a_at, row, step, b + w, b_row, c_at, c_row);
                w += LANES;
            }
        }
}

// ------------------------------------------------------------------ RMSNorm of one line

// Lines are padded with zeros to `size`.
inline float inverse_rms(const float* x, int64_t width, int64_t size, float eps) {
    Lanes sum{};
    for (int64_t d = 0; d < size; d += LANES) sum += lanes(x + d) * lanes(x + d);
    return 1 / std::sqrt(total(sum) / width + eps);
}

// The gradient g of y = x s w, with s = inverse_rms(x), becomes the gradient of x. The gradient of w is added to
// `weight_grad`: dw = g x s, dx = g w s - x s^3 sum(g w x) / width.
inline void rms_gradient(const float* x, const float* weight, float scale, int64_t width, int64_t size, float* grad,
                         float* weight_grad) {
    Lanes sum{};
    for (int64_t d = 0; d < size; d += LANES) sum += lanes(grad + d) * lanes(weight + d) * lanes(x + d);
    float pull = total(sum) * scale * scale * scale / width;
    for (int64_t d = 0; d < size; d += LANES) {
        Lanes g = lanes(grad + d), value = lanes(x + d);
        store(weight_grad + d, lanes(weight_grad + d) + g * value * scale);
        store(grad + d, g * lanes(weight + d) * scale - value * pull);
    }
}

// ------------------------------------------------------------------ a thread's memory

struct Room {  // kept from call to call
    std::vector<float> floats;
    float* take(int64_t count) {
        if ((int64_t)floats.size() < count) floats.resize(count);
        return floats.data();
    }
};
thread_local Room room;

// ------------------------------------------------------------------ random numbers

inline uint32_t mix(uint64_t x) {  // the finaliser of SplitMix64 (Steele et al. 2014)
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) >> 32;
}

// Returns 1 / (1 - probability) or, with that probability, 0. The result is a hash of its place: number `at` of line
// `line` is always the same.
struct Dropout {
    uint64_t seed;
    uint32_t below;  // probability x 2^32
    float kept;
    uint32_t start(int64_t line) const { return mix(seed + line * 0x9e3779b97f4a7c15u); }
    float factor(uint32_t start, uint32_t at) const {  // the hash is "lowbias32" (C. Wellons)
        uint32_t x = start + at * 0x9e3779b9u;
        x = (x ^ (x >> 16)) * 0x7feb352du;
        x = (x ^ (x >> 15)) * 0x846ca68bu;
        return (x ^ (x >> 16)) >= below ? kept : 0.f;
    }
};
}  // namespace
