// Attention, forward and backward, from the queries, keys and values of one matrix product. Each query sees one interval of
// keys: itself and all earlier positions, the whole row, a window, or its own document. QK-norm, rotary positions, a bias
// of the scores by distance, softmax and dropout are computed in the same pass, one head at a time. The pattern is not kept in memory.
// One thread computes each head of a row from start to end, so results do not depend on the number of threads.
#pragma once

#include "lanes.h"

extern "C" {
struct Shape {
    int64_t rows, length, heads, shared, width, half;  // shared: heads of keys and values; half: rotated pairs
    int64_t bf16, threads, seed, below;
    float scale, eps, kept;
};

// qkv (rows, length, heads + 2 shared, width) of the model. All other pointers may be null: the weights (width) of the
// norms of queries and keys, cos and sin (length, half), the bias (heads, 2 length - 1) of the scores, whose number d is
// of keys at the query's position + d - (length - 1), and the first and the last position that each position sees
// (rows, length). Without `first`, positions see from position 0 on; without `last`, up to themselves.
struct Inputs {
    const void* qkv;
    const float *q_norm, *k_norm, *cos, *sin, *bias;
    const int32_t *first, *last;
};
}

namespace {
// The operations on one head before its product: RMSNorm, then rotary position.
struct Head {
    const Shape& s;
    const Inputs& in;
    int64_t row, head;
    float* norm;  // its weight (padded width), or null
    float* raw;   // memory for one position (padded width), which `scatter` needs
    int64_t width;

    int64_t at(int64_t t) const { return ((row * s.length + t) * (s.heads + 2 * s.shared) + head) * s.width; }

    void turn(float* x, int64_t t, float direction) const {
        const float *cos = in.cos + t * s.half, *sin = in.sin + t * s.half;
        for (int64_t i = 0; i < s.half; i++) {
            float a = x[i], b = x[s.half + i], c = cos[i], d = sin[i] * direction;
            x[i] = a * c - b * d;
            x[s.half + i] = b * c + a * d;
        }
    }

    // Writes the head as float32 (padded length, padded width), with zeros as padding.
    void gather(int64_t length, bool turned, float* to) const {
        memset(to, 0, length * width * sizeof(float));
        for (int64_t t = 0; t < s.length; t++, to += width) {
            read(in.qkv, s.bf16, at(t), s.width, to);
            if (norm) {
                float scale = inverse_rms(to, s.width, width, s.eps);
                for (int64_t d = 0; d < width; d += LANES) store(to + d, lanes(to + d) * lanes(norm + d) * scale);
            }
            if (turned && s.half) turn(to, t, 1.f);
        }
    }

