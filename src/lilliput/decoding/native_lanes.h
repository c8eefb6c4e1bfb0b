// What native.cpp computes with: numbers that fill a register, their sums, dot products, and the exponential.
//
// Every sum is written out in a fixed order, so that a text's numbers do not depend on the texts beside it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {
typedef int32_t Integers __attribute__((vector_size(32)));
constexpr int LANES = 8, AHEAD = 8;  // LANES: rows of a group of int8 weights, whatever the processor

// As many float32 as fit into one register, and the rows and texts of a tile whose sums fit into all registers.
#if defined(__AVX512F__)
constexpr int WIDE = 16, ROWS = 8;
#else
constexpr int WIDE = 8, ROWS = 4;
#endif
constexpr int TEXTS = 3;
constexpr int64_t NEAR_FLOATS = 6144;  // 24 KiB, which every processor's nearest cache holds beside some rows
typedef float Wide __attribute__((vector_size(4 * WIDE)));
typedef int32_t WideIntegers __attribute__((vector_size(4 * WIDE)));

inline Wide wide(const float* from) {
    Wide value;
    memcpy(&value, from, sizeof value);
    return value;
}

// A number of a cache in bf16: the upper half of a float32.
struct Bf16 {
    uint16_t bits;
};

inline Wide wide(const Bf16* from) {
    typedef uint16_t Halves __attribute__((vector_size(2 * WIDE)));
    Halves value;
    memcpy(&value, from, sizeof value);
    return (Wide)(__builtin_convertvector(value, WideIntegers) << 16);
}

inline float single(float value) { return value; }

inline float single(Bf16 value) {
    uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float made;
    memcpy(&made, &bits, sizeof made);
    return made;
}

// To the nearest bf16 number, and to the even one of two; NaN stays NaN.
inline Bf16 nearest(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return {static_cast<uint16_t>(value == value ? rounded : 0x7FC0)};
}

inline void store(float* to, Wide value) { memcpy(to, &value, sizeof value); }

inline Wide all(float value) { return value - Wide{}; }

// In the open and not left to the compiler, which fuses here and not there, so that sums would differ.
inline void add_product(Wide& sum, Wide a, Wide b) {
#if defined(__AVX512F__)
    sum = (Wide)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum);
#elif defined(__FMA__)
    sum = (Wide)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)sum);
#elif defined(__ARM_FEATURE_FMA)
    for (int i = 0; i < WIDE; i++) sum[i] = __builtin_fmaf(a[i], b[i], sum[i]);
#else
    sum += a * b;
#endif
}

typedef float Four __attribute__((vector_size(16)));

// Adds the upper half of a register to its lower half until four numbers are left.
inline Four folded(Wide v) {
    typedef float Eight __attribute__((vector_size(32)));
    Eight halves;
    memcpy(&halves, &v, sizeof halves);
    if (WIDE == 16) {
        Eight upper;
        memcpy(&upper, reinterpret_cast<const char*>(&v) + sizeof v - sizeof upper, sizeof upper);
        halves += upper;
    }
    Four lower, upper;
    memcpy(&lower, &halves, sizeof lower);
    memcpy(&upper, reinterpret_cast<const char*>(&halves) + sizeof lower, sizeof upper);
    return lower + upper;
}

inline float total(Wide v) {
    Four four = folded(v);
    return (four[0] + four[1]) + (four[2] + four[3]);
}

// The totals of N registers, each added in the order of `total`; four together take a third of the instructions.
template <int N>
inline void totals(const Wide* sums, float* to) {
    int n = 0;
#if defined(__AVX__)
    for (; n + 4 <= N; n += 4) {
        __m128 first = _mm_hadd_ps((__m128)folded(sums[n]), (__m128)folded(sums[n + 1]));
        __m128 second = _mm_hadd_ps((__m128)folded(sums[n + 2]), (__m128)folded(sums[n + 3]));
        _mm_storeu_ps(to + n, _mm_hadd_ps(first, second));
    }
#endif
    for (; n < N; n++) to[n] = total(sums[n]);
}

// e^x for x of at most 88, as a power of two and a polynomial (the method of Cephes' expf, S. Moshier); NaN stays NaN.
inline Wide exponential(Wide x) {
    x = x < -87.f ? all(-87.f) : x;
    x = x > 88.f ? all(88.f) : x;
    const Wide round = all(12582912.f);  // 1.5 x 2^23: what is added to it loses its fraction
    Wide whole = (x * 1.44269504088896341f + round) - round;
    Wide rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    Wide sum = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.f;
    WideIntegers power = (__builtin_convertvector(whole, WideIntegers) + 127) << 23;
    return sum * (Wide)power;
}

// N dot products of one vector with N others that stand `stride` apart.
template <int N, class Number>
inline void dots(const float* a, const Number* b, int64_t stride, int64_t width, float* to) {
    Wide sums[N] = {};
    int64_t i = 0;
    for (; i + WIDE <= width; i += WIDE) {
        Wide left = wide(a + i);
        for (int n = 0; n < N; n++) add_product(sums[n], left, wide(b + n * stride + i));
    }
    totals<N>(sums, to);
    for (int n = 0; n < N; n++)
        for (int64_t rest = i; rest < width; rest++) to[n] += a[rest] * single(b[n * stride + rest]);
}
}  // namespace
