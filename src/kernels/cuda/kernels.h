#pragma once
// Every family of CUDA kernels.

#include "src/kernels/cuda/attention.h"
#include "src/kernels/cuda/conv.h"
#include "src/kernels/cuda/elementwise.h"
#include "src/kernels/cuda/gemm.h"
#include "src/kernels/cuda/indexing.h"
#include "src/kernels/cuda/movement.h"
#include "src/kernels/cuda/norm.h"
#include "src/kernels/cuda/pool.h"
#include "src/kernels/cuda/reduce.h"
#include "src/kernels/cuda/resize.h"
