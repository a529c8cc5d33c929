#include "cli/json.h"

#include <nlohmann/json.hpp>

namespace tercel::cli {

std::string to_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json describe(const std::vector<TensorInfo>& infos) {
  Json list = Json::array();
  for (const TensorInfo& info : infos) {
    Json entry = {{"name", info.name}, {"dtype", to_string(info.dtype)}};
    entry["shape"] = info.shape ? Json(*info.shape) : Json(nullptr);
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace tercel::cli
