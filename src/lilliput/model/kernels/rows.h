// Kernels that work row by row: SwiGLU, RMSNorm and dropout, forward and backward, and the head's softmax with its
// gradient.
#pragma once

#include "lanes.h"

extern "C" {
// ------------------------------------------------------------------ SwiGLU

// gate_up (rows, 2 width) -> silu(gate) * up (rows, width).
void swiglu(const void* gate_up, void* out, int64_t bf16, int64_t rows, int64_t width, int64_t threads) {
    int64_t size = padded(width, LANES);
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++) {
        float *gate = room.take(2 * size), *up = gate + size;
        read(gate_up, bf16, 2 * r * width, width, gate);
        read(gate_up, bf16, (2 * r + 1) * width, width, up);
        for (int64_t i = 0; i < size; i += LANES) {
            Lanes g = lanes(gate + i);
            store(gate + i, g / (exponential(-g) + 1.f) * lanes(up + i));
        }
        write(out, bf16, r * width, width, gate);
    }
}

// The gradient of swiglu's result (rows, width) -> the gradient of gate_up (rows, 2 width).
void swiglu_backward(const void* gate_up, const void* grad, void* to, int64_t bf16, int64_t rows, int64_t width,
                     int64_t threads) {
    int64_t size = padded(width, LANES);
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++) {
        float *gate = room.take(3 * size), *up = gate + size, *out = up + size;
        read(gate_up, bf16, 2 * r * width, width, gate);
        read(gate_up, bf16, (2 * r + 1) * width, width, up);
        read(grad, bf16, r * width, width, out);
        for (int64_t i = 0; i < size; i += LANES) {
            Lanes g = lanes(gate + i), o = lanes(out + i), sigmoid = 1.f / (exponential(-g) + 1.f);
            store(gate + i, o * lanes(up + i) * sigmoid * (1.f + g * (1.f - sigmoid)));
            store(up + i, o * g * sigmoid);
        }
        write(to, bf16, 2 * r * width, width, gate);
        write(to, bf16, (2 * r + 1) * width, width, up);
    }
}

// ------------------------------------------------------------------ RMSNorm

// x (rows, width) / rms(x) * weight.
void rms_norm(const void* x, const float* weight, void* out, int64_t bf16, int64_t rows, int64_t width, int64_t threads,
              double eps) {
    int64_t size = padded(width, LANES);
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++) {
        float* line = room.take(size);
        memset(line + size - LANES, 0, LANES * sizeof(float));
        read(x, bf16, r * width, width, line);
        float scale = inverse_rms(line, width, size, eps);
        for (int64_t i = 0; i < width; i++) line[i] *= weight[i] * scale;
        write(out, bf16, r * width, width, line);
    }
}

// `lines` (blocks of `block` rows, width) are the parts of dw, to be added up.
void rms_norm_backward(const void* x, const float* weight, const void* grad, void* to, float* lines, int64_t block,
                       int64_t bf16, int64_t rows, int64_t width, int64_t threads, double eps) {
    int64_t size = padded(width, LANES);
#pragma omp parallel for num_threads(threads)
    for (int64_t b = 0; b < (rows + block - 1) / block; b++) {
        float *line = room.take(4 * size), *g = line + size, *w = g + size, *sums = w + size;
        memset(line, 0, 4 * size * sizeof(float));
        memcpy(w, weight, width * sizeof(float));
        for (int64_t r = b * block; r < std::min((b + 1) * block, rows); r++) {
            read(x, bf16, r * width, width, line);
            read(grad, bf16, r * width, width, g);
            float scale = inverse_rms(line, width, size, eps);
            rms_gradient(line, w, scale, width, size, g, sums);
            write(to, bf16, r * width, width, g);
        }
        memcpy(lines + b * width, sums, width * sizeof(float));
    }
}

// ------------------------------------------------------------------ dropout

// to = from times 0 or `kept`; the same call with the same seed on a gradient is the backward pass.
void dropout(const void* from, void* to, int64_t bf16, int64_t rows, int64_t width, int64_t seed, int64_t below,
             double kept, int64_t threads) {
    Dropout chance{(uint64_t)seed, (uint32_t)below, (float)kept};
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++) {
        float* line = room.take(width);
        uint32_t start = chance.start(r);
        read(from, bf16, r * width, width, line);
        for (int64_t i = 0; i < width; i++) line[i] *= chance.factor(start, i);
        write(to, bf16, r * width, width, line);
    }
}

// ------------------------------------------------------------------ the head

// logits (rows, vocabulary) become weight * (softmax(logits) - onehot(target)); losses (rows) become -log p(target).
// entropies (rows), unless null, become the entropies of the softmax: log(sum) - sum of p * (logit - largest).
void softmax_gradient(void* logits, int64_t bf16, int64_t rows, int64_t vocabulary, const int64_t* targets,
                      const float* weights, float* losses, float* entropies, int64_t threads) {
    int64_t width = padded(vocabulary, LANES);
#pragma omp parallel for num_threads(threads)
    for (int64_t r = 0; r < rows; r++) {
        float* line = room.take(width);
        read(logits, bf16, r * vocabulary, vocabulary, line);
        for (int64_t i = vocabulary; i < width; i++) line[i] = -INFINITY;
        float top = largest(line, width), asked = line[targets[r]];
        Lanes sums{}, products{};
        for (int64_t i = 0; i < width; i += LANES) {
            Lanes below = lanes(line + i) - top;
            below = below < -87.f ? all(-87.f) : below;  // as in `exponential`; times infinity there would be no number
            Lanes value = exponential(below);
            store(line + i, value);
            sums += value;
            products += value * below;
        }
        float sum = total(sums);
        losses[r] = std::log(sum) + (top - asked);
        if (entropies) entropies[r] = std::log(sum) - total(products) / sum;
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
