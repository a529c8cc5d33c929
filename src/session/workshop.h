#pragma once
// What reading a model for its own sake, without a session, is done on.

#include "src/base/request_threads.h"
#include "src/session/load_model.h"

namespace tercel {

struct Workshop {
  std::shared_ptr<RequestThreads> threads = RequestThreads::shared();
  std::shared_ptr<Allocator> memory = make_cpu_allocator();
  Machine machine{best_cpu_isa(), threads->pool(), *memory};
};

}  // namespace tercel
