// Products with bf16 weights, on processors with instructions for them: AVX512_BF16, and AMX where Linux permits it.
//
// Both sides of a product are rounded to bf16, and sums are float32. Weights lie in panels of 16 rows, two columns at a
// time: (rows / 16, columns / 2, 16, 2), padded with zeros to multiples of 32 rows and 32 columns. A register holds one
// pair of columns of a panel, and a tile holds 16 pairs. A text's sums do not depend on the number of texts.
#pragma once

#include "native_lanes.h"

#if defined(__AVX512BF16__) && defined(__AVX512F__)
#define LILLIPUT_PAIRS
#if defined(__AMX_BF16__) && defined(__AMX_TILE__) && defined(__linux__) && defined(__x86_64__)
#define LILLIPUT_TILES
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace {
enum Half { NO_HALF, PAIRS, TILES };             // the instructions of bf16 products, as native.py names them
constexpr int64_t PANEL = 16, SIDE = 2 * PANEL;  // SIDE: rows, columns and texts that a product by tiles takes at once

int64_t up_to(int64_t number, int64_t step) { return (number + step - 1) / step * step; }

// Numbers of float32 that hold the bf16 activations of a product.
int64_t half_floats(int64_t batch, int64_t columns) { return up_to(batch, PANEL) * up_to(columns, SIDE) / 2; }

// The best instructions for bf16 that this build and this processor have. Linux saves the tiles of a process only after
// the process has asked for it (Documentation/arch/x86/xstate.rst).
int64_t best_half() {
#ifdef LILLIPUT_TILES
    constexpr long ASK_PERMISSION = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    if (syscall(SYS_arch_prctl, ASK_PERMISSION, TILE_DATA) == 0) return TILES;
#endif
#ifdef LILLIPUT_PAIRS
    return PAIRS;
#else
    return NO_HALF;
#endif
}

#ifdef LILLIPUT_PAIRS
inline __mmask16 first(int64_t count) { return count >= PANEL ? 0xFFFF : (1u << count) - 1; }

// Rounds a text's activations to bf16, and adds zeros up to `deep` numbers.
void halved(const float* x, int64_t columns, uint16_t* to, int64_t deep) {
    for (int64_t i = 0; i < deep; i += PANEL) {
        int64_t left = columns - i;
        __m512 some = left > 0 ? _mm512_maskz_loadu_ps(first(left), x + i) : _mm512_setzero_ps();
        _mm256_storeu_si256((__m256i*)(to + i), (__m256i)_mm512_cvtneps_pbh(some));
    }
}

// y = or += the sums of one text and one panel, `left` of whose rows there are.
inline void written(__m512 sums, int64_t left, const float* bias, float* y, bool add) {
    if (left <= 0) return;
    if (bias) sums = _mm512_add_ps(sums, _mm512_maskz_loadu_ps(first(left), bias));
    if (add) sums = _mm512_add_ps(sums, _mm512_maskz_loadu_ps(first(left), y));
    _mm512_mask_storeu_ps(y, first(left), sums);
}

// Multiplies two panels with B texts.
template <int B>
inline void pairs(const uint16_t* panels, const uint16_t* x, int64_t deep, int64_t left, const float* bias, float* y,
                  int64_t rows, bool add) {
    __m512 sums[2][B] = {};
    for (int64_t k = 0; k < deep; k += 2) {
        __m512bh one = (__m512bh)_mm512_loadu_si512(panels + k * PANEL);
        __m512bh two = (__m512bh)_mm512_loadu_si512(panels + (deep + k) * PANEL);
        for (int b = 0; b < B; b++) {
            int32_t pair;
            memcpy(&pair, x + b * deep + k, sizeof pair);
            __m512bh all = (__m512bh)_mm512_set1_epi32(pair);
            sums[0][b] = _mm512_dpbf16_ps(sums[0][b], one, all);
            sums[1][b] = _mm512_dpbf16_ps(sums[1][b], two, all);
        }
    }
    for (int b = 0; b < B; b++)
        for (int p = 0; p < 2; p++)
            written(sums[p][b], left - p * PANEL, bias ? bias + p * PANEL : nullptr, y + b * rows + p * PANEL, add);
}
#endif

#ifdef LILLIPUT_TILES
struct alignas(64) TileShapes {  // the layout of LDTILECFG: 16 rows of 64 bytes in each of eight tiles
    uint8_t palette = 1, start = 0, unused[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileShapes SHAPES;

// Multiplies two panels with 32 texts, or with 16 where `both` is false: four tiles of sums, or two.
inline void tiles(const uint16_t* panels, const uint16_t* x, int64_t deep, bool both, float* sums) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < deep; k += SIDE) {
        _tile_loadd(6, panels + k * PANEL, 64);
        _tile_loadd(7, panels + (deep + k) * PANEL, 64);
        _tile_loadd(4, x + k, 2 * deep);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (both) {
            _tile_loadd(5, x + PANEL * deep + k, 2 * deep);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums, 4 * SIDE);
    _tile_stored(1, sums + PANEL, 4 * SIDE);
    _tile_stored(2, sums + PANEL * SIDE, 4 * SIDE);
    _tile_stored(3, sums + PANEL * SIDE + PANEL, 4 * SIDE);
}
#endif

// y (batch, rows) = or += x (batch, deep) in bf16 times the rows [from, end) of the matrix; `from` and `end` are
// multiples of SIDE, or `end` is the last row. x has room for a multiple of 16 texts.
void half_product(int64_t half, const void* weight, int64_t rows, const float* bias, int64_t from, int64_t end,
                  const uint16_t* x, int64_t deep, float* y, int64_t batch, bool add) {
    const uint16_t* panels = static_cast<const uint16_t*>(weight);
#ifdef LILLIPUT_TILES
    if (half == TILES) {
        __asm__ volatile("" ::: "memory");  // loads of tiles do not say which memory they read
        _tile_loadconfig(&SHAPES);
        for (int64_t row = from; row < end; row += SIDE)
            for (int64_t b = 0; b < batch; b += SIDE) {
                alignas(64) float sums[SIDE * SIDE];
                int64_t some = std::min(SIDE, batch - b);
                tiles(panels + row * deep, x + b * deep, deep, some > PANEL, sums);
                for (int64_t t = 0; t < some; t++)
                    for (int64_t at = row; at < std::min(row + SIDE, rows); at += PANEL)
                        written(_mm512_load_ps(sums + t * SIDE + at - row), rows - at, bias ? bias + at : nullptr,
                                y + (b + t) * rows + at, add);
            }
        _tile_release();
        return;
    }
#endif
#ifdef LILLIPUT_PAIRS
    for (int64_t row = from; row < end; row += SIDE) {
        const uint16_t* two = panels + row * deep;
        const float* with = bias ? bias + row : nullptr;
        int64_t b = 0;
        for (; b + 8 <= batch; b += 8)
            pairs<8>(two, x + b * deep, deep, rows - row, with, y + b * rows + row, rows, add);
        for (; b < batch; b++) pairs<1>(two, x + b * deep, deep, rows - row, with, y + b * rows + row, rows, add);
    }
#endif
}
}  // namespace
