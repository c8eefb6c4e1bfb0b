// The decoding step of a transformer on a CPU: new tokens of several texts in, final hidden states and logits out.
//
// native.py builds this file with the machine's own C++ compiler and calls `forward` and `logits`. Numbers are float32;
// a matrix may be int8 with one scale a row. A row's sums are taken in the same order whatever stands beside it, so a
// text does not depend on the number of texts. The structs are mirrored in native.py, field by field.

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__FMA__)
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num() { return 0; }
static int omp_get_num_threads() { return 1; }
#endif

extern "C" {
enum Mlp { SWIGLU, GELU, GELU_TANH, RELU2 };

struct Matrix {  // y = x weight^T (times scale a row) + bias; weight is (rows, columns)
    const void* weight;
    const float* scale;  // null: the weights are float32, else int8
    const float* bias;   // or null
    int64_t rows, columns;
};

struct Norm {  // bias null: root mean square; else centred too. weight null: no norm
    const float *weight, *bias;
};

struct Layer {
    Norm ln1, ln2, q_norm, k_norm;
    Matrix qkv, out, up, down;  // up holds gate and up one on top of the other where the MLP is gated
    float *keys, *values;       // (slots, kv_heads, capacity, d_head)
};

struct Model {
    int64_t d_model, n_layers, n_heads, n_kv_heads, d_head, d_mlp, rotated, window, capacity;
    int64_t mlp, parallel, threads;
    float eps;
    const float *embed, *learned, *cos, *sin;  // learned: (context, d_model) or null; cos, sin: (context, rotated / 2)
    Norm ln_final;
    const Layer* layers;
};
}

namespace {
typedef float Lanes __attribute__((vector_size(32)));
constexpr int LANES = 8, AHEAD = 8;

inline Lanes lanes(const float* from) {
    Lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

inline Lanes lanes(const int8_t* from) {
#ifdef __AVX2__  // GCC 12 takes the loop apart into single numbers
    return (Lanes)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)from)));
#else
    Lanes value;
    for (int i = 0; i < LANES; i++) value[i] = from[i];
    return value;
#endif
}

// In the open and not left to the compiler, which fuses here and not there, so that sums would differ.
inline void add_product(Lanes& sum, Lanes a, Lanes b) {
#ifdef __FMA__
    sum = (Lanes)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)sum);
#elif defined(__ARM_FEATURE_FMA)
    for (int i = 0; i < LANES; i++) sum[i] = __builtin_fmaf(a[i], b[i], sum[i]);
#else
    sum += a * b;
#endif
}

inline float total(Lanes v) { return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7])); }

