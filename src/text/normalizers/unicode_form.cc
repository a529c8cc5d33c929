#include "src/text/normal_forms.h"
#include "src/text/normalizer.h"

namespace tercel::text {
namespace {

class UnicodeForm final : public Normalizer {
 public:
  explicit UnicodeForm(NormalForm form) : form_(form) {}
  void apply(AlignedText& text) const override { normalize(text, form_); }
  bool apply_ascii(std::string&) const override { return true; }
  bool is_local() const override { return true; }

 private:
  NormalForm form_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_nfc(const Json&) {
  return std::make_unique<UnicodeForm>(NormalForm::nfc);
}
std::unique_ptr<const Normalizer> make_nfd(const Json&) {
  return std::make_unique<UnicodeForm>(NormalForm::nfd);
}
std::unique_ptr<const Normalizer> make_nfkc(const Json&) {
  return std::make_unique<UnicodeForm>(NormalForm::nfkc);
}
std::unique_ptr<const Normalizer> make_nfkd(const Json&) {
  return std::make_unique<UnicodeForm>(NormalForm::nfkd);
}

}  // namespace tercel::text
