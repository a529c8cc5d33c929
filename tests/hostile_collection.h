#pragma once
// Malformed files by the thousand, each held to the limits, in a folder of their own.

#include <filesystem>
#include <functional>
#include <iostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/ir/onnx_file.h"
#include "src/ir/verify.h"
#include "tercel/error.h"
#include "tests/hostile.h"

namespace tercel::hostile {

// One kind of file after another, through one counter.
class Collection {
 public:
  Collection()
      : folder_(std::filesystem::temp_directory_path() /
                ("tercel-files-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Collection() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // Reading must throw an Error whose message holds `message`.
  void refused(const std::function<void()>& reader, const std::string& message) {
    watch_.file([&] {
      try {
        reader();
        ADD_FAILURE() << "no error; expected: " << message;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), ::testing::HasSubstr(message));
        EXPECT_NE(error.code(), Errc::internal) << error.what();
      }
    });
  }
  // It may be read, or be an Error.
  bool survived(const std::function<void()>& reader) {
    bool whole = false;
    watch_.file([&] {
      try {
        reader();
        whole = true;
      } catch (const Error& error) {
        EXPECT_NE(error.code(), Errc::internal) << error.what();
        EXPECT_STRNE(error.what(), "");
      }
    });
    return whole;
  }

  void refused_onnx(const std::string& bytes, const std::string& message) {
    refused([&] { load_onnx(bytes); }, message);
  }
  void load_onnx(const std::string& bytes) {
    const auto copy = heap_copy(bytes);
    const auto model = ir::parse_onnx({copy.get(), bytes.size()}, "m.onnx", folder_, copy);
    ir::verify(*model);
  }

  const std::filesystem::path& folder() const { return folder_; }
  void section(const char* name) {
    std::cout << "  " << name << ": " << watch_.files() - counted_ << " files\n";
    counted_ = watch_.files();
  }
  int files() const { return watch_.files(); }
  double slowest() const { return watch_.slowest(); }

 private:
  std::filesystem::path folder_;
  Watch watch_;
  int counted_ = 0;
};

}  // namespace tercel::hostile
