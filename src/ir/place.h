#pragma once
// Where in a model something went wrong: every error names its node.

#include <exception>
#include <new>
#include <stdexcept>

#include "src/base/fail.h"
#include "src/base/shown.h"
#include "src/ir/graph.h"

namespace tercel::ir {

// `error` again, beginning with the node's label unless it does so already.
[[noreturn]] void fail_at(const Node& node, const Error& error);

// Runs `work`, which is done for `node`: its errors name the node, and running out of memory is
// Errc::out_of_memory, whoever found it. Cancellation and deadlines are of the run, not of a node.
template <class Work>
decltype(auto) at_node(const Node& node, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    fail_at(node, error);
  } catch (const std::bad_alloc&) {
    fail(Errc::out_of_memory, "{} needs more memory than the system has left", node.label());
  } catch (const std::length_error&) {
    fail(Errc::out_of_memory, "{} needs more memory than there can be", node.label());
  } catch (const std::exception& error) {
    fail(Errc::internal, "{} {}", node.label(), error.what());
  }
}

}  // namespace tercel::ir