    // Turns the gradient of the output of `gather` into the gradient of its input. The gradient of the norm is added to
    // `norm_grad`.
    void scatter(float* grad, bool turned, float* norm_grad, void* to) const {
        for (int64_t t = 0; t < s.length; t++, grad += width) {
            if (turned && s.half) turn(grad, t, -1.f);
            if (norm) {
                read(in.qkv, s.bf16, at(t), s.width, raw);
                rms_gradient(raw, norm, inverse_rms(raw, s.width, width, s.eps), s.width, width, grad, norm_grad);
            }
            write(to, s.bf16, at(t), s.width, grad);
        }
    }
};

// One head of the result or of its gradient, (rows, length, heads, width).
void gather(const void* from, int64_t row, int64_t head, const Shape& s, int64_t length, int64_t width, float* to) {
    memset(to, 0, length * width * sizeof(float));
    for (int64_t t = 0; t < s.length; t++)
        read(from, s.bf16, ((row * s.length + t) * s.heads + head) * s.width, s.width, to + t * width);
}

// (length, width) -> panels of PANEL positions, each (width, PANEL), so that a product by the transpose reads on and on.
void transpose(const float* from, int64_t length, int64_t width, float* to) {
    for (int64_t p = 0; p < length; p += PANEL)
        for (int64_t d = 0; d < width; d++)
            for (int64_t t = 0; t < PANEL; t++) to[p * width + d * PANEL + t] = from[(p + t) * width + d];
}

// The first and the last key that a query sees. The padding after the queries sees the same keys as the last query.
int64_t first_seen(const Shape& s, const Inputs& in, int64_t row, int64_t t) {
    return in.first ? in.first[row * s.length + std::min(t, s.length - 1)] : 0;
}

int64_t last_seen(const Shape& s, const Inputs& in, int64_t row, int64_t t) {
    t = std::min(t, s.length - 1);
    return in.last ? in.last[row * s.length + t] : t;
}

// The place in a head's bias, or in its gradient, that belongs to key 0 for a query. The padding after the queries has the
// place of the last query.
int64_t bias_place(const Shape& s, int64_t head, int64_t t) {
    return head * (2 * s.length - 1) + s.length - 1 - std::min(t, s.length - 1);
}

struct Span {
    int64_t begin, end;
};

// The panels of keys that any query of a block sees, from key `begin` to `end`. No other key takes part in the block.
Span panels_seen(const Shape& s, const Inputs& in, int64_t row, int64_t from) {
    int64_t least = first_seen(s, in, row, from), most = in.last ? last_seen(s, in, row, from) : from + QUERIES - 1;
    for (int64_t t = from + 1; in.first && t < from + QUERIES; t++) least = std::min(least, first_seen(s, in, row, t));
    for (int64_t t = from + 1; in.last && t < from + QUERIES; t++) most = std::max(most, last_seen(s, in, row, t));
    return {least / PANEL * PANEL, padded(most + 1, PANEL)};
}

// scores (QUERIES, keys) = a (QUERIES, width) times the transpose of the keys in `panels`, for keys `begin` to `end`.
void scores(const float* a, const float* panels, int64_t width, int64_t begin, int64_t end, float* to, int64_t to_row) {
    for (int64_t p = begin; p < end; p += PANEL)
        product<false>(QUERIES, PANEL, width, a, width, 1, panels + p * width, PANEL, to + p, to_row);
}

// Writes e^(score * scale - shift) for the numbers `low` to `high` of a row, and 0 for the other numbers from `begin`
// to `end`. Returns the sum.
float exponentials(float* row, int64_t low, int64_t high, int64_t begin, int64_t end, float scale, float shift) {
    Lanes sum{};
    for (int64_t k = begin; k < end; k += LANES) {
        Lanes value = exponential(lanes(row + k) * scale - shift);
        if (k < low || k + LANES > high)
            for (int i = 0; i < LANES; i++) value[i] = k + i >= low && k + i < high ? value[i] : 0.f;
        store(row + k, value);
        sum += value;
    }
    return total(sum);
}

// The dropout factors of one row of the pattern.
void factors(const Shape& s, int64_t line, int64_t begin, int64_t end, float* to) {
    Dropout dropout{(uint64_t)s.seed, (uint32_t)s.below, s.kept};
    uint32_t start = dropout.start(line);
    for (int64_t k = begin; k < end; k++) to[k] = dropout.factor(start, k);
}

float* copied(const float* from, int64_t count, int64_t width, float* to) {
    if (!from) return nullptr;
    memset(to, 0, width * sizeof(float));
    memcpy(to, from, count * sizeof(float));
    return to;
}

void attend(const Shape& s, const Inputs& in, void* z, float* lse, int64_t item) {
    int64_t row = item / s.shared, shared = item % s.shared, group = s.heads / s.shared;
    int64_t length = padded(s.length, std::max(QUERIES, PANEL)), width = padded(s.width, LANES), ld = length + LANES;
    float* queries = room.take(length * width * 5 + (QUERIES + 1) * ld + 2 * width);
    float *keys = queries + length * width, *values = keys + length * width, *panels = values + length * width;
    float *out = panels + length * width, *block = out + length * width, *chance = block + QUERIES * ld;
    float *k_norm = copied(in.k_norm, s.width, width, chance + ld), *q_norm = copied(in.q_norm, s.width, width, chance + ld + width);
    Head{s, in, row, s.heads + shared, k_norm, nullptr, width}.gather(length, true, keys);
    Head{s, in, row, s.heads + s.shared + shared, nullptr, nullptr, width}.gather(length, false, values);
    transpose(keys, length, width, panels);
    for (int64_t head = shared * group; head < (shared + 1) * group; head++) {
        Head{s, in, row, head, q_norm, nullptr, width}.gather(length, true, queries);
        for (int64_t from = 0; from < s.length; from += QUERIES) {
            const auto [begin, end] = panels_seen(s, in, row, from);
            scores(queries + from * width, panels, width, begin, end, block, ld);
            for (int64_t i = 0; i < QUERIES; i++) {
                float* line = block + i * ld;
                int64_t number = (row * s.heads + head) * s.length + from + i;
                int64_t low = first_seen(s, in, row, from + i), high = last_seen(s, in, row, from + i) + 1;
                if (in.bias) {  // before the scale, by which the sum is multiplied below
                    const float* bias = in.bias + bias_place(s, head, from + i);
                    for (int64_t t = low; t < high; t++) line[t] += bias[t] / s.scale;
                }
                float most = largest(line + low, high - low) * s.scale;
                float sum = exponentials(line, low, high, begin, end, s.scale, most);
                for (int64_t t = begin; t < end; t += LANES) store(line + t, lanes(line + t) / sum);
                if (from + i < s.length) lse[number] = most + std::log(sum);
                if (s.below) {
                    factors(s, number, begin, end, chance);
                    for (int64_t t = begin; t < end; t += LANES) store(line + t, lanes(line + t) * lanes(chance + t));
                }
            }
            product<false>(QUERIES, width, end - begin, block + begin, ld, 1, values + begin * width, width,
                           out + from * width, width);
        }
        for (int64_t t = 0; t < s.length; t++)
            write(z, s.bf16, ((row * s.length + t) * s.heads + head) * s.width, s.width, out + t * width);
    }
}

void attend_back(const Shape& s, const Inputs& in, const void* z, const float* lse, const void* grad, void* qkv_grad,
                 float* q_norm_grads, float* k_norm_grads, float* bias_grads, int64_t item) {
    int64_t row = item / s.shared, shared = item % s.shared, group = s.heads / s.shared;
    int64_t length = padded(s.length, std::max(QUERIES, PANEL)), width = padded(s.width, LANES), ld = length + LANES;
    int64_t area = length * width;
    float* keys = room.take(area * 10 + (2 * QUERIES + 1) * ld + 5 * width);
    float *values = keys + area, *key_panels = values + area, *value_panels = key_panels + area;
    float *key_grad = value_panels + area, *value_grad = key_grad + area, *queries = value_grad + area;
    float *out = queries + area, *out_grad = out + area, *query_grad = out_grad + area;
    float *pattern = query_grad + area, *pattern_grad = pattern + QUERIES * ld, *chance = pattern_grad + QUERIES * ld;
    float *raw = chance + ld, *k_norm = copied(in.k_norm, s.width, width, raw + width);
    float *q_norm = copied(in.q_norm, s.width, width, raw + 2 * width), *norm_grad = raw + 3 * width;
    Head key{s, in, row, s.heads + shared, k_norm, raw, width};
    Head value{s, in, row, s.heads + s.shared + shared, nullptr, raw, width};
    key.gather(length, true, keys);
    value.gather(length, false, values);
    transpose(keys, length, width, key_panels);
    transpose(values, length, width, value_panels);
    memset(key_grad, 0, 2 * area * sizeof(float));
    memset(norm_grad, 0, 2 * width * sizeof(float));
    memset(raw, 0, width * sizeof(float));  // the padding stays zero
    for (int64_t t = 0; t < ld; t++) chance[t] = 1.f;
    for (int64_t head = shared * group; head < (shared + 1) * group; head++) {
        Head query{s, in, row, head, q_norm, raw, width};
        query.gather(length, true, queries);
        gather(z, row, head, s, length, width, out);
        gather(grad, row, head, s, length, width, out_grad);
        for (int64_t from = 0; from < s.length; from += QUERIES) {
            const auto [begin, end] = panels_seen(s, in, row, from);
            scores(queries + from * width, key_panels, width, begin, end, pattern, ld);
            scores(out_grad + from * width, value_panels, width, begin, end, pattern_grad, ld);
            for (int64_t i = 0; i < QUERIES; i++) {
                float *line = pattern + i * ld, *line_grad = pattern_grad + i * ld;
                bool real = from + i < s.length;
                int64_t number = (row * s.heads + head) * s.length + from + i;
                int64_t low = first_seen(s, in, row, from + i), high = real ? last_seen(s, in, row, from + i) + 1 : 0;
                if (in.bias) {
                    const float* bias = in.bias + bias_place(s, head, from + i);
                    for (int64_t t = low; t < high; t++) line[t] += bias[t] / s.scale;
                }
                exponentials(line, low, high, begin, end, s.scale, real ? lse[number] : 0.f);
                Lanes sum{};
                for (int64_t d = 0; d < width; d += LANES)
                    sum += lanes(out + (from + i) * width + d) * lanes(out_grad + (from + i) * width + d);
                float mean = total(sum);  // of the pattern's gradients, by the pattern
                if (s.below) factors(s, number, begin, end, chance);
                for (int64_t t = begin; t < end; t += LANES) {
                    Lanes p = lanes(line + t), kept = lanes(chance + t);
                    store(line_grad + t, p * (lanes(line_grad + t) * kept - mean) * s.scale);
                    store(line + t, p * kept);
                }
                if (in.bias && real) {
                    float* bias_grad = bias_grads + row * s.heads * (2 * s.length - 1) + bias_place(s, head, from + i);
                    for (int64_t t = low; t < high; t++) bias_grad[t] += line_grad[t] / s.scale;
                }
            }
            float *key_at = key_grad + begin * width, *value_at = value_grad + begin * width;
            product<false>(QUERIES, width, end - begin, pattern_grad + begin, ld, 1, keys + begin * width, width,
                           query_grad + from * width, width);
            product<true>(end - begin, width, QUERIES, pattern_grad + begin, 1, ld, queries + from * width, width, key_at, width);
            product<true>(end - begin, width, QUERIES, pattern + begin, 1, ld, out_grad + from * width, width, value_at, width);
        }
        query.scatter(query_grad, true, norm_grad, qkv_grad);
    }
    key.scatter(key_grad, true, norm_grad + width, qkv_grad);
    value.scatter(value_grad, false, nullptr, qkv_grad);
    if (q_norm) memcpy(q_norm_grads + item * s.width, norm_grad, s.width * sizeof(float));
    if (k_norm) memcpy(k_norm_grads + item * s.width, norm_grad + width, s.width * sizeof(float));
}
}  // namespace

extern "C" {
void attention(const Shape* s, const Inputs* in, void* z, float* lse) {
#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t item = 0; item < s->rows * s->shared; item++) attend(*s, *in, z, lse, item);
}

// Gradients of the norms' weights are one line (width) for each row and head of keys, to be added up. Those of the bias
// (rows, heads, 2 length - 1) are added to zeros, one line for each row and head.
void attention_backward(const Shape* s, const Inputs* in, const void* z, const float* lse, const void* grad,
                        void* qkv_grad, float* q_norm_grads, float* k_norm_grads, float* bias_grads) {
#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t item = 0; item < s->rows * s->shared; item++)
        attend_back(*s, *in, z, lse, grad, qkv_grad, q_norm_grads, k_norm_grads, bias_grads, item);
}
}
