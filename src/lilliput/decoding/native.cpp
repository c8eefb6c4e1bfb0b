// The decoding step of a transformer on a CPU. It reads new tokens of several texts, and computes final hidden states
// and logits.
//
// native.py builds this file with the machine's own C++ compiler and calls `forward` and `logits`. Numbers are float32;
// a matrix may be int8 with one scale a row, or bf16 (native_bf16.h). The order of a text's sums does not depend on the
// other texts, so its results do not depend on the number of texts. The structs are mirrored in native.py, field by
// field.

#include "native_bf16.h"
#include "native_lanes.h"

#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }
#endif

extern "C" {
enum Mlp { SWIGLU, GELU, GELU_TANH, RELU2 };

struct Matrix {  // y = x weight^T + bias; weight is (rows, columns) float32, int8 in groups (see `grouped` below),
                 // or bf16 in panels (see native_bf16.h)
    const void* weight;
    const float* scale;  // of each row of int8; else null
    const float* bias;   // or null
    int64_t rows, columns;
    int64_t half;  // the instructions of bf16 products; 0: float32 or int8
};

struct Norm {  // bias null: root mean square; else centred too. weight null: no norm
    const float *weight, *bias;
};

struct Layer {
    Norm ln1, ln2, q_norm, k_norm;
    Matrix qkv, out, up, down;  // where the MLP is gated, up holds the rows of gate and then the rows of up
    void *keys, *values;        // (slots, kv_heads, capacity, d_head) float32, or bf16 where half_cache is not 0
};

struct Model {
    int64_t d_model, n_layers, n_heads, n_kv_heads, d_head, d_mlp, rotated, window, capacity;
    int64_t mlp, parallel, threads, half_cache;
    float eps;
    const float *embed, *learned, *cos, *sin;  // learned: (context, d_model) or null; cos, sin: (context, rotated / 2)
    Norm ln_final;
    const Layer* layers;
};
}

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

// ------------------------------------------------------------------ the rest of a block

void normalise(const Norm& norm, const float* x, float* y, int64_t width, float eps) {
    float mean = 0, square = 0;
    if (norm.bias) {
        for (int64_t i = 0; i < width; i++) mean += x[i];
        mean /= width;
    }
    for (int64_t i = 0; i < width; i++) square += (x[i] - mean) * (x[i] - mean);
    float scale = 1 / std::sqrt(square / width + eps);
    for (int64_t i = 0; i < width; i++) y[i] = (x[i] - mean) * scale * norm.weight[i] + (norm.bias ? norm.bias[i] : 0);
}

void turn(float* x, const float* cos, const float* sin, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        float first = x[i], second = x[i + half];
        x[i] = first * cos[i] - second * sin[i];
        x[i + half] = second * cos[i] + first * sin[i];
    }
}

void prepare(const Model& m, const Norm& norm, float* head, int64_t position) {
    if (norm.weight) normalise(norm, head, head, m.d_head, m.eps);
    int64_t half = m.rotated / 2;
    if (half) turn(head, m.cos + position * half, m.sin + position * half, half);
}

void keep(const float* from, int64_t width, float* to) { memcpy(to, from, width * sizeof(float)); }

void keep(const float* from, int64_t width, Bf16* to) {
    for (int64_t i = 0; i < width; i++) to[i] = nearest(from[i]);
}

// Attention of one query head over the positions that it sees; scores has room for all of them and WIDE more.
template <class Number>
void attend(const Model& m, const float* query, const Number* keys, const Number* values, int64_t position,
            float* scores, float* z) {
    int64_t from = m.window && position >= m.window ? position - m.window + 1 : 0, width = m.d_head;
    int64_t seen = position - from + 1, t = 0;
    keys += from * width, values += from * width;
    for (; t + 4 <= seen; t += 4) dots<4>(query, keys + t * width, width, width, scores + t);
    for (; t < seen; t++) dots<1>(query, keys + t * width, width, width, scores + t);
    float root = 1 / std::sqrt(static_cast<float>(width)), most = scores[0], sum = 0;
    for (t = 1; t < seen; t++) most = scores[t] > most ? scores[t] : most;
    for (t = 0; t < seen; t += WIDE) store(scores + t, exponential((wide(scores + t) - most) * root));
    for (t = 0; t < seen; t++) sum += scores[t];
    int64_t i = 0;
    for (; i + 2 * WIDE <= width; i += 2 * WIDE) {  // two registers at once: neither waits for its own sum
        Wide first = {}, second = {};
        for (t = 0; t < seen; t++) {
            Wide share = all(scores[t]);
            add_product(first, share, wide(values + t * width + i));
            add_product(second, share, wide(values + t * width + i + WIDE));
        }
        store(z + i, first / sum), store(z + i + WIDE, second / sum);
    }
    for (; i < width; i++) {
        z[i] = 0;
        for (t = 0; t < seen; t++) z[i] += scores[t] * single(values[t * width + i]);
        z[i] /= sum;
    }
}

