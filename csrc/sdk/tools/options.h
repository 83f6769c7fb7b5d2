// The options of dp-bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bench {

inline constexpr const char* kUsage =
    R"(usage: dp-bench BUNDLE [OPTIONS]      BUNDLE is a folder, or a zip of one
  --runtime-library FILE   shared library of the runtime; else the bundle's lib/, then the system
  --backends FOLDER        backends that are libraries of their own; else beside libdeploypipe
  --threads N              of one run; 1
  --without-op-libraries   leave the op libraries of the bundle unused
  --case N                 golden vector that is run, from 0; the one with the fewest input numbers
  --warm-up N              runs that are not measured, after the first one; 10
  --runs N                 runs that are measured, at most; 100
  --seconds S              begin no further run after so many seconds
  --settle S               instead of --warm-up: until medians differ by less than 2 %, or the runs took S seconds
  --gap-ms MS              rest before each measured run
  --axis NAME=SIZE         size of a dynamic axis; what the golden vector holds is repeated
  --cold-start             start once more, to tell the time from there to the open bundle as "process_ms"
  --verify                 hold the outputs against all golden vectors first
  --mark                   write nothing to file 777 before, between and after the measured runs: an emulator that
                           counts instructions can tell them apart by this system call, which fails on any machine
)";

inline constexpr std::size_t kMostRuns = 10'000'000;

/// Wrong options: one sentence.
struct Misuse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string bundle;
  std::string runtime_library;
  std::string backends;
  std::int32_t threads = 1;
  bool without_op_libraries = false;
  std::optional<std::size_t> golden;
  std::size_t warm_up = 10;
  std::size_t runs = 100;
  std::optional<double> seconds;
  std::optional<double> settle;
  double gap_ms = 0;
  std::vector<std::pair<std::string, std::int64_t>> axes;
  bool cold_start = false;
  bool verify = false;
  bool mark = false;
};

/// Reads the command line.
///
/// Throws Misuse where it is wrong.
Options parse(int count, char** arguments);

}  // namespace bench
