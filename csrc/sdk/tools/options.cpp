#include "options.h"

#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

namespace bench {
namespace {

using Json = nlohmann::ordered_json;

/// Reads the words of the command line in their order.
class Words {
 public:
  Words(int count, char** words) : words_(words + 1, words + count) {}

  bool done() const { return at_ == words_.size(); }
  std::string_view next() { return words_[at_++]; }

  std::string text(std::string_view option) {
    if (done()) throw Misuse(std::string(option) + " needs a value");
    return std::string(next());
  }

  template <class T>
  T number(std::string_view option, T least, T most) {
    return number(option, text(option), least, most);
  }

  template <class T>
  static T number(std::string_view option, const std::string& word, T least, T most) {
    T value{};
    if (parsed(word, value) && value >= least && value <= most) return value;
    throw Misuse(std::string(option) + " needs a number from " + Json(least).dump() + " to " + Json(most).dump() +
                 ", not '" + word + "'");
  }

 private:
  template <class T>
  static bool parsed(const std::string& word, T& value) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc() && end == word.data() + word.size();
  }

  /// Not by from_chars, which the standard library of Android lacks for it.
  static bool parsed(const std::string& word, double& value) {
    char* end = nullptr;
    value = std::strtod(word.c_str(), &end);
    return !word.empty() && *end == '\0';
  }

  std::vector<std::string_view> words_;
  std::size_t at_ = 0;
};

std::pair<std::string, std::int64_t> axis(const std::string& word) {
  const std::size_t end = word.find('=');
  if (end == 0 || end == std::string::npos) throw Misuse("--axis needs NAME=SIZE, not '" + word + "'");
  return {word.substr(0, end), Words::number<std::int64_t>("--axis", word.substr(end + 1), 1, kMostRuns)};
}

void read(Options& options, std::string_view word, Words& words) {
  if (word == "--runtime-library") {
    options.runtime_library = words.text(word);
  } else if (word == "--backends") {
    options.backends = words.text(word);
  } else if (word == "--threads") {
    options.threads = words.number<std::int32_t>(word, 1, 1024);
  } else if (word == "--without-op-libraries") {
    options.without_op_libraries = true;
  } else if (word == "--case") {
    options.golden = words.number<std::size_t>(word, 0, kMostRuns);
  } else if (word == "--warm-up") {
    options.warm_up = words.number<std::size_t>(word, 0, kMostRuns);
  } else if (word == "--runs") {
    options.runs = words.number<std::size_t>(word, 1, kMostRuns);
  } else if (word == "--seconds") {
    options.seconds = words.number<double>(word, 0, 1e6);
  } else if (word == "--settle") {
    options.settle = words.number<double>(word, 0, 1e6);
  } else if (word == "--gap-ms") {
    options.gap_ms = words.number<double>(word, 0, 1e6);
  } else if (word == "--axis") {
    options.axes.push_back(axis(words.text(word)));
  } else if (word == "--cold-start") {
    options.cold_start = true;
  } else if (word == "--verify") {
    options.verify = true;
  } else if (word == "--mark") {
    options.mark = true;
  } else if (word.starts_with('-')) {
    throw Misuse("There is no option " + std::string(word));
  } else if (!options.bundle.empty()) {
    throw Misuse("One bundle at a time, not " + options.bundle + " and " + std::string(word));
  } else {
    options.bundle = word;
  }
}

}  // namespace

Options parse(int count, char** arguments) {
  Options options;
  Words words(count, arguments);
  while (!words.done()) read(options, words.next(), words);
  if (options.bundle.empty()) throw Misuse("No bundle is named");
  return options;
}

}  // namespace bench
