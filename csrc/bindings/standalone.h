// The ops of a library without any runtime, as a C function. Tests, measurements and the tool run_op use it.
#pragma once

#include <cstdint>

extern "C" {

/// A dense row-major tensor; its element type is the one that the op takes there.
struct DeploypipeTensor {
  void* data;
  const std::int64_t* shape;
  std::int64_t rank;
};

/// Runs an op `repeats` times on outputs that the caller has allocated.
///
/// @param name of the op, as in its signature.
/// @param inputs in the order of the signature; attributes likewise, integers as doubles.
/// @param threads the work is split over so many threads, and runs in the calling one where it is 1.
/// @return nullptr, or what is wrong as a text that holds until the next call of this thread.
[[gnu::visibility("default")]] const char* deploypipe_run(const char* name, const DeploypipeTensor* inputs,
                                                          const double* attributes, const DeploypipeTensor* outputs,
                                                          int threads, std::int64_t repeats);

/// The number of tensors that an op takes; -1 where there is no such op.
[[gnu::visibility("default")]] std::int64_t deploypipe_inputs(const char* name);

/// The names of the ops and their tensors as JSON.
const char* deploypipe_describe();

/// The instruction set in use, and choosing one by name: 0, or -1 where this processor does not have it.
const char* deploypipe_isa();
int deploypipe_set_isa(const char* name);
}