// Products of R rows of a matrix with B texts at once, so that each number read is used R or B times.
template <int R, int B, typename T>
inline void tile(const T* weight, int64_t columns, const float* x, float* y, int64_t rows, const float* scale,
                 const float* bias, bool add) {
    Lanes sums[R][B] = {};
    int64_t k = 0;
    for (; k + LANES <= columns; k += LANES) {
        Lanes right[B];
        for (int b = 0; b < B; b++) right[b] = lanes(x + b * columns + k);
        for (int r = 0; r < R; r++) {
            if (B == 1) __builtin_prefetch(weight + (r + AHEAD) * columns + k);
            Lanes left = lanes(weight + r * columns + k);
            for (int b = 0; b < B; b++) add_product(sums[r][b], left, right[b]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) {
            float sum = total(sums[r][b]);
            for (int64_t rest = k; rest < columns; rest++) sum += weight[r * columns + rest] * x[b * columns + rest];
            if (scale) sum *= scale[r];
            if (bias) sum += bias[r];
            float& to = y[b * rows + r];
            to = add ? to + sum : sum;
        }
}

template <int R, typename T>
void texts(const Matrix& m, int64_t row, const float* x, float* y, int64_t batch, bool add) {
    const T* weight = static_cast<const T*>(m.weight) + row * m.columns;
    const float *scale = m.scale ? m.scale + row : nullptr, *bias = m.bias ? m.bias + row : nullptr;
    int64_t b = 0;
    for (; b + 3 <= batch; b += 3)
        tile<R, 3>(weight, m.columns, x + b * m.columns, y + b * m.rows + row, m.rows, scale, bias, add);
    for (; b < batch; b++)
        tile<R, 1>(weight, m.columns, x + b * m.columns, y + b * m.rows + row, m.rows, scale, bias, add);
}

// One thread's share of y (batch, rows) = or += x (batch, columns) times the matrix.
template <typename T>
void share(const Matrix& m, const float* x, float* y, int64_t batch, bool add, int64_t thread, int64_t threads) {
    int64_t groups = (m.rows + 3) / 4;
    int64_t row = groups * thread / threads * 4, end = groups * (thread + 1) / threads * 4;
    if (end > m.rows) end = m.rows;
    for (; row + 4 <= end; row += 4) texts<4, T>(m, row, x, y, batch, add);
    for (; row < end; row++) texts<1, T>(m, row, x, y, batch, add);
}

void product(const Matrix& m, const float* x, float* y, int64_t batch, bool add, int64_t thread, int64_t threads) {
    if (m.scale)
        share<int8_t>(m, x, y, batch, add, thread, threads);
    else
        share<float>(m, x, y, batch, add, thread, threads);
}

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

float dot(const float* a, const float* b, int64_t width) {
    Lanes sums = {};
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) add_product(sums, lanes(a + i), lanes(b + i));
    float sum = total(sums);
    for (; i < width; i++) sum += a[i] * b[i];
    return sum;
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

// Attention of one query head over the positions that it sees; scores has room for all of them.
void attend(const Model& m, const float* query, const float* keys, const float* values, int64_t position, float* scores,
            float* z) {
    int64_t from = m.window && position >= m.window ? position - m.window + 1 : 0;
    float root = 1 / std::sqrt(static_cast<float>(m.d_head)), most = -INFINITY, sum = 0;
    for (int64_t t = from; t <= position; t++) {
        scores[t] = dot(query, keys + t * m.d_head, m.d_head) * root;
        most = scores[t] > most ? scores[t] : most;
    }
    for (int64_t i = 0; i < m.d_head; i++) z[i] = 0;
    for (int64_t t = from; t <= position; t++) {
        float share = std::exp(scores[t] - most);
        sum += share;
        for (int64_t i = 0; i < m.d_head; i++) z[i] += share * values[t * m.d_head + i];
    }
    for (int64_t i = 0; i < m.d_head; i++) z[i] /= sum;
}

float activated(int64_t mlp, float x) {
    switch (mlp) {
        case SWIGLU: return x / (1 + std::exp(-x));
        case GELU: return 0.5f * x * (1 + std::erf(x * 0.70710678118654752f));
        case GELU_TANH: return 0.5f * x * (1 + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        default: return x > 0 ? x * x : 0;
    }
}
}  // namespace

extern "C" {
int64_t scratch_floats(const Model* m, int64_t batch) {
    int64_t inner = m->n_heads * m->d_head, fused = inner + 2 * m->n_kv_heads * m->d_head;
    int64_t wide = m->mlp == SWIGLU ? 2 * m->d_mlp : m->d_mlp;
    return batch * (2 * m->d_model + fused + inner + wide + m->d_mlp + m->n_heads * m->capacity);
}

// Read `batch` new tokens, each at its position of the text that stands in its slot of the cache; several of one text
// stand at successive positions. hidden (batch, d_model) receives the normed final states.
void forward(const Model* model, int64_t batch, const int64_t* tokens, const int64_t* slots, const int64_t* positions,
             float* scratch, float* hidden) {
    const Model& m = *model;
    int64_t d = m.d_model, width = m.d_head, inner = m.n_heads * width, group = m.n_heads / m.n_kv_heads;
    int64_t fused = inner + 2 * m.n_kv_heads * width, wide = m.mlp == SWIGLU ? 2 * m.d_mlp : m.d_mlp;
    float *x = scratch, *normed = x + batch * d, *qkv = normed + batch * d, *z = qkv + batch * fused;
    float *up = z + batch * inner, *act = up + batch * wide, *scores = act + batch * m.d_mlp;
#pragma omp parallel num_threads(m.threads)
    {
        // One region for all layers: its threads meet at barriers, which cost less than regions.
        auto times = [&](const Matrix& matrix, const float* from, float* to, bool add) {
            product(matrix, from, to, batch, add, omp_get_thread_num(), omp_get_num_threads());
#pragma omp barrier
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
#pragma omp for collapse(2)
            for (int64_t b = 0; b < batch; b++)
                for (int64_t h = 0; h < m.n_kv_heads; h++) {
                    float *key = qkv + b * fused + inner + h * width, *value = key + m.n_kv_heads * width;
                    int64_t at = ((slots[b] * m.n_kv_heads + h) * m.capacity + positions[b]) * width;
                    prepare(m, layer->k_norm, key, positions[b]);
                    memcpy(layer->keys + at, key, width * sizeof(float));
                    memcpy(layer->values + at, value, width * sizeof(float));
                }
#pragma omp for collapse(2)
            for (int64_t b = 0; b < batch; b++)
                for (int64_t h = 0; h < m.n_heads; h++) {
                    int64_t text = (slots[b] * m.n_kv_heads + h / group) * m.capacity * width;
                    float* query = qkv + b * fused + h * width;
                    prepare(m, layer->q_norm, query, positions[b]);
                    attend(m, query, layer->keys + text, layer->values + text, positions[b],
                           scores + (b * m.n_heads + h) * m.capacity, z + b * inner + h * width);
                }
            if (m.parallel) norm(layer->ln2, normed);
            times(layer->out, z, x, true);
            if (!m.parallel) norm(layer->ln2, normed);
            times(layer->up, normed, up, false);
#pragma omp for collapse(2)
            for (int64_t b = 0; b < batch; b++)
                for (int64_t i = 0; i < m.d_mlp; i++) {
                    float gate = activated(m.mlp, up[b * wide + i]);
                    act[b * m.d_mlp + i] = m.mlp == SWIGLU ? gate * up[b * wide + m.d_mlp + i] : gate;
                }
            times(layer->down, act, x, true);
        }
        norm(m.ln_final, hidden);
    }
}

// logits (batch, rows) of hidden (batch, columns).
void logits(const Matrix* head, int64_t batch, const float* hidden, float* to, int64_t threads) {
#pragma omp parallel num_threads(threads)
    product(*head, hidden, to, batch, false, omp_get_thread_num(), omp_get_num_threads());
}
}
