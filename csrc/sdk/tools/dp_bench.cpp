// Runs and times a bundle on a machine without Python: dp-bench BUNDLE [OPTIONS]
//
// It writes JSON lines, one object with an "event" each:
//   opened   what was loaded, the time of that and the memory after it; with --cold-start "process_ms", the time from
//            just before the program was executed to the open bundle, in milliseconds
//   verdict  with --verify: what dp_verdict_json gives
//   first    the first run after loading, cold: before the verdict and the warm-up; and which golden vector it was of
//   settled  the warm-up: how many runs, and with --settle whether the medians settled
//   sample   one for each run that was measured, written when all are done
//   done     how many samples there were, and the most memory so far
// Units: "ns" are nanoseconds of a clock that is never set (one dp_run; freeing its results is not in it); "load_ms"
// are milliseconds of dp_open, which checks all digests; "rss_mb" and "peak_rss_mb" are megabytes of 10^6 bytes that
// the process has in memory (VmRSS and VmHWM of Linux, null elsewhere; under an emulator, those of the emulator). Exit
// status: 0, or 1 where the bundle fails (one sentence on stderr) or its verdict does, or 2 for wrong options.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "deploypipe/deploypipe.h"
#include "options.h"
#include "repeated.h"
#include "settle.h"

namespace {

using bench::Misuse;
using bench::Options;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

/// The SDK refused something.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void write(const Json& event) { std::puts(event.dump(-1, ' ', false, Json::error_handler_t::replace).c_str()); }

/// A line of /proc/self/status in megabytes, or null.
Json memory(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return static_cast<double>(std::stoll(line.substr(name.size()))) * 1024 / 1e6;
  }
  return nullptr;
}

void check(dp_status status, const dp_error& error) {
  if (status == DP_OK) return;
  const std::string cure = error.cure;
  throw Failure(std::string(error.message) + (cure.empty() ? "." : ". " + cure));
}

std::int64_t nanoseconds(Clock::duration span) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(span).count();
}

using Results = std::unique_ptr<dp_results, void (*)(dp_results*)>;

/// A bundle that is open.
class Model {
 public:
  explicit Model(const Options& options) {
    dp_options how = DP_OPTIONS_INIT;
    if (!options.runtime_library.empty()) how.runtime_library = options.runtime_library.c_str();
    if (!options.backends.empty()) how.backend_folder = options.backends.c_str();
    how.threads = options.threads;
    how.without_op_libraries = options.without_op_libraries ? 1 : 0;
    dp_error error;
    dp_model* model = nullptr;
    check(dp_open(options.bundle.c_str(), &how, &model, &error), error);
    model_.reset(model);
  }

  dp_model* get() const { return model_.get(); }

  Results golden(std::size_t number) const {
    dp_error error;
    dp_results* inputs = nullptr;
    check(dp_golden_inputs(get(), number, &inputs, &error), error);
    return {inputs, dp_results_free};
  }

 private:
  std::unique_ptr<dp_model, void (*)(dp_model*)> model_{nullptr, dp_close};
};

std::int64_t numbers_in(const dp_results* tensors) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < dp_results_count(tensors); ++i) {
    const dp_tensor& tensor = *dp_results_tensor(tensors, i);
    std::int64_t count = 1;
    for (std::int32_t axis = 0; axis < tensor.rank; ++axis) count *= tensor.shape[axis];
    total += count;
  }
  return total;
}

std::size_t smallest_case(const Model& model) {
  std::size_t smallest = 0;
  std::int64_t fewest = -1;
  for (std::size_t i = 0; i < dp_golden_count(model.get()); ++i) {
    const std::int64_t count = numbers_in(model.golden(i).get());
    if (fewest >= 0 && count >= fewest) continue;
    smallest = i;
    fewest = count;
  }
  return smallest;
}

std::size_t case_of(const Model& model, const Options& options) {
  const std::size_t count = dp_golden_count(model.get());
  if (count == 0) throw Failure("The bundle holds no golden vectors to run.");
  if (!options.golden) return smallest_case(model);
  if (*options.golden < count) return *options.golden;
  throw Misuse("--case needs a number from 0 to " + std::to_string(count - 1));
}

/// One golden vector, ready to be run.
class Bench {
 public:
  Bench(const Model& model, std::size_t number, const Options& options)
      : model_(model.get()), owned_(model.golden(number)) {
    for (std::size_t i = 0; i < dp_results_count(owned_.get()); ++i) {
      inputs_.push_back(*dp_results_tensor(owned_.get(), i));
    }
    for (const auto& [name, size] : options.axes) resize(name, size);
  }

  /// Nanoseconds of one run.
  std::int64_t run() const {
    dp_error error;
    dp_results* results = nullptr;
    const auto start = Clock::now();
    const dp_status status = dp_run(model_, inputs_.data(), inputs_.size(), &results, &error);
    const auto end = Clock::now();
    const Results owned(results, dp_results_free);
    check(status, error);
    return nanoseconds(end - start);
  }

