#pragma once
// All of Tercel's C++ API.

#include "tercel/data_loader.h"
#include "tercel/dataset.h"
#include "tercel/dtype.h"
#include "tercel/error.h"
#include "tercel/model.h"
#include "tercel/named_tensors.h"
#include "tercel/npy.h"
#include "tercel/predict.h"
#include "tercel/reader.h"
#include "tercel/replicas.h"
#include "tercel/session.h"
#include "tercel/tasks.h"
#include "tercel/tensor.h"
#include "tercel/text_data.h"
#include "tercel/tokenizer.h"
#include "tercel/version.h"
