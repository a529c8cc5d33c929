#pragma once
// What the tests of malformed checkpoints share.

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/hub/weights.h"
#include "tercel/error.h"
#include "tests/hostile.h"

namespace tercel::hostile {

// parse() must throw, within the limits, an Error with this code whose message holds `source`, what
// the file is called, and `message`.
template <class Parse>
void expect_file_error(const Parse& parse, const std::string& source, const std::string& message,
                       Errc code) {
  within_limits([&] {
    try {
      parse();
      ADD_FAILURE() << "no error; expected: " << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), ::testing::HasSubstr(source));
      EXPECT_THAT(error.what(), ::testing::HasSubstr(message));
    }
  });
}

// Touches every byte of every tensor.
inline void read_all(const hub::WeightSource& source) {
  for (const std::string& name : source.names()) {
    const Tensor tensor = source.find(name);
    const auto* data = static_cast<const volatile unsigned char*>(tensor.data());
    for (std::size_t i = 0; i < tensor.bytes(); ++i) (void)data[i];
  }
}

}  // namespace tercel::hostile
