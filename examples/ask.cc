// ask MODEL DOCUMENT QUESTION
#include <fstream>
#include <iostream>
#include <iterator>

#include <tercel/tercel.h>

int main(int count, char** arguments) try {
  if (count != 4) return 2;
  std::ifstream file(arguments[2]);
  const std::string document(std::istreambuf_iterator<char>(file), {});
  const tercel::QuestionAnswering model(arguments[1], {.threads = 2});
  for (const auto& answer : model.ask(arguments[3], document, {.top_k = 3})) {
    std::cout << answer.text << "  (" << answer.probability << ")\n";
  }
  return 0;
} catch (const tercel::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
