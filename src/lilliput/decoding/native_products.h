// Products of a matrix with the activations of several texts: float32, int8 with one scale a row, or bf16
// (native_bf16.h), by all threads of the calling region.

#pragma once

#include "native_bf16.h"
#include "native_lanes.h"

#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }
#endif

struct Matrix {  // y = x weight^T + bias; weight is (rows, columns) float32, int8 in groups (see `grouped` below),
                 // or bf16 in panels (see native_bf16.h)
    const void* weight;
    const float* scale;  // of each row of int8; else null
    const float* bias;   // or null
    int64_t rows, columns;
    int64_t half;  // the instructions of bf16 products; 0: float32 or int8
};

namespace {
// ------------------------------------------------------------------ products in float32

// Multiplies R rows of a matrix with B texts at once, so that each number from memory is used R or B times.
template <int R, int B>
inline void tile(const float* weight, int64_t columns, const float* x, float* y, int64_t rows, const float* bias, bool add) {
    Wide sums[B][R] = {};
    int64_t k = 0;
    for (; k + WIDE <= columns; k += WIDE) {
        Wide right[B];
        for (int b = 0; b < B; b++) right[b] = wide(x + b * columns + k);
        for (int r = 0; r < R; r++) {
            if (B == 1) __builtin_prefetch(weight + (r + AHEAD) * columns + k);
            Wide left = wide(weight + r * columns + k);
            for (int b = 0; b < B; b++) add_product(sums[b][r], left, right[b]);
        }
    }
    for (int b = 0; b < B; b++) {
        float found[R], *to = y + b * rows;
        totals<R>(sums[b], found);
        for (int64_t rest = k; rest < columns; rest++)
            for (int r = 0; r < R; r++) found[r] += weight[r * columns + rest] * x[b * columns + rest];
        if (bias)
            for (int r = 0; r < R; r++) found[r] += bias[r];
        for (int r = 0; r < R; r++) to[r] = add ? to[r] + found[r] : found[r];
    }
}

template <int R>
void texts(const Matrix& m, int64_t row, const float* x, float* y, int64_t batch, bool add) {
    const float* weight = static_cast<const float*>(m.weight) + row * m.columns;
    const float* bias = m.bias ? m.bias + row : nullptr;
    int64_t b = 0;
    for (; b + TEXTS <= batch; b += TEXTS)
        tile<R, TEXTS>(weight, m.columns, x + b * m.columns, y + b * m.rows + row, m.rows, bias, add);
    for (; b < batch; b++)
        tile<R, 1>(weight, m.columns, x + b * m.columns, y + b * m.rows + row, m.rows, bias, add);
}

// ------------------------------------------------------------------ products in int8

// A text's activations for the product with int8 weights: int16 with one scale, small enough that 32 bits hold every
// sum. Up to 4,128 columns they have 12 bits and a sign, 30 times as fine as the weights.
int64_t even(int64_t columns) { return (columns + 1) / 2 * 2; }

void rounded(const float* x, int64_t columns, int16_t* to, float* scale) {
    float most = 0, damaged = 0, limit = std::fmin(4095.f, std::floor(2147483647.f / 127 / columns));
    for (int64_t i = 0; i < columns; i++) {
        float size = std::fabs(x[i]);
        most = size > most ? size : most;
        damaged += x[i] * 0;  // not a number where one of them is not finite
    }
    float by = most > 0 ? limit / most : 0;
    for (int64_t i = 0; i < columns; i++) {
        float value = __builtin_rintf(x[i] * by);  // not a number where x is infinite, which no integer is
        to[i] = value == value ? static_cast<int16_t>(static_cast<int32_t>(value)) : 0;
    }
    if (columns % 2) to[columns] = 0;
    *scale = most / limit + damaged;
}

// int8 weights are stored in groups of 8 rows, two columns at a time: (rows / 8, columns / 2, 8, 2), padded with zeros.
// Multiplies G groups with B texts at once; `grouped` points to the first group.
template <int G, int B>
inline void tile(const int8_t* grouped, int64_t columns, const int16_t* x, const float* x_scale, float* y, int64_t rows,
                 int64_t row, const Matrix& m, bool add) {
    Integers sums[G][B] = {};
    for (int64_t k = 0; k < columns; k += 2) {
#ifdef __AVX2__
        __m256i left[G];
        for (int g = 0; g < G; g++)
            left[g] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(grouped + (g * columns + k) * LANES)));
        for (int b = 0; b < B; b++) {
            int32_t two;
            memcpy(&two, x + b * columns + k, sizeof two);
            for (int g = 0; g < G; g++)
                sums[g][b] += (Integers)_mm256_madd_epi16(left[g], _mm256_set1_epi32(two));
        }
#else
        for (int g = 0; g < G; g++)
            for (int b = 0; b < B; b++)
                for (int r = 0; r < LANES; r++) {
                    const int8_t* two = grouped + (g * columns + k) * LANES + 2 * r;
                    sums[g][b][r] += two[0] * x[b * columns + k] + two[1] * x[b * columns + k + 1];
                }
#endif
    }
    for (int g = 0; g < G; g++)
        for (int b = 0; b < B; b++)
            for (int64_t r = 0; r < LANES && row + g * LANES + r < rows; r++) {
                int64_t at = row + g * LANES + r;
                float sum = static_cast<float>(sums[g][b][r]) * (m.scale[at] * x_scale[b]);
                if (m.bias) sum += m.bias[at];
                float& to = y[b * rows + at];
                to = add ? to + sum : sum;
            }
}

