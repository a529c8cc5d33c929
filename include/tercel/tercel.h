#pragma once
// All of Tercel's C++ API.

#include "tercel/dtype.h"
#include "tercel/error.h"
#include "tercel/model.h"
#include "tercel/session.h"
#include "tercel/tasks.h"
#include "tercel/tensor.h"
#include "tercel/tokenizer.h"
#include "tercel/version.h"
