#include "src/ops/math/einsum.h"

#include <algorithm>
#include <cctype>

#include "src/ops/math/math.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kEinsumAttributes[] = {{"equation", AttributeKind::string, true}};
constexpr std::string_view kDots = "...";

class Parser {
 public:
  Parser(const ir::Node& node, const std::vector<int>& ranks) : node_(node), ranks_(ranks) {
    for (const char c : node.string_or("equation", "")) {
      if (c != ' ') equation_ += c;
    }
  }

  Einsum parse() {
    const std::size_t arrow = equation_.find("->");
    const auto terms = split(equation_.substr(0, arrow));
    if (terms.size() != ranks_.size())
      reject("has {} terms for {} inputs", terms.size(), ranks_.size());
    for (std::size_t i = 0; i < terms.size(); ++i) measure_dots(terms[i], ranks_[i]);
    result_.labels = result_.ellipsis;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      const int dots = ranks_[i] - letters(terms[i]);
      result_.inputs.push_back(labels_of(terms[i], dots, true));
    }
    result_.output =
        labels_of(arrow != std::string::npos ? equation_.substr(arrow + 2) : implicit(terms),
                  result_.ellipsis, false);
    auto sorted = result_.output;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      reject("names an output dimension twice");
    return std::move(result_);
  }

 private:
  template <class... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Errc::invalid_file, "{} equation \"{}\" {}", node_.label(), equation_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  static std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> terms(1);
    for (const char c : text) {
      if (c == ',')
        terms.emplace_back();
      else
        terms.back() += c;
    }
    return terms;
  }

  static bool has_dots(const std::string& term) { return term.find(kDots) != std::string::npos; }
  static int letters(const std::string& term) {
    return static_cast<int>(term.size() - (has_dots(term) ? kDots.size() : 0));
  }

  void measure_dots(const std::string& term, int rank) {
    const int rest = rank - letters(term);
    if (rest < 0 || (rest > 0 && !has_dots(term)))
      reject("has the term \"{}\" for an input of rank {}", term, rank);
    result_.ellipsis = std::max(result_.ellipsis, rest);
  }

  // `dots`: the dimensions of the ellipsis here, the last ones of all that it stands for.
  std::vector<int> labels_of(const std::string& term, int dots, bool may_add) {
    std::vector<int> labels;
    for (std::size_t i = 0; i < term.size(); ++i) {
      if (term.compare(i, kDots.size(), kDots) == 0) {
        for (int d = result_.ellipsis - dots; d < result_.ellipsis; ++d) labels.push_back(d);
        i += kDots.size() - 1;
        continue;
      }
      labels.push_back(label_of(term[i], may_add));
    }
    return labels;
  }

  int label_of(char letter, bool may_add) {
    if (std::isalpha(static_cast<unsigned char>(letter)) == 0)
      reject("has the character '{}'", letter);
    const auto known = names_.find(letter);
    if (known != std::string::npos) return result_.ellipsis + static_cast<int>(known);
    if (!may_add) reject("has '{}' in its output alone", letter);
    names_ += letter;
    return result_.labels++;
  }

  // The letters that come once, in order, behind the ellipsis.
  static std::string implicit(const std::vector<std::string>& terms) {
    std::string all;
    bool dotted = false;
    for (const std::string& term : terms) {
      dotted = dotted || has_dots(term);
      for (const char c : term) {
        if (c != '.') all += c;
      }
    }
    std::sort(all.begin(), all.end());
    std::string once = dotted ? std::string(kDots) : std::string();
    for (const char c : all) {
      if (std::count(all.begin(), all.end(), c) == 1) once += c;
    }
    return once;
  }

  const ir::Node& node_;
  const std::vector<int>& ranks_;
  std::string equation_;
  std::string names_;
  Einsum result_;
};

void infer_einsum(InferContext& context) {
  const int count = context.node().num_inputs();
  std::vector<int> ranks;
  for (int i = 0; i < count; ++i) {
    require_same_dtype(context, 0, i);
    if (const auto rank = context.rank(i)) ranks.push_back(*rank);
  }
  if (static_cast<int>(ranks.size()) != count) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const Einsum einsum = parse_einsum(context.node(), ranks);
  std::vector<ir::Dim> sizes(static_cast<std::size_t>(einsum.labels));
  std::vector<bool> seen(sizes.size(), false);
  for (int i = 0; i < count; ++i) {
    const ir::Dims& dims = *context.dims(i);
    for (std::size_t d = 0; d < dims.size(); ++d) {
      const int label = einsum.inputs[static_cast<std::size_t>(i)][d];
      const auto at = static_cast<std::size_t>(label);
      if (!seen[at])
        sizes[at] = dims[d];
      else if (label < einsum.ellipsis)
        sizes[at] = broadcast(context, {sizes[at]}, {dims[d]}).front();
      else
        sizes[at] = same_dim(context, sizes[at], dims[d], "dimensions of one letter");
      seen[at] = true;
    }
  }
  ir::Dims out;
  for (const int label : einsum.output) out.push_back(sizes[static_cast<std::size_t>(label)]);
  context.set_output(0, context.dtype(0), std::move(out));
}

}  // namespace

Einsum parse_einsum(const ir::Node& node, const std::vector<int>& ranks) {
  return Parser(node, ranks).parse();
}

constinit const OpDef op_einsum{.name = "Einsum",
                                .since = 28,
                                .compatible_since = 12,
                                .min_inputs = 1,
                                .max_inputs = kVariadic,
                                .min_outputs = 1,
                                .max_outputs = 1,
                                .attributes = kEinsumAttributes,
                                .infer = infer_einsum};

}  // namespace tercel::ops