template <int G>
void texts(const Matrix& m, int64_t group, const int16_t* x, const float* x_scale, float* y, int64_t batch, bool add) {
    int64_t columns = even(m.columns), row = group * LANES, b = 0;
    const int8_t* grouped = static_cast<const int8_t*>(m.weight) + row * columns;
    for (; b + 4 <= batch; b += 4)
        tile<G, 4>(grouped, columns, x + b * columns, x_scale + b, y + b * m.rows, m.rows, row, m, add);
    for (; b < batch; b++)
        tile<G, 1>(grouped, columns, x + b * columns, x_scale + b, y + b * m.rows, m.rows, row, m, add);
}

// ------------------------------------------------------------------ products of all kinds

// Floats that a product of a matrix with so many columns needs for rounded activations.
int64_t room_of(int64_t batch, int64_t columns) {
    return std::max(batch * (columns + 3), half_floats(batch, columns));
}

// y (batch, rows) = or += x (batch, columns) times the matrix, by all threads of the calling region. `room` holds
// `room_of` floats. The threads meet at the end of the product.
void product(const Matrix& m, const float* x, float* y, int64_t batch, bool add, float* room) {
    int64_t columns = even(m.columns), height = m.half ? SIDE : m.scale ? LANES : ROWS;
    int64_t groups = (m.rows + height - 1) / height;
    int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t group = groups * thread / threads, end = groups * (thread + 1) / threads;
    if (m.half) {
#ifdef LILLIPUT_PAIRS
        uint16_t* small = reinterpret_cast<uint16_t*>(room);
        int64_t deep = up_to(m.columns, SIDE);
#pragma omp for
        for (int64_t b = 0; b < batch; b++) halved(x + b * m.columns, m.columns, small + b * deep, deep);
        half_product(m.half, m.weight, m.rows, m.bias, group * SIDE, std::min(end * SIDE, m.rows), small, deep, y, batch,
                     add);
#endif
    } else if (m.scale) {
        int16_t* small = reinterpret_cast<int16_t*>(room + batch);
#pragma omp for
        for (int64_t b = 0; b < batch; b++) rounded(x + b * m.columns, m.columns, small + b * columns, room + b);
        if (batch == 1)
            for (; group + 4 <= end; group += 4) texts<4>(m, group, small, room, y, batch, add);
        for (; group + 2 <= end; group += 2) texts<2>(m, group, small, room, y, batch, add);
        for (; group < end; group++) texts<1>(m, group, small, room, y, batch, add);
    } else {
        // So many texts at once that their activations stay in the nearest cache while all rows pass by.
        int64_t most = std::max<int64_t>(1, NEAR_FLOATS / m.columns / TEXTS) * TEXTS;
        for (int64_t b = 0; b < batch; b += most)
            for (int64_t g = group; g < end; g++) {
                int64_t row = g * height, some = std::min(most, batch - b);
                const float* from = x + b * m.columns;
                float* to = y + b * m.rows;
                if (row + ROWS <= m.rows)
                    texts<ROWS>(m, row, from, to, some, add);
                else
                    for (; row < m.rows; row++) texts<1>(m, row, from, to, some, add);
            }
    }
#pragma omp barrier
}
}  // namespace
