// verify BUNDLE: exits with 0 where the golden vectors come out as they did where the bundle was built, else with 1.
#include <cstdio>
#include <deploypipe/deploypipe.hpp>
#include <exception>

// Of the build: empty, or a file.
constexpr const char* kRuntimeLibrary = RUNTIME_LIBRARY;

int main(int count, char** words) {
  try {
    dp_options options = DP_OPTIONS_INIT;
    if (*kRuntimeLibrary != '\0') options.runtime_library = kRuntimeLibrary;
    deploypipe::Model model(count > 1 ? words[1] : "bundle", options);
    const deploypipe::Verdict verdict = model.verify();
    std::puts(verdict.json().c_str());
    return verdict.passed() ? 0 : 1;
  } catch (const deploypipe::Error& error) {
    std::fprintf(stderr, "Error: %s.\n%s\n", error.what(), error.cure().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "Error: %s.\n", error.what());
  }
  return 1;
}
