// Straight-line code for a block of output channels, each non-zero weight an operand of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "layer.h"

namespace sparse {

// The instruction set that code is generated for, if for any.
enum class Generator { none, avx2, avx512 };

using GeneratedKernel = void(__attribute__((sysv_abi)) *)(const Strip*, const float* weights);

// How many output channels' sums fit in registers beside the input.
int block_channels(Generator generator);

// Append a kernel for output channels first to last (exclusive) to code, and the numbers that it
// reads to weights. It runs with its Strip's pixels above zero.
void generate_block(Generator generator, const SparseRows& rows, int first, int last,
                    const Epilogue& epilogue, std::vector<uint8_t>& code,
                    std::vector<float>& weights);

}  // namespace sparse
