// Parts of a training step on a CPU for which PyTorch takes too many passes over memory: causal attention, forwards and
// backwards, and the head's softmax with its gradient.
//
// kernels.py builds this file with the machine's own C++ compiler. Tensors are float32 or bfloat16, sums are float32, and
// each row or head is worked on by one thread from start to end, so results do not depend on the number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {
// As many floats as fit into one register, and rows of a tile such that its sums fit into all of them.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 8;
#elif defined(__AVX__)
constexpr int LANES = 8, ROWS = 4;
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 8;
#else
constexpr int LANES = 4, ROWS = 4;
#endif
constexpr int PANEL = 2 * LANES;  // keys that a product works on at once
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
    const Lanes round = all(12582912.f);  // 1.5 x 2^23: what is added to it loses its fraction
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

// ------------------------------------------------------------------ attention

struct Room {  // a thread's own memory, kept from call to call
    std::vector<float> floats;
    float* take(int64_t count) {
        if ((int64_t)floats.size() < count) floats.resize(count);
        return floats.data();
    }
};
thread_local Room room;
}  // namespace

extern "C" {
// (rows, length, heads, width) each, with `stride` numbers from one position to the next; rows follow without a gap.
struct Tensor {
    void* data;
    int64_t stride, bf16;
};

struct Shape {
    int64_t rows, length, heads, shared, width, threads;  // shared: heads of keys and values
    float scale;
};
}

namespace {
// One head of one row as float32 (padded length, padded width), zero where there is nothing.
void gather(const Tensor& from, int64_t row, int64_t head, const Shape& s, int64_t length, int64_t width, float* to) {
    memset(to, 0, length * width * sizeof(float));
    for (int64_t t = 0; t < s.length; t++)
        read(from.data, from.bf16, (row * s.length + t) * from.stride + head * s.width, s.width, to + t * width);
}

void scatter(const float* from, const Tensor& to, int64_t row, int64_t head, const Shape& s, int64_t width) {
    for (int64_t t = 0; t < s.length; t++)
        write(to.data, to.bf16, (row * s.length + t) * to.stride + head * s.width, s.width, from + t * width);
}

// (length, width) -> panels of PANEL positions, each (width, PANEL), so that a product by the transpose reads on and on.
void transpose(const float* from, int64_t length, int64_t width, float* to) {
    for (int64_t p = 0; p < length; p += PANEL)
        for (int64_t d = 0; d < width; d++)
            for (int64_t t = 0; t < PANEL; t++) to[p * width + d * PANEL + t] = from[(p + t) * width + d];
}

// scores (QUERIES, keys) = a (QUERIES, width) times the transpose of what `panels` holds.
void scores(const float* a, const float* panels, int64_t width, int64_t keys, float* to, int64_t to_row) {
    for (int64_t p = 0; p < keys; p += PANEL)
        product<false>(QUERIES, PANEL, width, a, width, 1, panels + p * width, PANEL, to + p, to_row);
}

// e^(score * scale - shift) for the `seen` first numbers of a row, 0 up to `keys`; returns the sum.
float exponentials(float* row, int64_t seen, int64_t keys, float scale, float shift) {
    Lanes sum{};
    for (int64_t k = 0; k < keys; k += LANES) {
        Lanes value = exponential(lanes(row + k) * scale - shift);
        if (k + LANES > seen)
            for (int i = 0; i < LANES; i++) value[i] = k + i < seen ? value[i] : 0.f;
        store(row + k, value);
        sum += value;
    }
    return total(sum);
}

void attend(const Shape& s, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& z, float* lse, int64_t item) {
    int64_t row = item / s.shared, shared = item % s.shared, group = s.heads / s.shared;
    int64_t length = padded(s.length, std::max(QUERIES, PANEL)), width = padded(s.width, LANES), ld = length + LANES;
    float* queries = room.take(length * width * 5 + QUERIES * ld);
    float *keys = queries + length * width, *values = keys + length * width, *panels = values + length * width;
    float *out = panels + length * width, *block = out + length * width;
    gather(k, row, shared, s, length, width, keys);
    gather(v, row, shared, s, length, width, values);
    transpose(keys, length, width, panels);
    for (int64_t head = shared * group; head < (shared + 1) * group; head++) {
        gather(q, row, head, s, length, width, queries);
        for (int64_t from = 0; from < s.length; from += QUERIES) {
            int64_t count = padded(std::min(from + QUERIES, length), PANEL);
            scores(queries + from * width, panels, width, count, block, ld);
            for (int64_t i = 0; i < QUERIES; i++) {
                float* line = block + i * ld;
                int64_t seen = std::min(from + i + 1, s.length);
                float most = largest(line, seen) * s.scale, sum = exponentials(line, seen, count, s.scale, most);
                for (int64_t t = 0; t < count; t += LANES) store(line + t, lanes(line + t) / sum);
                if (from + i < s.length) lse[(row * s.heads + head) * s.length + from + i] = most + std::log(sum);
            }
            product<false>(QUERIES, width, std::min(count, from + QUERIES), block, ld, 1, values, width, out + from * width, width);
        }
        scatter(out, z, row, head, s, width);
    }
}

void attend_back(const Shape& s, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& z, const float* lse,
                 const Tensor& grad, const Tensor& dq, const Tensor& dk, const Tensor& dv, int64_t item) {
    int64_t row = item / s.shared, shared = item % s.shared, group = s.heads / s.shared;
    int64_t length = padded(s.length, std::max(QUERIES, PANEL)), width = padded(s.width, LANES), ld = length + LANES;
    int64_t area = length * width;
    float* keys = room.take(area * 10 + 2 * QUERIES * ld);
    float *values = keys + area, *key_panels = values + area, *value_panels = key_panels + area;
    float *key_grad = value_panels + area, *value_grad = key_grad + area, *queries = value_grad + area;
    float *out = queries + area, *out_grad = out + area, *query_grad = out_grad + area;
    float *pattern = query_grad + area, *pattern_grad = pattern + QUERIES * ld;
    gather(k, row, shared, s, length, width, keys);
    gather(v, row, shared, s, length, width, values);
    transpose(keys, length, width, key_panels);
    transpose(values, length, width, value_panels);
    memset(key_grad, 0, 2 * area * sizeof(float));
    for (int64_t head = shared * group; head < (shared + 1) * group; head++) {
        gather(q, row, head, s, length, width, queries);
        gather(z, row, head, s, length, width, out);
        gather(grad, row, head, s, length, width, out_grad);
        for (int64_t from = 0; from < s.length; from += QUERIES) {
            int64_t count = padded(std::min(from + QUERIES, length), PANEL), depth = std::min(count, from + QUERIES);
            scores(queries + from * width, key_panels, width, count, pattern, ld);
            scores(out_grad + from * width, value_panels, width, count, pattern_grad, ld);
            for (int64_t i = 0; i < QUERIES; i++) {
                float *line = pattern + i * ld, *line_grad = pattern_grad + i * ld;
                bool real = from + i < s.length;
                float shift = real ? lse[(row * s.heads + head) * s.length + from + i] : 0.f;
                exponentials(line, real ? from + i + 1 : 0, count, s.scale, shift);
                Lanes sum{};
                for (int64_t d = 0; d < width; d += LANES)
                    sum += lanes(out + (from + i) * width + d) * lanes(out_grad + (from + i) * width + d);
                float mean = total(sum);  // of the pattern's gradients, by the pattern
                for (int64_t t = 0; t < count; t += LANES)
                    store(line_grad + t, lanes(line + t) * (lanes(line_grad + t) - mean) * s.scale);
            }
            product<false>(QUERIES, width, depth, pattern_grad, ld, 1, keys, width, query_grad + from * width, width);
            product<true>(depth, width, QUERIES, pattern_grad, 1, ld, queries + from * width, width, key_grad, width);
            product<true>(depth, width, QUERIES, pattern, 1, ld, out_grad + from * width, width, value_grad, width);
        }
        scatter(query_grad, dq, row, head, s, width);
    }
    scatter(key_grad, dk, row, shared, s, width);
    scatter(value_grad, dv, row, shared, s, width);
}
}  // namespace