// Attention of all tokens in one layer, which the calling region's threads share. Keys and values of all tokens are
// stored first, so that a token sees earlier tokens of the same call.
template <class Number>
void attention(const Model& m, const Layer& layer, int64_t batch, const int64_t* slots, const int64_t* positions,
               float* qkv, float* scores, float* z) {
    int64_t width = m.d_head, inner = m.n_heads * width, group = m.n_heads / m.n_kv_heads;
    int64_t fused = inner + 2 * m.n_kv_heads * width;
    Number *keys = static_cast<Number*>(layer.keys), *values = static_cast<Number*>(layer.values);
#pragma omp for collapse(2)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < m.n_kv_heads; h++) {
            float *key = qkv + b * fused + inner + h * width, *value = key + m.n_kv_heads * width;
            int64_t at = ((slots[b] * m.n_kv_heads + h) * m.capacity + positions[b]) * width;
            prepare(m, layer.k_norm, key, positions[b]);
            keep(key, width, keys + at);
            keep(value, width, values + at);
        }
#pragma omp for collapse(2)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < m.n_heads; h++) {
            int64_t text = (slots[b] * m.n_kv_heads + h / group) * m.capacity * width;
            float* query = qkv + b * fused + h * width;
            prepare(m, layer.q_norm, query, positions[b]);
            attend(m, query, keys + text, values + text, positions[b], scores + (b * m.n_heads + h) * (m.capacity + WIDE),
                   z + b * inner + h * width);
        }
}

float activated(int64_t mlp, float x) {
    switch (mlp) {
        case SWIGLU: return x / (1 + std::exp(-x));
        case GELU: return 0.5f * x * (1 + std::erf(x * 0.70710678118654752f));
        case GELU_TANH: return 0.5f * x * (1 + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        default: return x > 0 ? x * x : 0;
    }
}

// One text's activations: of gate and up where the MLP is gated, else of up alone.
void activate(const Model& m, const float* up, float* act) {
    int64_t i = 0;
    if (m.mlp == SWIGLU)
        for (; i + WIDE <= m.d_mlp; i += WIDE) {
            Wide gate = wide(up + i);
            store(act + i, gate / (exponential(-gate) + 1.f) * wide(up + m.d_mlp + i));
        }
    for (; i < m.d_mlp; i++) {
        float gate = activated(m.mlp, up[i]);
        act[i] = m.mlp == SWIGLU ? gate * up[m.d_mlp + i] : gate;
    }
}
}  // namespace

extern "C" {
int64_t half_instructions() { return best_half(); }

int64_t room_floats(int64_t batch, int64_t columns) { return room_of(batch, columns); }

int64_t scratch_floats(const Model* m, int64_t batch) {
    int64_t inner = m->n_heads * m->d_head, fused = inner + 2 * m->n_kv_heads * m->d_head;
    int64_t up_width = m->mlp == SWIGLU ? 2 * m->d_mlp : m->d_mlp;
    int64_t widest = m->d_mlp > inner ? m->d_mlp : inner;
    widest = m->d_model > widest ? m->d_model : widest;
    int64_t kept = 2 * m->d_model + fused + inner + up_width + m->d_mlp + m->n_heads * (m->capacity + WIDE);
    return batch * kept + room_of(batch, widest);
}

// Reads `batch` new tokens. Each token has a slot of the cache, which holds its text, and a position in that text.
// Several tokens of one text have successive positions. hidden (batch, d_model) receives the normed final states.
void forward(const Model* model, int64_t batch, const int64_t* tokens, const int64_t* slots, const int64_t* positions,
             float* scratch, float* hidden) {
    const Model& m = *model;
    int64_t d = m.d_model, width = m.d_head, inner = m.n_heads * width;
    int64_t fused = inner + 2 * m.n_kv_heads * width, up_width = m.mlp == SWIGLU ? 2 * m.d_mlp : m.d_mlp;
    float *x = scratch, *normed = x + batch * d, *qkv = normed + batch * d, *z = qkv + batch * fused;
    float *up = z + batch * inner, *act = up + batch * up_width, *scores = act + batch * m.d_mlp;
    float* room = scores + batch * m.n_heads * (m.capacity + WIDE);
#pragma omp parallel num_threads(m.threads)
    {
        // One parallel region covers all layers. Its threads meet at barriers, which cost less than further regions.
        auto times = [&](const Matrix& matrix, const float* from, float* to, bool add) {
            product(matrix, from, to, batch, add, room);
        };
        auto norm = [&](const Norm& with, float* to) {
#pragma omp for
            for (int64_t b = 0; b < batch; b++) normalise(with, x + b * d, to + b * d, d, m.eps);
        };
#pragma omp for
        for (int64_t b = 0; b < batch; b++)
            for (int64_t i = 0; i < d; i++)
                x[b * d + i] = m.embed[tokens[b] * d + i] + (m.learned ? m.learned[positions[b] * d + i] : 0);
        for (const Layer* layer = m.layers; layer < m.layers + m.n_layers; layer++) {
            norm(layer->ln1, normed);
            times(layer->qkv, normed, qkv, false);
            auto how = m.half_cache ? attention<Bf16> : attention<float>;
            how(m, *layer, batch, slots, positions, qkv, scores, z);
            if (m.parallel) norm(layer->ln2, normed);
            times(layer->out, z, x, true);
            if (!m.parallel) norm(layer->ln2, normed);
            times(layer->up, normed, up, false);
#pragma omp for
            for (int64_t b = 0; b < batch; b++) activate(m, up + b * up_width, act + b * m.d_mlp);
            times(layer->down, act, x, true);
        }
        norm(m.ln_final, hidden);
    }
}

// logits (batch, rows) of hidden (batch, columns); `room` holds `room_floats`.
void logits(const Matrix* head, int64_t batch, const float* hidden, float* to, float* room, int64_t threads) {
#pragma omp parallel num_threads(threads)
    product(*head, hidden, to, batch, false, room);
}
}
