// Straight-line AVX-512 code for a block of output channels: one instruction a non-zero weight.
#pragma once

#include <cstdint>
#include <vector>

#include "layer.h"

namespace sparse {

// How many output channels' sums fit in registers beside the input.
constexpr int kMostBlockChannels = 30;

using GeneratedKernel = void(__attribute__((sysv_abi)) *)(const Strip*, const float* weights);

// Append a kernel for output channels first to last (exclusive) to code, and the numbers that it
// reads to weights. It runs with its Strip's pixels above zero.
void generate_block(const SparseRows& rows, int first, int last, const Epilogue& epilogue,
                    std::vector<uint8_t>& code, std::vector<float>& weights);

}  // namespace sparse
