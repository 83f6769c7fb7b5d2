// classify IMAGE [BUNDLE]: opens a bundle, lets it prove itself on this machine, and says what is on an image.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deploypipe/deploypipe.hpp>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "image.h"
#include "table.h"

namespace {

constexpr const char* kUsage =
    "usage: classify IMAGE [BUNDLE] [--invert] [--runtime-library FILE]\n"
    "  IMAGE              PNG, JPEG or PGM\n"
    "  BUNDLE             folder or zip; left out: the folder bundle beside this program\n"
    "  --invert           the image has dark strokes on light ground, the model knows light ones on dark\n"
    "  --runtime-library  shared library of the runtime\n";
// Of the build: empty, or a file.
constexpr const char* kRuntimeLibrary = RUNTIME_LIBRARY;
constexpr std::size_t kShown = 10;

struct Arguments {
  std::vector<std::string> paths;
  std::string runtime_library = kRuntimeLibrary;
  bool invert = false;
};

Arguments parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--invert") {
      arguments.invert = true;
    } else if (words[i] == "--runtime-library" && i + 1 < words.size()) {
      arguments.runtime_library = words[++i];
    } else if (words[i].starts_with('-')) {
      throw std::invalid_argument(kUsage);
    } else {
      arguments.paths.push_back(words[i]);
    }
  }
  if (arguments.paths.empty() || arguments.paths.size() > 2) throw std::invalid_argument(kUsage);
  return arguments;
}

/// The folder `bundle` beside the program: Linux tells where that is, elsewhere the command line must.
std::string own_bundle(const char* program) {
  std::error_code error;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", error);
  return ((error ? std::filesystem::path(program) : own).parent_path() / "bundle").string();
}

dp_options options_of(const Arguments& arguments) {
  dp_options options = DP_OPTIONS_INIT;
  if (!arguments.runtime_library.empty()) options.runtime_library = arguments.runtime_library.c_str();
  return options;
}

void classify(deploypipe::Model& model, const Image& image) {
  const dp_image view = {image.pixels.data(), image.width, image.height, image.channels, 0};
  const auto began = std::chrono::steady_clock::now();
  const deploypipe::Results results = model.run(view);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - began;
  std::vector<Row> rows;
  for (const dp_class& each : model.classes(results, kShown)) rows.push_back({each.label, each.probability});
  std::printf("\n%s\nprepared and run in %.2f ms\n", table(rows).c_str(), time.count());
}

int run(const Arguments& arguments, const char* program) {
  Image image = read_image(arguments.paths.front());
  if (arguments.invert) invert(image);
  const std::string bundle = arguments.paths.size() > 1 ? arguments.paths[1] : own_bundle(program);
  deploypipe::Model model(bundle, options_of(arguments));
  const deploypipe::Verdict verdict = model.verify();
  if (!verdict.passed()) {
    std::fprintf(stderr, "Error: %s does not do on this machine what it did where it was built:\n%s\n", bundle.c_str(),
                 verdict.json().c_str());
    return 1;
  }
  std::printf("%s: verified on this machine, runtime %s\n", bundle.c_str(), model.runtime_version().c_str());
  std::printf("%s: %d x %d pixels\n", arguments.paths.front().c_str(), image.width, image.height);
  classify(model, image);
  return 0;
}

}  // namespace

int main(int count, char** words) {
#ifndef _WIN32
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // ONNX Runtime 1.32 would call its maker
#endif
  try {
    return run(parse({words + 1, words + count}), words[0]);
  } catch (const deploypipe::Error& error) {
    std::fprintf(stderr, "Error: %s.\n%s\n", error.what(), error.cure().c_str());
  } catch (const std::invalid_argument& usage) {
    std::fputs(usage.what(), stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "Error: %s.\n", error.what());
  }
  return 2;
}