extern "C" {
void attention(const Shape* s, const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* z, float* lse) {
#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t item = 0; item < s->rows * s->shared; item++) attend(*s, *q, *k, *v, *z, lse, item);
}

void attention_backward(const Shape* s, const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* z,
                        const float* lse, const Tensor* grad, const Tensor* dq, const Tensor* dk, const Tensor* dv) {
#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t item = 0; item < s->rows * s->shared; item++)
        attend_back(*s, *q, *k, *v, *z, lse, *grad, *dq, *dk, *dv, item);
}

// logits (rows, vocabulary) become weight * (softmax(logits) - onehot(target)); losses (rows) become -log p(target).
void softmax_gradient(void* logits, int64_t bf16, int64_t rows, int64_t vocabulary, const int64_t* targets,
                      const float* weights, float* losses, int64_t threads) {
    int64_t width = padded(vocabulary, LANES);
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++) {
        float* line = room.take(width);
        read(logits, bf16, r * vocabulary, vocabulary, line);
        for (int64_t i = vocabulary; i < width; i++) line[i] = -INFINITY;
        float top = largest(line, width), asked = line[targets[r]];
        Lanes sums{};
        for (int64_t i = 0; i < width; i += LANES) {
            Lanes value = exponential(lanes(line + i) - top);
            store(line + i, value);
            sums += value;
        }
        float sum = total(sums);
        losses[r] = std::log(sum) + (top - asked);
        float share = weights[r] / sum;
        for (int64_t i = 0; i < width; i += LANES) store(line + i, lanes(line + i) * share);
        line[targets[r]] -= weights[r];
        write(logits, bf16, r * vocabulary, vocabulary, line);
    }
}

// to += from, float32 and bfloat16.
void add(float* to, const uint16_t* from, int64_t count, int64_t threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < count; i++) to[i] += wide(from[i]);
}
}