  /// The measured runs. Nothing is written or allocated between them, so that they are all alike.
  std::vector<std::int64_t> samples(const Options& options) const {
    std::vector<std::int64_t> taken(options.runs);
    std::size_t count = 0;
    const auto start = Clock::now();
    mark(options);
    while (count < taken.size() && (count == 0 || !over(options, start))) {
      if (options.gap_ms > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(options.gap_ms));
      taken[count++] = run();
      mark(options);
    }
    taken.resize(count);
    return taken;
  }

  bench::Settled warm_up(const Options& options) const {
    if (options.settle) return bench::settle([this] { return run(); }, *options.settle);
    for (std::size_t i = 0; i < options.warm_up; ++i) run();
    return {options.warm_up, false};
  }

 private:
  /// Gives an axis another size, in every input that has it.
  void resize(const std::string& name, std::int64_t size) {
    bool known = false;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const dp_tensor_info& info = *dp_input(model_, i);
      for (std::int32_t axis = 0; axis < info.rank; ++axis) {
        if (info.axes[axis] == nullptr || info.axes[axis] != name) continue;
        repeated_.emplace_back(inputs_[i], axis, size);
        inputs_[i] = repeated_.back().tensor();
        known = true;
      }
    }
    if (!known) throw Misuse("No input has a dynamic axis '" + name + "'");
  }

  static bool over(const Options& options, Clock::time_point start) {
    return options.seconds && std::chrono::duration<double>(Clock::now() - start).count() >= *options.seconds;
  }

  static void mark(const Options& options) {
    constexpr int closed = 777;
    if (options.mark && ::write(closed, "", 0) == 0) throw Failure("File 777 is open, so nothing can be marked by it.");
  }

  dp_model* model_;
  Results owned_;
  std::vector<dp_tensor> inputs_;
  std::vector<bench::Repeated> repeated_;
};

constexpr const char* kStarted = "DEPLOYPIPE_BENCH_STARTED_NS";

/// Executes this program once more, after leaving the time for it in a variable.
void start_again(char** arguments) {
  if (std::getenv(kStarted) != nullptr) return;
  const std::string now = std::to_string(nanoseconds(Clock::now().time_since_epoch()));
  setenv(kStarted, now.c_str(), 1);
  // The program itself, with the words that it has already: NOLINTNEXTLINE(clang-analyzer-optin.taint.GenericTaint)
  execv("/proc/self/exe", arguments);
  throw Failure("The program cannot be started once more. Leave --cold-start out.");
}

void write_opened(const Model& model, Clock::duration took) {
  const Json manifest = Json::parse(dp_manifest(model.get()));
  Json event = {{"event", "opened"},
                {"model", manifest.at("model")},
                {"runtime", manifest.at("runtime").at("name")},
                {"runtime_version", dp_runtime_version(model.get())},
                {"sdk_version", dp_version()},
                {"load_ms", static_cast<double>(nanoseconds(took)) / 1e6},
                {"rss_mb", memory("VmRSS:")}};
  if (const char* started = std::getenv(kStarted)) {
    const auto since = nanoseconds(Clock::now().time_since_epoch()) - std::strtoll(started, nullptr, 10);
    event["process_ms"] = static_cast<double>(since) / 1e6;
  }
  write(event);
}

/// Whether the bundle passed.
bool write_verdict(const Model& model) {
  dp_error error;
  dp_verdict* verdict = nullptr;
  check(dp_verify(model.get(), &verdict, &error), error);
  const std::unique_ptr<dp_verdict, void (*)(dp_verdict*)> owned(verdict, dp_verdict_free);
  Json event = {{"event", "verdict"}};
  event.update(Json::parse(dp_verdict_json(verdict)));
  write(event);
  return dp_verdict_passed(verdict) != 0;
}

int measure(const Options& options) {
  const auto start = Clock::now();
  const Model model(options);
  write_opened(model, Clock::now() - start);
  const std::size_t number = case_of(model, options);
  const Bench subject(model, number, options);
  const std::int64_t first = subject.run();
  if (options.verify && !write_verdict(model)) return 1;
  write({{"event", "first"}, {"case", number}, {"ns", first}});
  const bench::Settled warm = subject.warm_up(options);
  write({{"event", "settled"}, {"runs", warm.runs}, {"settled", warm.settled}});
  const std::vector<std::int64_t> samples = subject.samples(options);
  for (const std::int64_t sample : samples) write({{"event", "sample"}, {"ns", sample}});
  write({{"event", "done"}, {"samples", samples.size()}, {"peak_rss_mb", memory("VmHWM:")}});
  return 0;
}

int run(int count, char** arguments) {
  try {
    const Options options = bench::parse(count, arguments);
    if (options.cold_start) start_again(arguments);
    const int status = measure(options);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      throw Failure("What was measured cannot be written. Give it a place with room.");
    }
    return status;
  } catch (const Misuse& misuse) {
    std::fprintf(stderr, "dp-bench: %s. `dp-bench --help` lists the options.\n", misuse.what());
    return 2;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "dp-bench: %s\n", failure.what());
    return 1;
  }
}

}  // namespace

int main(int count, char** arguments) {
  // ONNX Runtime 1.32 would start a thread that calls its maker, in the midst of what is measured.
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);
  if (count == 2 && std::string_view(arguments[1]) == "--help") {
    std::fputs(bench::kUsage, stdout);
    return 0;
  }
  return run(count, arguments);
}
