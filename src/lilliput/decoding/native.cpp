// The decoding step of a transformer on a CPU. It reads new tokens of several texts, and computes final hidden states
// and logits.
//
// native.py builds this file with the machine's own C++ compiler and calls `forward` and `logits`. Numbers are float32;
// a matrix may be int8 with one scale a row, or bf16 (native_bf16.h). The order of a text's sums does not depend on the
// other texts, so its results do not depend on the number of texts. The structs are mirrored in native_structs.py, field
// by field.

#include "native_products.h"

extern "C" {
enum Mlp { SWIGLU, GELU, GELU_TANH, RELU2 };

struct Norm {  // bias null: root mean square; else centred too. weight null: no norm
    const float *weight, *bias;
};

struct Layer {
    Norm ln1, ln2, q_norm, k_norm;
    Matrix qkv, out, up, down;  // where the MLP is gated, up holds the rows of gate and then the rows of up
    Matrix router;              // where there are experts: their scores; up and down are not read then
    const Matrix* experts;      // up and down of each expert
    void *keys, *values;        // (slots, kv_heads, capacity, d_head) float32, or bf16 where half_cache is not 0
};

struct Model {
    int64_t d_model, n_layers, n_heads, n_kv_heads, d_head, d_mlp, rotated, window, capacity;
    int64_t mlp, parallel, threads, half_cache;
    int64_t experts, chosen, normalized;  // experts 0: one MLP; normalized: the chosen weights sum to 1
    float eps;
    const float *embed, *learned, *cos, *sin;  // learned: (context, d_model) or null; cos, sin: (context, rotated / 2)
    Norm ln_final;
    const Layer* layers;
};
}

namespace {
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

// ------------------------------------------------------------------ experts

// The scratch memory of the experts of one layer. Choice c of token b is row place[b * chosen + c] of `picked`, `up`,
// `act` and `out`, in which the rows of an expert stand together, from starts[expert].
struct Mixture {
    float *scores, *shares, *picked, *up, *act, *out;
    int32_t *place, *starts, *expert;

    Mixture(const Model& m, int64_t batch, float* scratch) {
        int64_t rows = batch * m.chosen;
        scores = scratch, shares = scores + batch * m.experts, picked = shares + rows;
        up = picked + rows * m.d_model, act = up + rows * 2 * m.d_mlp, out = act + rows * m.d_mlp;
        place = reinterpret_cast<int32_t*>(out + rows * m.d_model), expert = place + rows, starts = expert + rows;
    }

    static int64_t floats(const Model& m, int64_t batch) {
        if (!m.experts) return 0;
        return batch * m.experts + batch * m.chosen * (3 + 2 * m.d_model + 3 * m.d_mlp) + m.experts + 1;
    }
};

// The most probable experts of one token, and their shares.
void choose(const Model& m, float* scores, int32_t* expert, float* shares) {
    float most = scores[0], sum = 0, taken = 0;
    for (int64_t e = 1; e < m.experts; e++) most = scores[e] > most ? scores[e] : most;
    for (int64_t e = 0; e < m.experts; e++) sum += scores[e] = std::exp(scores[e] - most);
    for (int64_t c = 0; c < m.chosen; c++) {
        int64_t best = 0;
        for (int64_t e = 1; e < m.experts; e++) best = scores[e] > scores[best] ? e : best;
        expert[c] = static_cast<int32_t>(best), shares[c] = scores[best] / sum;
        taken += shares[c], scores[best] = -1;
    }
    if (m.normalized)
        for (int64_t c = 0; c < m.chosen; c++) shares[c] /= taken;
}

// Adds to x the outputs of the experts of all tokens, by all threads of the calling region.
void mixture(const Model& m, const Layer& layer, int64_t batch, const float* normed, float* x, float* scratch,
             float* room) {
    Mixture s(m, batch, scratch);
    int64_t d = m.d_model, wide = 2 * m.d_mlp, rows = batch * m.chosen;
    product(layer.router, normed, s.scores, batch, false, room);
#pragma omp single
    {
        for (int64_t e = 0; e <= m.experts; e++) s.starts[e] = 0;
        for (int64_t b = 0; b < batch; b++)
            choose(m, s.scores + b * m.experts, s.expert + b * m.chosen, s.shares + b * m.chosen);
        for (int64_t r = 0; r < rows; r++) s.starts[s.expert[r] + 1]++;
        for (int64_t e = 0; e < m.experts; e++) s.starts[e + 1] += s.starts[e];
        for (int64_t r = rows - 1; r >= 0; r--) s.place[r] = --s.starts[s.expert[r] + 1];
        // Each end has moved down to its expert's beginning.
        for (int64_t e = 0; e < m.experts; e++) s.starts[e] = s.starts[e + 1];
        s.starts[m.experts] = static_cast<int32_t>(rows);
    }
#pragma omp for
    for (int64_t r = 0; r < rows; r++) memcpy(s.picked + s.place[r] * d, normed + r / m.chosen * d, d * sizeof(float));
    for (int64_t e = 0; e < m.experts; e++) {
        int64_t from = s.starts[e], count = s.starts[e + 1] - from;
        if (!count) continue;
        product(layer.experts[2 * e], s.picked + from * d, s.up + from * wide, count, false, room);
#pragma omp for
        for (int64_t r = from; r < from + count; r++) activate(m, s.up + r * wide, s.act + r * m.d_mlp);
        product(layer.experts[2 * e + 1], s.act + from * m.d_mlp, s.out + from * d, count, false, room);
    }
#pragma omp for
    for (int64_t b = 0; b < batch; b++)
        for (int64_t c = 0; c < m.chosen; c++) {
            const float* out = s.out + s.place[b * m.chosen + c] * d;
            float share = s.shares[b * m.chosen + c];
            for (int64_t i = 0; i < d; i++) x[b * d + i] += share * out[i];
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
    return batch * kept + room_of(batch, widest) + Mixture::floats(*m, batch);
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
    float* mixed = scores + batch * m.n_heads * (m.capacity + WIDE);
    float* room = mixed + Mixture::floats(m, batch);
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
            if (m.experts) {
                mixture(m, *layer, batch, normed, x, mixed, room);
                continue;
            }
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
