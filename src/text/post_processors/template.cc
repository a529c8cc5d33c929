#include <algorithm>
#include <map>
#include <string>

#include "src/base/fail.h"
#include "src/text/encoding.h"
#include "src/text/post_processor.h"

namespace tercel::text {
namespace {

struct TemplatePiece {
  int32_t sequence;  // 0 or 1: that text; -1: special tokens
  int32_t type_id;
  std::vector<int32_t> ids;
};
using Template = std::vector<TemplatePiece>;
using SpecialTokens = std::map<std::string, std::vector<int32_t>, std::less<>>;

SpecialTokens read_special_tokens(const Json& config) {
  SpecialTokens tokens;
  config["special_tokens"].for_each_member([&](std::string_view name, const Json& token) {
    auto& ids = tokens[std::string(name)];
    ids.clear();
    token["ids"].for_each([&](const Json& id) { ids.push_back(read_id(id)); });
  });
  return tokens;
}

TemplatePiece read_piece(const Json& piece, const SpecialTokens& tokens, bool pair) {
  if (const auto sequence = piece.find("Sequence")) {
    const Json id = (*sequence)["id"];
    const bool second = id.string() == "B";
    if ((!second && id.string() != "A") || (second && !pair)) {
      id.reject(pair ? "\"A\" or \"B\"" : "\"A\", the only text");
    }
    return {second ? 1 : 0, read_id((*sequence)["type_id"]), {}};
  }
  const Json special = piece["SpecialToken"];
  const auto token = tokens.find(special["id"].string());
  if (token == tokens.end()) special["id"].reject("one of the \"special_tokens\"");
  return {-1, read_id(special["type_id"]), token->second};
}

Template read_template(const Json& pieces, const SpecialTokens& tokens, bool pair) {
  Template result;
  pieces.for_each([&](const Json& piece) { result.push_back(read_piece(piece, tokens, pair)); });
  return result;
}

class TemplateProcessing final : public PostProcessor {
 public:
  explicit TemplateProcessing(const Json& config) {
    const SpecialTokens tokens = read_special_tokens(config);
    single_ = read_template(config["single"], tokens, false);
    pair_ = read_template(config["pair"], tokens, true);
  }

  std::size_t added_tokens(bool pair) const override {
    std::size_t count = 0;
    for (const TemplatePiece& piece : pair ? pair_ : single_) count += piece.ids.size();
    return count;
  }

  std::vector<Encoding> apply(std::vector<Encoding> encodings,
                              bool add_special_tokens) const override {
    if (encodings.empty() || encodings.size() > 2) {
      fail(Errc::unsupported, "TemplateProcessing must be the first post-processor");
    }
    const Template& pieces = encodings.size() == 2 ? pair_ : single_;
    std::vector<Encoding> result;
    for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
      if (piece->sequence < 0) {
        if (add_special_tokens) result.push_back(special_encoding(piece->ids, piece->type_id));
        continue;
      }
      Encoding& source = encodings[static_cast<std::size_t>(piece->sequence)];
      // The windows that overflow keep the type of their sequence: so does `tokenizers`.
      source.type_ids.assign(source.size(), piece->type_id);
      const bool again = std::any_of(piece + 1, pieces.end(), [&](const TemplatePiece& other) {
        return other.sequence == piece->sequence;
      });
      result.push_back(again ? source : std::move(source));
    }
    return result;
  }

 private:
  Template single_;
  Template pair_;
};

}  // namespace

std::unique_ptr<const PostProcessor> make_template_processing(const Json& config) {
  return std::make_unique<TemplateProcessing>(config);
}

}  // namespace tercel::text
