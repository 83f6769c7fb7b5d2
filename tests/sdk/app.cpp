// The example of docs/sdk.md in C++: opens, verifies and runs a bundle.
#include <deploypipe/deploypipe.hpp>
#include <iostream>
#include <stdexcept>

int main(int count, char** words) {
  if (count < 3) return 2;
  dp_options options = DP_OPTIONS_INIT;
  options.backend_folder = words[2];
  try {
    deploypipe::Model model(words[1], options);
    std::cout << model.verify().json() << '\n';
    const float values[6] = {1, 2, 3, 4, 5, 6};
    const deploypipe::Results results = model.run({deploypipe::tensor(values, {2, 3})});
    for (int i = 0; i < 6; ++i) std::cout << results.data<float>(0)[i] << ' ';
    try {
      results.data<float>(1);
    } catch (const std::out_of_range& error) {
      std::cout << error.what() << '\n';
    }
    model.run({deploypipe::tensor(values, {6})});
  } catch (const deploypipe::Error& error) {
    std::cerr << error.status() << ' ' << error.what() << ". " << error.cure() << '\n';
    return 1;
  }
}
